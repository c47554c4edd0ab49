//! The long way: straight from the JSON, every rule for everyone, no index, no text made beforehand.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::random::Raw;

pub(super) fn settings(document: &Value, caller: &Raw, now: i64) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (name, declared) in members(&document["settings"]) {
        values.insert(name, declared["value"].clone());
    }
    values.extend(members(&document["channels"][caller.channel]));
    if let Some(package) = caller.package {
        values.extend(members(&document["packages"][package]));
    }
    for rule in document["rules"].as_array().expect("rules") {
        let setting = rule["setting"].as_str().expect("a name");
        if holds(document, &rule["when"], "segments", setting, caller, now) {
            values.insert(setting.to_owned(), rule["value"].clone());
        }
    }
    values
}

fn members(value: &Value) -> Vec<(String, Value)> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn holds(document: &Value, when: &Value, names: &str, salt: &str, caller: &Raw, now: i64) -> bool {
    let listed = |name: &str, own: Option<Value>| match when[name].as_array() {
        Some(items) if !items.is_empty() => own.is_some_and(|own| items.contains(&own)),
        _ => true,
    };
    let in_segment = |name: &Value| {
        let name = name.as_str().expect("a name");
        holds(document, &document["segments"][name], "any", name, caller, now)
    };
    listed("channel", Some(json!(caller.channel)))
        && listed("package", caller.package.map(Value::from))
        && listed("accounts", caller.account.map(Value::from))
        && when["from"].as_i64().is_none_or(|from| from <= now)
        && when["until"].as_i64().is_none_or(|until| now < until)
        && when["version"].as_str().is_none_or(|range| caller.version.is_some_and(|version| in_range(range, version)))
        && when["percent"].as_f64().is_none_or(|percent| in_rollout(when, percent, salt, caller))
        && when[names].as_array().is_none_or(|names| names.is_empty() || names.iter().any(in_segment))
}

fn in_range(range: &str, version: &str) -> bool {
    let numbers = |text: &str| {
        let mut numbers: Vec<u32> = text.split('.').map(|part| part.parse().expect("a number")).collect();
        numbers.resize(8, 0);
        numbers
    };
    let bound = range.trim_start_matches(['>', '<', '=']);
    let (version, bound) = (numbers(version), numbers(bound));
    match range.chars().take_while(|sign| ['>', '<', '='].contains(sign)).collect::<String>().as_str() {
        ">=" => version >= bound,
        ">" => version > bound,
        "<=" => version <= bound,
        "<" => version < bound,
        _ => version == bound,
    }
}

fn in_rollout(when: &Value, percent: f64, salt: &str, caller: &Raw) -> bool {
    let account = caller.account.map(|account| account.to_string());
    let device = caller.device.map(str::to_owned);
    let identifier = match when["by"].as_str() {
        Some("account") => account,
        Some(_) => device,
        None => account.or(device),
    };
    let salt = when["salt"].as_str().unwrap_or(salt);
    let place = |identifier: String| xxh3_64_with_seed(identifier.as_bytes(), xxh3_64(salt.as_bytes())) % 100_000;
    #[expect(clippy::cast_precision_loss, reason = "below 100 000")]
    let inside = |identifier| (place(identifier) as f64) < (percent * 1000.0).round();
    percent >= 100.0 || identifier.is_some_and(inside)
}

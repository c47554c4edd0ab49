//! Evaluation held against an evaluator that goes the long way, over random documents and callers.

use std::collections::BTreeMap;

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::*;
use crate::domain::{
    audience::Channel,
    explain::explain,
    testing::{at, snapshot},
    version_range::Version,
};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const CHANNELS: [&str; 3] = ["official", "store", "web"];
const PACKAGES: [&str; 2] = ["com.example", "com.other"];
const VERSIONS: [&str; 4] = ["1", "1.2", "1.10.0", "2.0.1"];
const SEGMENTS: [&str; 3] = ["s0", "s1", "s2"];
const ACCOUNTS: std::ops::Range<i64> = 1..12;
const MOMENTS: std::ops::Range<i64> = 0..12;

/// A caller before it becomes one.
#[derive(Clone, Debug)]
struct Raw {
    channel: &'static str,
    package: Option<&'static str>,
    version: Option<&'static str>,
    account: Option<i64>,
    device: Option<&'static str>,
}

impl Raw {
    fn caller(&self) -> Caller {
        Caller {
            channel: Channel::parse(Some(FastStr::new(self.channel))).expect("a channel"),
            package: self.package.map(FastStr::new),
            version: self.version.and_then(Version::parse),
            account: self.account,
            device: self.device.map(FastStr::new),
        }
    }
}

fn any_caller() -> impl Strategy<Value = Raw> {
    (
        select(&CHANNELS[..]),
        option::of(select(&PACKAGES[..])),
        option::of(select(&VERSIONS[..])),
        option::of(ACCOUNTS),
        option::of(select(&["d1", "d2", "d3"][..])),
    )
        .prop_map(|(channel, package, version, account, device)| Raw {
            channel,
            package,
            version,
            account,
            device,
        })
}

/// Few values, so that different ways lead to the same answer.
fn any_value() -> impl Strategy<Value = Value> {
    (0..4_i64).prop_map(Value::from)
}

fn any_layer() -> impl Strategy<Value = Value> {
    prop::collection::btree_map(select(&NAMES[..]), any_value(), 0..4)
        .prop_map(|layer| layer.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into())
}

fn any_conditions(segments: &'static str, may_name: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let named = if may_name.is_empty() { vec![] } else { may_name.to_vec() };
    let names = if named.is_empty() {
        Just(None).boxed()
    } else {
        option::weighted(0.4, vec(select(named), 0..3).prop_map(|names| json!(names))).boxed()
    };
    let range = (select(&[">=", ">", "<=", "<", "="][..]), select(&VERSIONS[..]));
    let member = |chance: f64, strategy: BoxedStrategy<Value>| option::weighted(chance, strategy);
    (
        member(0.3, vec(select(&CHANNELS[..]), 0..3).prop_map(|names| json!(names)).boxed()),
        member(0.2, vec(select(&PACKAGES[..]), 0..2).prop_map(|names| json!(names)).boxed()),
        member(0.3, range.prop_map(|(sign, version)| json!(format!("{sign}{version}"))).boxed()),
        member(0.3, (0..=100_000_u32).prop_map(|percent| json!(f64::from(percent) / 1000.0)).boxed()),
        member(0.3, select(&["salt", "other"][..]).prop_map(Value::from).boxed()),
        member(0.3, select(&["account", "device"][..]).prop_map(Value::from).boxed()),
        member(0.3, vec(ACCOUNTS, 0..6).prop_map(|accounts| json!(accounts)).boxed()),
        option::weighted(0.3, (MOMENTS, 1..6_i64)),
        names,
    )
        .prop_map(move |(channel, package, version, percent, salt, by, accounts, window, names)| {
            let (from, until) =
                window.map_or((None, None), |(from, length)| (Some(json!(from)), Some(json!(from + length))));
            let members = [
                ("channel", channel),
                ("package", package),
                ("version", version),
                ("percent", percent),
                ("salt", salt),
                ("by", by),
                ("accounts", accounts),
                ("from", from),
                ("until", until),
                (segments, names),
            ];
            let members: Map<String, Value> =
                members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
            let narrows = |(name, value): (&String, &Value)| {
                !["salt", "by"].contains(&name.as_str()) && value.as_array().is_none_or(|items| !items.is_empty())
            };
            // What has members and no condition is refused.
            if members.iter().any(narrows) { Value::Object(members) } else { json!({}) }
        })
}

fn any_maintenance() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (MOMENTS, 1..6_i64).prop_map(|(from, length)| json!({"message": "m", "from": from, "until": from + length})),
    ]
}

fn any_notices() -> impl Strategy<Value = Value> {
    vec((MOMENTS, option::of(1..6_i64)), 0..3).prop_map(|windows| {
        let notices = windows.into_iter().enumerate().map(|(index, (from, length))| {
            let mut notice = json!({"id": index.to_string(), "title": "t", "body": "b", "from": from});
            if let Some(length) = length {
                notice["until"] = json!(from + length);
            }
            notice
        });
        notices.collect::<Vec<_>>().into()
    })
}

fn any_rule() -> impl Strategy<Value = Value> {
    let ordinary = (select(&NAMES[..]), any_value()).boxed();
    let maintenance = (Just("platform.maintenance"), any_maintenance()).boxed();
    let notices = (Just("platform.notices"), any_notices()).boxed();
    let said = prop_oneof![6 => ordinary, 1 => maintenance, 1 => notices];
    (said, any_conditions("segments", &SEGMENTS))
        .prop_map(|((setting, value), when)| json!({"setting": setting, "value": value, "when": when}))
}

fn any_document() -> impl Strategy<Value = Value> {
    let segments = (any_conditions("any", &[]), any_conditions("any", &["s0"]), any_conditions("any", &["s0", "s1"]));
    (
        vec(any_value(), NAMES.len()),
        prop::collection::btree_map(select(&CHANNELS[..]), any_layer(), 0..3),
        prop::collection::btree_map(select(&PACKAGES[..]), any_layer(), 0..2),
        segments,
        vec(any_rule(), 0..8),
        (any_maintenance(), any_notices()),
    )
        .prop_map(|(defaults, channels, packages, (s0, s1, s2), rules, (maintenance, notices))| {
            let mut settings = json!({
                "platform.maintenance": {"type": "json", "value": maintenance},
                "platform.notices": {"type": "json", "value": notices},
            });
            for (name, value) in NAMES.into_iter().zip(defaults) {
                settings[name] = json!({"type": "number", "value": value});
            }
            json!({
                "settings": settings, "channels": channels, "packages": packages,
                "segments": {"s0": s0, "s1": s1, "s2": s2}, "rules": rules,
            })
        })
}

/// The long way: straight from the JSON, every rule for everyone, no index, no text made beforehand.
mod naive {
    use super::*;

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
            && when["version"]
                .as_str()
                .is_none_or(|range| caller.version.is_some_and(|version| in_range(range, version)))
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
}

/// Everything an answer says.
fn answer(evaluation: &Evaluation<'_>) -> (FastStr, FastStr, String) {
    (evaluation.settings_json(), evaluation.notices_json(), format!("{:?}", evaluation.switches()))
}

fn any_overlay() -> impl Strategy<Value = Vec<Pick>> {
    prop::collection::btree_map(0..8_u32, 0..100_u32, 0..6)
        .prop_map(|picks| picks.into_iter().map(|(slot, value)| Pick { slot, value }).collect())
}

proptest! {
    #[test]
    fn laying_layers_over_each_other_is_associative_and_the_upper_one_wins(
        a in any_overlay(), b in any_overlay(), c in any_overlay(),
    ) {
        let lay = |lower: &[Pick], upper: &[Pick]| overlay(Cow::Owned(lower.to_vec()), upper).into_owned();
        let laid = lay(&lay(&a, &b), &c);
        prop_assert_eq!(&laid, &lay(&a, &lay(&b, &c)));
        let expected: BTreeMap<_, _> = [a, b, c].concat().into_iter().map(|pick| (pick.slot, pick.value)).collect();
        let laid: Vec<_> = laid.into_iter().map(|pick| (pick.slot, pick.value)).collect();
        prop_assert_eq!(laid, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn evaluation_agrees_with_the_long_way_and_explanation_with_both(
        document in any_document(), caller in any_caller(), now in MOMENTS,
    ) {
        let snapshot = snapshot(&document);
        let expected = naive::settings(&document, &caller, now);
        let evaluation = evaluate(&snapshot, &caller.caller(), at(now));
        let settings: BTreeMap<String, Value> = serde_json::from_str(&evaluation.settings_json()).expect("an object");
        let shown = |(name, _): &(&String, &Value)| !name.starts_with("platform.");
        prop_assert_eq!(settings, expected.iter().filter(shown).map(|(n, v)| (n.clone(), v.clone())).collect());
        for setting in explain(&snapshot, &caller.caller(), at(now)) {
            let value: Value = serde_json::from_str(&setting.value_json).expect("JSON");
            prop_assert_eq!(&value, &expected[setting.name.as_str()]);
            let winner = setting.candidates.iter().rfind(|candidate| candidate.applies).expect("the default applies");
            prop_assert_eq!(&winner.value_json, &setting.value_json);
            prop_assert_eq!(&winner.source, &setting.source);
            prop_assert!(setting.candidates.iter().all(|candidate| candidate.applies == candidate.why_not.is_none()));
        }
    }

    #[test]
    fn equal_tags_are_equal_answers(
        document in any_document(), callers in vec((any_caller(), MOMENTS), 8),
    ) {
        let snapshot = snapshot(&document);
        let mut by_tag = BTreeMap::new();
        let mut by_answer = BTreeMap::new();
        for (caller, now) in callers {
            let evaluation = evaluate(&snapshot, &caller.caller(), at(now));
            let (tag, answer) = (evaluation.entity_tag().to_string(), answer(&evaluation));
            prop_assert_eq!(by_tag.entry(tag.clone()).or_insert_with(|| answer.clone()), &answer);
            // The other way round it is a saving, and holds as long as notices stand at the same place of their list.
            if &*answer.1 == "[]" {
                prop_assert_eq!(by_answer.entry(answer).or_insert_with(|| tag.clone()), &tag);
            }
        }
    }

    #[test]
    fn nothing_changes_before_the_moment_an_answer_is_valid_until(
        document in any_document(), caller in any_caller(), now in MOMENTS,
    ) {
        let snapshot = snapshot(&document);
        let caller = caller.caller();
        let evaluation = evaluate(&snapshot, &caller, at(now));
        let end = evaluation.valid_until().map_or(40, |until| until.as_millis());
        prop_assert!(end > now);
        for later in now..end {
            let later = evaluate(&snapshot, &caller, at(later));
            prop_assert_eq!(answer(&later), answer(&evaluation));
            prop_assert_eq!(later.entity_tag(), evaluation.entity_tag());
            prop_assert_eq!(later.valid_until(), evaluation.valid_until());
        }
    }

    #[test]
    fn callers_that_differ_only_in_what_does_not_matter_are_answered_the_same(
        document in any_document(), caller in any_caller(), other in any_caller(), now in MOMENTS,
    ) {
        let snapshot = snapshot(&document);
        let matters = snapshot.depends_on();
        let mixed = Raw {
            channel: caller.channel,
            package: if matters.package { caller.package } else { other.package },
            version: if matters.version { caller.version } else { other.version },
            account: if matters.account { caller.account } else { other.account },
            device: if matters.device { caller.device } else { other.device },
        };
        let (caller, mixed) = (caller.caller(), mixed.caller());
        let ask = |caller: &Caller| evaluate(&snapshot, caller, at(now)).entity_tag();
        prop_assert_eq!(ask(&caller), ask(&mixed));
    }
}

//! Random documents and callers. Few names, values and moments, so that they meet.

use pilota::FastStr;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Map, Value, json};

use crate::domain::{audience::Channel, caller::Caller, version_range::Version};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const CHANNELS: [&str; 3] = ["official", "store", "web"];
const PACKAGES: [&str; 2] = ["com.example", "com.other"];
const VERSIONS: [&str; 4] = ["1", "1.2", "1.10.0", "2.0.1"];
const SEGMENTS: [&str; 3] = ["s0", "s1", "s2"];
const ACCOUNTS: std::ops::Range<i64> = 1..12;
pub(super) const MOMENTS: std::ops::Range<i64> = 0..12;

/// A caller before it becomes one.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) channel: &'static str,
    pub(super) package: Option<&'static str>,
    pub(super) version: Option<&'static str>,
    pub(super) account: Option<i64>,
    pub(super) device: Option<&'static str>,
}

impl Raw {
    pub(super) fn caller(&self) -> Caller {
        Caller {
            channel: Channel::parse(Some(FastStr::new(self.channel))).expect("a channel"),
            package: self.package.map(FastStr::new),
            version: self.version.and_then(Version::parse),
            account: self.account,
            device: self.device.map(FastStr::new),
        }
    }
}

pub(super) fn any_caller() -> impl Strategy<Value = Raw> {
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

pub(super) fn any_document() -> impl Strategy<Value = Value> {
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

/// Something that rarely belongs where it is put.
pub(super) fn any_oddity() -> impl Strategy<Value = Value> {
    let oddities = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(130),
        json!(0.5),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("a"),
        json!(">=1"),
        json!("s0"),
        json!("platform.maintenance"),
        json!("\u{0}"),
        json!([]),
        json!({}),
        json!([[]]),
        json!(["s0", "s2"]),
        json!({"a": 1}),
        json!([{"id": "x", "title": "t", "body": "b"}]),
        json!({"type": "json", "value": {"": [1]}, "schema": {"$ref": "#"}}),
    ];
    select(oddities.to_vec())
}

/// Where everything lies.
pub(super) fn pointers_below(pointer: &str, value: &Value, pointers: &mut Vec<String>) {
    pointers.push(pointer.to_owned());
    let entries: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, member)| (name.replace('~', "~0").replace('/', "~1"), member)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, value) in entries {
        pointers_below(&format!("{pointer}/{name}"), value, pointers);
    }
}

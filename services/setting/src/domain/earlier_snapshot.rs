//! Evaluated settings in the form they are answered: text and tag, made once and shared by every reader.

use pilota::FastStr;
use serde_json::{Map, Value};

use crate::domain::{earlier_merge::Settings, entity_tag};

/// One audience's settings, ready to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) revision: i64,
    /// A strong entity tag, quotes included.
    pub(crate) entity_tag: FastStr,
    /// A JSON object, name to value, in canonical form.
    pub(crate) settings_json: FastStr,
}

impl Snapshot {
    pub(crate) fn of(settings: Settings) -> Self {
        let members: Map<String, Value> = settings.values.into_iter().collect();
        let mut canonical = String::new();
        write_object(&members, &mut canonical);
        Self {
            revision: settings.revision,
            entity_tag: entity_tag::of(settings.revision, &canonical),
            settings_json: FastStr::from(canonical),
        }
    }
}

/// Writes `value` with members sorted by name at every depth and no white space, whatever order it was read in: the
/// same settings give the same bytes in every replica and every build.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => write_object(members, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
        Value::String(text) => write_string(text, out),
    }
}

fn write_object(members: &Map<String, Value>, out: &mut String) {
    let mut sorted: Vec<_> = members.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    out.push('{');
    for (index, (name, member)) in sorted.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(name, out);
        out.push(':');
        write_canonical(member, out);
    }
    out.push('}');
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn snapshot(revision: i64, values: &[(&str, Value)]) -> Snapshot {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Snapshot::of(Settings { revision, values })
    }

    #[test]
    fn members_are_sorted_at_every_depth() {
        let shop: Value = serde_json::from_str(r#"{"z":[{"b":1,"a":"\n"}],"a":null}"#).expect("is JSON");
        assert_eq!(
            snapshot(1, &[("shop", shop), ("motd", json!("héllo"))]).settings_json,
            r#"{"motd":"héllo","shop":{"a":null,"z":[{"a":"\n","b":1}]}}"#
        );
    }

    #[test]
    fn another_value_or_another_revision_is_another_tag() {
        let base = snapshot(1, &[("a", json!(1))]);
        assert_eq!(base, snapshot(1, &[("a", json!(1))]));
        for other in [snapshot(2, &[("a", json!(1))]), snapshot(1, &[("a", json!("1"))]), snapshot(1, &[])] {
            assert_ne!(base.entity_tag, other.entity_tag);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".*", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_canonical_form_says_exactly_what_the_value_says(value in any_json()) {
            let snapshot = Snapshot::of(Settings { revision: 0, values: BTreeMap::from([("x".to_owned(), value.clone())]) });
            let read: Value = serde_json::from_str(&snapshot.settings_json).expect("canonical form is JSON");
            prop_assert_eq!(&read["x"], &value);
        }
    }
}

//! What is different between two documents.

use serde_json::{Map, Value};

use crate::domain::canonical;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Where, such as `settings.drop_rate.value` or `rules[3].when.percent`; the index is the later document's, or the
    /// earlier one's for what was removed. Empty for the document as a whole.
    pub(crate) path: String,
    pub(crate) kind: ChangeKind,
    /// In canonical form; absent if it was added.
    pub(crate) before_json: Option<String>,
    /// In canonical form; absent if it was removed.
    pub(crate) after_json: Option<String>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Removed,
    Changed,
}

impl ChangeKind {
    /// As it is written on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// The differences between two documents, at most `max`, and whether there are more.
///
/// Members are compared by name. Of arrays, what they begin and end with in common is set aside and the rest compared
/// by index: a rule that was put between others is one that was added, and those after it are not changed.
pub(crate) fn diff(before: &Value, after: &Value, max: usize) -> (Vec<Change>, bool) {
    let mut differences = Differences { changes: Vec::new(), max, truncated: false };
    differences.compare("", Some(before), Some(after));
    (differences.changes, differences.truncated)
}

struct Differences {
    changes: Vec<Change>,
    max: usize,
    truncated: bool,
}

impl Differences {
    fn compare(&mut self, path: &str, before: Option<&Value>, after: Option<&Value>) {
        if before == after || self.truncated {
            return;
        }
        let kind = match (before, after) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                return self.compare_objects(path, before, after);
            }
            (Some(Value::Array(before)), Some(Value::Array(after))) => return self.compare_arrays(path, before, after),
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            (Some(_), Some(_)) => ChangeKind::Changed,
        };
        if self.changes.len() == self.max {
            self.truncated = true;
            return;
        }
        self.changes.push(Change {
            path: path.to_owned(),
            kind,
            before_json: before.map(canonical::to_string),
            after_json: after.map(canonical::to_string),
        });
    }

    fn compare_objects(&mut self, path: &str, before: &Map<String, Value>, after: &Map<String, Value>) {
        let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            self.compare(&path, before.get(name), after.get(name));
        }
    }

    fn compare_arrays(&mut self, path: &str, before: &[Value], after: &[Value]) {
        let start = before.iter().zip(after).take_while(|(before, after)| before == after).count();
        let (before, after) = (&before[start..], &after[start..]);
        let end = before.iter().rev().zip(after.iter().rev()).take_while(|(before, after)| before == after).count();
        let (before, after) = (&before[..before.len() - end], &after[..after.len() - end]);
        for index in 0..before.len().max(after.len()) {
            self.compare(&format!("{path}[{}]", start + index), before.get(index), after.get(index));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn told(before: &Value, after: &Value) -> Vec<String> {
        let (changes, truncated) = diff(before, after, 1000);
        assert!(!truncated);
        let json = |json: Option<String>| json.unwrap_or_else(|| "-".to_owned());
        let tell = |change: Change| {
            let Change { path, kind, before_json, after_json } = change;
            format!("{} {path}: {} -> {}", kind.name(), json(before_json), json(after_json))
        };
        changes.into_iter().map(tell).collect()
    }

    #[test]
    fn a_member_that_came_went_or_changed_is_told_where_it_lies() {
        let before =
            json!({"settings": {"rate": {"type": "number", "value": 1}, "old": {"type": "bool", "value": true}}});
        let after = json!({"settings": {"rate": {"type": "number", "value": 2}, "new": {"value": {"b": 1, "a": 2}}}});
        assert_eq!(
            told(&before, &after),
            [
                r#"added settings.new: - -> {"value":{"a":2,"b":1}}"#,
                r#"removed settings.old: {"type":"bool","value":true} -> -"#,
                "changed settings.rate.value: 1 -> 2",
            ]
        );
        assert_eq!(told(&after, &after), [""; 0]);
        assert_eq!(told(&json!({"a": [1]}), &json!({"a": {"b": 1}})), [r#"changed a: [1] -> {"b":1}"#]);
        assert_eq!(told(&json!(1), &json!(null)), ["changed : 1 -> null"]);
    }

    #[test]
    fn a_rule_between_others_is_one_that_was_added_and_the_others_are_not_changed() {
        let rule = |percent: i64| json!({"setting": "a", "value": percent, "when": {"percent": percent}});
        let rules = |percents: &[i64]| json!({"rules": percents.iter().copied().map(rule).collect::<Vec<_>>()});
        let added =
            |index: usize| format!(r#"added rules[{index}]: - -> {{"setting":"a","value":9,"when":{{"percent":9}}}}"#);
        assert_eq!(told(&rules(&[1, 2, 3]), &rules(&[9, 1, 2, 3])), [added(0)]);
        assert_eq!(told(&rules(&[1, 2, 3]), &rules(&[1, 9, 2, 3])), [added(1)]);
        assert_eq!(told(&rules(&[1, 2, 3]), &rules(&[1, 2, 3, 9])), [added(3)]);
        let removed = r#"removed rules[1]: {"setting":"a","value":2,"when":{"percent":2}} -> -"#;
        assert_eq!(told(&rules(&[1, 2, 3]), &rules(&[1, 3])), [removed]);
        assert_eq!(
            told(&rules(&[1, 2, 3]), &rules(&[1, 5, 3])),
            ["changed rules[1].value: 2 -> 5", "changed rules[1].when.percent: 2 -> 5"]
        );
    }

    #[test]
    fn no_more_changes_are_told_than_were_asked_for() {
        let many: Value = (0..10).map(|index| (index.to_string(), json!(1))).collect::<Map<_, _>>().into();
        for (max, expected) in [(9, (9, true)), (10, (10, false)), (0, (0, true))] {
            let (changes, truncated) = diff(&json!({}), &many, max);
            assert_eq!((changes.len(), truncated), expected);
        }
        assert_eq!(diff(&many, &many, 0), (Vec::new(), false));
    }

    fn any_tree() -> impl Strategy<Value = Value> {
        let leaf = (0..3_i64).prop_map(Value::from);
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn there_are_changes_if_and_only_if_something_changed(before in any_tree(), after in any_tree()) {
            let (changes, _) = diff(&before, &after, 1000);
            prop_assert_eq!(changes.is_empty(), before == after);
            let (back, _) = diff(&after, &before, 1000);
            prop_assert_eq!(back.len(), changes.len());
            for change in changes {
                prop_assert_ne!(change.before_json, change.after_json);
            }
        }
    }
}

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

//! Reads the members of a JSON object and says at which of them something is wrong.

use common::clock::Timestamp;
use serde_json::{Map, Value};

use crate::domain::problem::{Collector, Path, Shown};

/// Integers stay below 2^53, so that JavaScript and Lua can hold them.
const INTEGER_END: i64 = 1 << 53;

/// The members of an object that may have those that are `known` and no other.
pub(super) fn object<'v>(
    value: &'v Value,
    known: &[&str],
    path: &Path<'_>,
    problems: &mut Collector,
) -> Option<&'v Map<String, Value>> {
    let members = any_object(value, path, problems)?;
    for name in members.keys().filter(|name| !known.contains(&name.as_str())) {
        problems.add(&path.member(name), format!("is not known here; there are {}", known.join(", ")));
    }
    Some(members)
}

/// The members of an object, whatever they are called.
pub(super) fn any_object<'v>(
    value: &'v Value,
    path: &Path<'_>,
    problems: &mut Collector,
) -> Option<&'v Map<String, Value>> {
    let members = value.as_object();
    if members.is_none() {
        problems.add(path, format!("must be an object and is {}", kind_of(value)));
    }
    members
}

/// The items of a list; none if the member is absent or something else.
pub(super) fn list<'v>(
    members: &'v Map<String, Value>,
    name: &str,
    items_max: usize,
    path: &Path<'_>,
    problems: &mut Collector,
) -> &'v [Value] {
    let Some(value) = members.get(name) else { return &[] };
    let Some(items) = value.as_array() else {
        problems.add(&path.member(name), format!("must be an array and is {}", kind_of(value)));
        return &[];
    };
    if items.len() > items_max {
        problems.add(&path.member(name), format!("has {} items, which is more than {items_max}", items.len()));
        return &[];
    }
    items
}

/// A text, if the member is there.
pub(super) fn text<'v>(
    members: &'v Map<String, Value>,
    name: &str,
    path: &Path<'_>,
    problems: &mut Collector,
) -> Option<&'v str> {
    let value = members.get(name)?;
    let text = value.as_str();
    if text.is_none() {
        problems.add(&path.member(name), format!("must be a string and is {}", kind_of(value)));
    }
    text
}

/// A text of `chars_min` to `chars_max` characters, if the member is there.
pub(super) fn bounded_text<'v>(
    members: &'v Map<String, Value>,
    name: &str,
    chars: std::ops::RangeInclusive<usize>,
    path: &Path<'_>,
    problems: &mut Collector,
) -> Option<&'v str> {
    let text = text(members, name, path, problems)?;
    let fits = chars.contains(&text.chars().count());
    if !fits {
        problems.add(&path.member(name), format!("must have {}-{} characters", chars.start(), chars.end()));
    }
    fits.then_some(text)
}

/// A moment in Unix milliseconds, if the member is there.
pub(super) fn moment(
    members: &Map<String, Value>,
    name: &str,
    path: &Path<'_>,
    problems: &mut Collector,
) -> Option<Timestamp> {
    let value = members.get(name)?;
    let millis = value.as_i64().filter(|millis| (0..INTEGER_END).contains(millis));
    if millis.is_none() {
        problems.add(&path.member(name), "must be Unix milliseconds, an integer below 2^53 that is not negative");
    }
    millis.map(Timestamp::from_millis)
}

/// Account ids: positive and below 2^53. Sorted, each once.
pub(super) fn accounts(
    members: &Map<String, Value>,
    name: &str,
    accounts_max: usize,
    path: &Path<'_>,
    problems: &mut Collector,
) -> Box<[i64]> {
    let list_path = path.member(name);
    let mut accounts = Vec::new();
    for (index, item) in list(members, name, accounts_max, path, problems).iter().enumerate() {
        match item.as_i64().filter(|account| (1..INTEGER_END).contains(account)) {
            Some(account) => accounts.push(account),
            None => problems.add(&list_path.index(index), "must be an account id, a positive integer below 2^53"),
        }
    }
    accounts.sort_unstable();
    accounts.dedup();
    accounts.into()
}

/// Whether `name` can name something; what it can't is told.
pub(super) fn name_is_good(name: &str, bytes_max: usize, path: &Path<'_>, problems: &mut Collector) -> bool {
    let good = !name.is_empty() && name.len() <= bytes_max && !name.chars().any(char::is_control);
    if !good {
        problems.add(
            path,
            format!(
                "is named {:?}: a name has 1-{bytes_max} bytes without control characters",
                Shown(name).to_string()
            ),
        );
    }
    good
}

/// What a value is, for a sentence.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

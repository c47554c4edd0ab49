//! The effective configuration as a file that could be loaded again, but for its secrets.

use std::fmt::Write;

use figment::value::{Dict, Value};
use serde::Serialize;

use super::origin::Provenance;

/// TOML with one comment per value that says where it came from. Secrets print as their redaction.
pub(super) fn to_toml<R: Serialize>(root: &R, provenance: &Provenance) -> String {
    let mut text = String::new();
    if let Ok(Value::Dict(_, entries)) = Value::serialize(root) {
        write_table(&mut text, &entries, &mut Vec::new(), provenance);
    }
    text
}

/// First the table's own values, then the tables inside it: TOML has no way back to the outer table.
fn write_table<'a>(text: &mut String, entries: &'a Dict, path: &mut Vec<&'a str>, provenance: &Provenance) {
    for (name, value) in entries {
        path.push(name);
        let line = match (value, toml::Value::try_from(value)) {
            (Value::Dict(..), _) => None,
            (_, Ok(shown)) => Some(format!("{} = {shown}  # from {}", quoted(name), provenance.of(&path.join(".")))),
            (_, Err(_)) => Some(format!("# {name} is not set")),
        };
        // Writing to a string can't fail.
        let _ = line.map(|line| writeln!(text, "{line}"));
        path.pop();
    }
    for (name, value) in entries {
        if let Value::Dict(_, inner) = value {
            path.push(name);
            let header: Vec<_> = path.iter().map(|name| quoted(name)).collect();
            let _ = writeln!(text, "\n[{}]", header.join("."));
            write_table(text, inner, path, provenance);
            path.pop();
        }
    }
}

/// A name as TOML writes it.
fn quoted(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { name.to_owned() } else { toml::Value::from(name).to_string() }
}

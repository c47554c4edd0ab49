//! The effective configuration as a file that could be loaded again, but for its secrets.

use std::fmt::Write;

use figment::value::{Dict, Value};
use serde::Serialize;

use super::origin::Provenance;

/// TOML with one comment per value that says where it came from. Secrets print as their redaction.
pub(super) fn to_toml<R: Serialize>(root: &R, provenance: &Provenance) -> String {
    let mut text = String::new();
    if let Ok(Value::Dict(_, entries)) = Value::serialize(root) {
        write_table(&mut text, &entries, "", provenance);
    }
    text
}

/// First the table's own values, then the tables inside it: TOML has no way back to the outer table.
fn write_table(text: &mut String, entries: &Dict, path: &str, provenance: &Provenance) {
    let full = |name: &str| if path.is_empty() { quoted(name) } else { format!("{path}.{}", quoted(name)) };
    for (name, value) in entries {
        let line = match (value, toml::Value::try_from(value)) {
            (Value::Dict(..), _) => continue,
            (_, Ok(shown)) => format!("{} = {shown}  # from {}", quoted(name), provenance.of(&full(name))),
            (_, Err(_)) => format!("# {name} is not set"),
        };
        // Writing to a string can't fail.
        let _ = writeln!(text, "{line}");
    }
    for (name, value) in entries {
        if let Value::Dict(_, inner) = value {
            let path = full(name);
            let _ = writeln!(text, "\n[{path}]");
            write_table(text, inner, &path, provenance);
        }
    }
}

/// A name as TOML writes it.
fn quoted(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { name.to_owned() } else { toml::Value::from(name).to_string() }
}

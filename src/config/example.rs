//! Keeps `playgate.example.toml` equal to the sections: every key, with its default, and no other key.
//!
//! In that file a line `#key = value` is a key that is left at its default, and a line `# Text` explains. A key without
//! a default shows a value of the right form.

use std::fs;

use common::config::{ConfigFile, LoadOptions, Loaded, Origin, load};
use serde_json::Value;

use super::Configuration;

const EXAMPLE: &str = include_str!("../../playgate.example.toml");

/// A key line or table line that is commented out: `#` and then no space.
fn is_commented_out(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '['))
}

fn uncommented() -> String {
    EXAMPLE.lines().map(|line| if is_commented_out(line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
}

fn loaded(text: &str) -> Loaded<Configuration> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("playgate.toml");
    fs::write(&path, text).expect("a file");
    let options = LoadOptions { file: ConfigFile::Required(path), ..LoadOptions::default() };
    load(options).unwrap_or_else(|error| panic!("playgate.example.toml: {error}"))
}

fn values(configuration: &Configuration) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    collect(String::new(), serde_json::to_value(configuration).expect("serialisable"), &mut leaves);
    leaves
}

fn collect(path: String, value: Value, leaves: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (name, inner) in entries {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                collect(path, inner, leaves);
            }
        }
        leaf => leaves.push((path, leaf)),
    }
}

#[test]
fn the_example_as_it_stands_changes_nothing() {
    assert_eq!(values(&loaded(EXAMPLE).value), values(&Configuration::default()));
}

#[test]
fn the_example_shows_every_key_with_its_default_and_no_other_key() {
    let shown = loaded(&uncommented());
    let shown_values = values(&shown.value);
    let mut wrong = Vec::new();
    for (key, default) in values(&Configuration::default()) {
        let value = shown_values.iter().find(|(shown, _)| *shown == key).map(|(_, value)| value);
        let is_shown = matches!(shown.provenance.of(&key), Origin::File(_));
        // What is absent by default is shown with a value of the right form instead.
        if !is_shown || (!default.is_null() && value != Some(&default)) {
            wrong.push(format!("{key} = {default}"));
        }
    }
    assert!(wrong.is_empty(), "playgate.example.toml lacks these, or shows another default:\n{}", wrong.join("\n"));
}

#[test]
fn the_example_says_what_each_key_is_for() {
    let lines: Vec<_> = EXAMPLE.lines().collect();
    for (above, line) in lines.iter().zip(&lines[1..]) {
        if is_commented_out(line) && line.contains(" = ") {
            assert!(above.starts_with("# "), "no explanation above `{line}`");
        }
    }
}

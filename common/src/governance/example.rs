//! Keeps `deploy/playgate-govern.example.toml` equal to the rules: every key, with its default, and no other key.
//!
//! In that file a line `#key = value` is a key that is left at its default, and a line `# Text` explains. A key without
//! a default shows a value of the right form.

use govern::rules::Rules;
use serde_json::Value;

const EXAMPLE: &str = include_str!("../../../deploy/playgate-govern.example.toml");

/// A key line or table line that is commented out: `#` and then no space.
fn is_commented_out(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_lowercase() || first == '['))
}

fn uncommented() -> String {
    EXAMPLE.lines().map(|line| if is_commented_out(line) { &line[1..] } else { line }).collect::<Vec<_>>().join("\n")
}

/// Every value of a document, by its path.
fn values(document: &str) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    collect(String::new(), toml::from_str(document).expect("TOML"), &mut leaves);
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
    assert_eq!(Rules::parse(EXAMPLE), Ok(Rules::default()));
}

#[test]
fn the_example_shows_every_key_with_its_default_and_no_other_key() {
    let shown = uncommented();
    Rules::parse(&shown).unwrap_or_else(|problems| panic!("playgate-govern.example.toml: {problems:#?}"));
    let shown = values(&shown);
    let defaults = Rules::default().effective().expect("it can be written");
    let mut wrong = Vec::new();
    for (key, default) in values(&defaults) {
        // A table that is empty by default, and a list, show what could be in them.
        let is_empty = default == Value::Object(serde_json::Map::new()) || default == Value::Array(Vec::new());
        if !is_empty && !shown.contains(&(key.clone(), default.clone())) {
            wrong.push(format!("{key} = {default}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "playgate-govern.example.toml lacks these, or has another default:\n{}",
        wrong.join("\n")
    );
    for optional in ["routes.login.rate.limit", "routes.login.in_flight", "keys.partner.rate.per", "lanes.rules"] {
        assert!(shown.iter().any(|(key, _)| key == optional), "{optional} is not shown");
    }
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

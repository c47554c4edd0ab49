//! Which schemas are taken, and that none of them makes a check endless.

use serde_json::{Value, json};

use super::*;
use crate::domain::testing::{parse, problems};

/// Work enough for any one schema.
const PLENTY: usize = 10_000_000;

fn compile(schema: &Value) -> Result<Schema, String> {
    Schema::compile(schema, &mut PLENTY.clone())
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_its_place_and_without_its_text() {
    let schema = compile(&json!({
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}}},
        "required": ["items"],
        "additionalProperties": false,
    }))
    .expect("a schema");
    schema.check(&json!({"items": ["a", "bc"]})).expect("fits");
    let wrong = schema.check(&json!({"items": ["a", "SECRET"]})).expect_err("does not fit");
    assert_eq!(wrong, "does not fit the schema: at /items/1: value does not match \"^[a-z]+$\"");
    assert!(schema.check(&json!({})).is_err());
}

#[test]
fn a_format_is_a_remark_and_not_checked() {
    compile(&json!({"format": "email"})).expect("a schema").check(&json!("nobody")).expect("fits");
}

#[test]
fn what_is_no_schema_is_refused() {
    for bad in [json!(1), json!({"type": "text"}), json!({"minimum": "1"}), json!({"pattern": "("})] {
        let reason = compile(&bad).expect_err("no schema");
        assert!(reason.starts_with("is not a JSON Schema: "), "{bad}: {reason}");
    }
}

#[test]
fn nothing_outside_a_schema_is_followed() {
    for elsewhere in ["https://example.com/s.json", "file:///etc/passwd", "other.json", "#anchor", "#/$defs/none"] {
        let reason = compile(&json!({"$ref": elsewhere})).expect_err("elsewhere");
        assert!(reason.contains("only #/… is followed"), "{elsewhere}: {reason}");
    }
    for keyword in MOVING_KEYWORDS {
        let reason = compile(&json!({"properties": {"a": {keyword: "#a"}}})).expect_err("moves");
        assert_eq!(reason, format!("has {keyword}, which is not taken: $ref with #/… reaches every part of a schema"));
    }
    compile(&json!({"$schema": "http://json-schema.org/draft-07/schema#"})).expect_err("another dialect");
    compile(&json!({"$schema": DIALECT})).expect("the dialect");
}

#[test]
fn a_schema_may_refer_to_its_own_parts() {
    let schema = compile(&json!({
        "$defs": {"id": {"type": "integer", "minimum": 1}},
        "type": "array", "items": {"$ref": "#/$defs/id"},
    }))
    .expect("a schema");
    schema.check(&json!([1, 2])).expect("fits");
    schema.check(&json!([1, 0])).expect_err("does not fit");
}

#[test]
fn references_in_a_circle_and_references_that_multiply_are_refused_at_once() {
    let mut multiplying = json!({"$defs": {"d0": {"type": "number"}}, "$ref": "#/$defs/d60"});
    for level in 1..=60 {
        let below = json!({"$ref": format!("#/$defs/d{}", level - 1)});
        multiplying["$defs"][format!("d{level}")] = json!({"allOf": [below, below]});
    }
    let two = json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"});
    for bad in [json!({"$ref": "#"}), json!({"items": {"$ref": "#"}}), two, multiplying] {
        let reason = compile(&bad).expect_err("never ends");
        assert!(reason.starts_with("is too large, or refers to itself"), "{reason}");
    }
}

#[test]
fn a_pattern_that_makes_others_go_back_and_forth_is_matched_in_linear_time() {
    let schema = compile(&json!({"pattern": "^(a+)+$"})).expect("a schema");
    schema.check(&json!(format!("{}!", "a".repeat(100_000)))).expect_err("does not fit");
    compile(&json!({"pattern": "^(?=a)a"})).expect_err("look-ahead is not linear");
    compile(&json!({"pattern": "((a{100}){100}){100}"})).expect_err("a huge pattern");
}

#[test]
fn a_document_whose_check_would_take_too_long_is_refused() {
    let schema = json!({"items": {"allOf": vec![json!({"minimum": 0}); 3_000]}});
    let value: Vec<Value> = vec![json!(1); 100_000];
    let found = problems(&json!({"settings": {"list": {"type": "json", "value": value, "schema": schema}}}));
    let reason = "is too large for its schema: checking the document would take too long".to_owned();
    assert_eq!(found, [("settings.list.value".to_owned(), reason)]);
}

#[test]
fn keywords_that_look_at_a_value_again_for_each_level_are_refused() {
    for keyword in ["unevaluatedProperties", "unevaluatedItems"] {
        let reason = compile(&json!({"anyOf": [{keyword: false}]})).expect_err("multiplies");
        assert_eq!(
            reason,
            format!("has {keyword}, which is not taken: the time of a check would double with each level")
        );
    }
}

#[test]
fn a_document_with_more_patterns_than_can_be_made_ready_in_time_is_refused() {
    let document = |patterns: usize| {
        let patterns: Vec<Value> = (0..patterns).map(|index| json!({"pattern": format!("^{index}$")})).collect();
        let declared = json!({"type": "string", "value": "none", "schema": {"not": {"anyOf": patterns}}});
        json!({"settings": {"a": declared, "b": declared, "c": declared}})
    };
    parse(&document(10)).expect("few");
    let reason = "takes too long to be made ready, together with the schemas before it".to_owned();
    assert_eq!(problems(&document(2_600)).first(), Some(&("settings.a.schema".to_owned(), reason)));
}

#[test]
fn values_that_are_small_enough_each_but_not_together_are_refused() {
    let schema = json!({"items": {"allOf": vec![json!({"minimum": 0}); 3_000]}});
    let value: Vec<Value> = vec![json!(1); 1_000];
    let rules = |count: usize| vec![json!({"setting": "list", "value": value}); count];
    let document = |count: usize| {
        let declared = json!({"type": "json", "value": [], "schema": schema});
        json!({"settings": {"list": declared}, "rules": rules(count)})
    };
    parse(&document(5)).expect("together they are checked in time");
    assert_eq!(
        problems(&document(20)).first().map(|(_, reason)| reason.as_str()),
        Some("is too large for its schema: checking the document would take too long")
    );
}

#[test]
fn a_schema_that_is_wrong_is_told_at_its_place() {
    let found = problems(&json!({"settings": {"a": {"type": "number", "value": "1", "schema": {"$ref": "x"}}}}));
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["settings.a.schema", "settings.a.value"], "the type is checked all the same");
}

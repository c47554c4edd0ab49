//! What a document may not say, and where and why that is told.

use serde_json::{Value, json};

use super::*;
use crate::domain::testing::{pairs, parse, problems};

/// A document that is right but for what `change` did to it has exactly this problem.
#[track_caller]
fn refused(change: impl FnOnce(&mut Value), path: &str, reason: &str) {
    let mut document = json!({
        "settings": {
            "rate": {"type": "number", "value": 1},
            "on": {"type": "bool", "value": true, "description": "whether it is"},
            "motd": {"type": "string", "value": "hello"},
            "shop": {"type": "json", "value": null},
        },
        "channels": {"store": {"rate": 2}},
        "packages": {"com.example.game": {"rate": 3}},
        "segments": {"testers": {"accounts": [1, 2]}, "wide": {"any": ["testers"], "version": ">=1"}},
        "rules": [
            {"setting": "rate", "value": 4, "when": {"percent": 10}},
            {"setting": "on", "value": false, "when": {"segments": ["wide"]}, "description": "not for them"},
        ],
    });
    parse(&document).expect("right before the change");
    change(&mut document);
    assert_eq!(problems(&document), [(path.to_owned(), reason.to_owned())], "{document}");
}

#[test]
fn what_is_no_document_is_refused_as_a_whole() {
    let limits = DocumentLimits::default();
    for (text, reason) in [
        ("", "is not JSON: EOF while parsing a value at line 1 column 0"),
        ("{", "is not JSON: EOF while parsing an object at line 1 column 1"),
        ("{} {}", "is not JSON: trailing characters at line 1 column 4"),
        (r#"{"settings":{"a":1e999}}"#, "is not JSON: number out of range at line 1 column 22"),
        ("[]", "must be an object and is an array"),
        ("null", "must be an object and is null"),
        ("{}", "has no settings"),
    ] {
        let problems = Document::parse(text.as_bytes(), &limits).expect_err(text);
        assert_eq!(pairs(problems), [(String::new(), reason.to_owned())], "{text}");
    }
    assert!(Document::parse(b"{\"settings\":{\"\xff\":1}}", &limits).is_err(), "not UTF-8");
}

#[test]
fn twenty_megabytes_are_refused_before_they_are_read() {
    let text = "[".repeat(20 << 20);
    let problems = Document::parse(text.as_bytes(), &DocumentLimits::default()).expect_err("too large");
    assert_eq!(pairs(problems), [(String::new(), "has 20971520 bytes, which is more than 1048576".to_owned())]);
}

#[test]
fn nesting_without_end_is_refused_and_overflows_nothing() {
    let limits = DocumentLimits { nesting_max: usize::MAX, ..DocumentLimits::default() };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [101, 500, 100_000] {
            let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let problems = pairs(Document::parse(text.as_bytes(), &limits).expect_err("too deep"));
            assert_eq!(problems.len(), 1);
            assert!(
                problems[0].1.contains("nested deeper than") || problems[0].1.contains("recursion limit"),
                "{problems:?}"
            );
        }
    }
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!([deep]);
    }
    let problems = problems(&json!({"settings": {"a": {"type": "json", "value": deep}}}));
    assert_eq!(problems[0].1, "is nested deeper than 32 levels");
    assert!(problems[0].0.starts_with("settings.a.value[0][0]"), "{problems:?}");
}

#[test]
fn a_member_that_is_there_twice_is_refused_at_every_depth() {
    let text = br#"{"settings":{"a":{"type":"json","value":{"x":[{"y":1,"y":2}]}},"a":{"type":"bool","value":true}}}"#;
    let problems = Document::parse(text, &DocumentLimits::default()).expect_err("twice");
    let twice = "is there twice".to_owned();
    assert_eq!(
        pairs(problems),
        [("settings.a.value.x[0].y".to_owned(), twice.clone()), ("settings.a".to_owned(), twice)]
    );
}

#[test]
fn an_unknown_member_is_refused_and_the_known_ones_are_told() {
    let known = "is not known here; there are settings, channels, packages, segments, rules";
    refused(|document| document["revision"] = json!(1), "revision", known);
    let known = "is not known here; there are type, value, schema, description";
    refused(|document| document["settings"]["rate"]["min"] = json!(1), "settings.rate.min", known);
    let known = "is not known here; there are setting, value, when, description";
    refused(|document| document["rules"][1]["unless"] = json!({}), "rules[1].unless", known);
    let known =
        "is not known here; there are channel, package, version, percent, salt, by, accounts, from, until, segments";
    refused(|document| document["rules"][0]["when"]["country"] = json!("de"), "rules[0].when.country", known);
    let known = "is not known here; there are channel, package, version, percent, salt, by, accounts, from, until, any";
    refused(|document| document["segments"]["wide"]["segments"] = json!([]), "segments.wide.segments", known);
}

#[test]
fn a_declaration_that_is_not_whole_is_refused() {
    let declared = |declaration: Value| move |document: &mut Value| document["settings"]["new"] = declaration;
    refused(declared(json!(true)), "settings.new", "must be an object and is a bool");
    refused(declared(json!({"value": 1})), "settings.new", "has no type");
    refused(declared(json!({"type": "bool"})), "settings.new", "has no value");
    let types = "must be bool, number, string or json";
    refused(declared(json!({"type": "float", "value": 1})), "settings.new.type", types);
    refused(declared(json!({"type": 1, "value": 1})), "settings.new.type", "must be a string and is a number");
    refused(declared(json!({"type": "bool", "value": 1})), "settings.new.value", "is a number and not a bool");
    refused(declared(json!({"type": "number", "value": "1"})), "settings.new.value", "is a string and not a number");
    refused(declared(json!({"type": "string", "value": null})), "settings.new.value", "is null and not a string");
    let described = json!({"type": "bool", "value": true, "description": 1});
    refused(declared(described), "settings.new.description", "must be a string and is a number");
    refused(
        |document| document["settings"][""] = json!({"type": "bool", "value": true}),
        "settings.",
        "is named \"\": a name has 1-128 bytes without control characters",
    );
    refused(
        |document| document["settings"]["a\n"] = json!({"type": "bool", "value": true}),
        "settings.a\u{fffd}",
        "is named \"a\u{fffd}\": a name has 1-128 bytes without control characters",
    );
    let long = "n".repeat(129);
    let problems = problems(&json!({"settings": {long: {"type": "bool", "value": true}}}));
    assert!(problems[0].0.len() < 100 && problems[0].1.contains("1-128 bytes"), "{problems:?}");
}

#[test]
fn layers_and_rules_name_only_declared_settings_and_have_their_type() {
    let unknown = "names no setting: \"raet\" is not declared";
    refused(|document| document["channels"]["store"]["raet"] = json!(1), "channels.store.raet", unknown);
    refused(
        |document| document["packages"]["com.example.game"]["raet"] = json!(1),
        "packages.com.example.game.raet",
        unknown,
    );
    refused(|document| document["rules"][0]["setting"] = json!("raet"), "rules[0].setting", unknown);
    refused(
        |document| document["channels"]["store"]["rate"] = json!("1"),
        "channels.store.rate",
        "is a string and not a number",
    );
    refused(|document| document["rules"][1]["value"] = json!(null), "rules[1].value", "is null and not a bool");
    refused(|document| document["rules"][1] = json!({"value": 1}), "rules[1]", "has no setting");
    refused(|document| document["rules"][1] = json!({"setting": "on"}), "rules[1]", "has no value");
    refused(|document| document["rules"] = json!({}), "rules", "must be an array and is an object");
    refused(|document| document["rules"][0] = json!("rate"), "rules[0]", "must be an object and is a string");
    refused(
        |document| document["channels"]["App Store"] = json!({}),
        "channels.App Store",
        "is no channel: its name must be 1-32 of a-z, 0-9, _ and -",
    );
    refused(
        |document| document["channels"]["store"] = json!([]),
        "channels.store",
        "must be an object and is an array",
    );
}

#[test]
fn a_declaration_that_is_wrong_is_told_once_and_not_at_everything_that_uses_it() {
    let document = json!({
        "settings": {"rate": {"type": "float", "value": 1}},
        "channels": {"store": {"rate": 2}},
        "rules": [{"setting": "rate", "value": 3}],
    });
    assert_eq!(problems(&document).len(), 1);
}

#[test]
fn a_condition_that_can_not_be_is_refused() {
    let when =
        |name: &'static str, value: Value| move |document: &mut Value| document["rules"][0]["when"][name] = value;
    let percent = "must be a number from 0 to 100 with at most three decimals";
    for bad in [json!(130), json!(-1), json!(100.001), json!(0.0001), json!("10"), json!(null)] {
        refused(when("percent", bad), "rules[0].when.percent", percent);
    }
    refused(when("by", json!("phone")), "rules[0].when.by", "must be account or device");
    refused(when("salt", json!(7)), "rules[0].when.salt", "must be a string and is a number");
    refused(when("salt", json!("s".repeat(129))), "rules[0].when.salt", "has more than 128 bytes");
    let version = "must be comparisons joined by commas, each >=, >, <=, < or = and a version";
    for bad in ["1.2", "^1.2", ">=1.2 <2", ">=1.2,", ","] {
        let reason = if bad == ">=1.2 <2" {
            "compares with something that is not a version such as 1.2, 1.2.3.4 or 1.12.0-beta"
        } else {
            version
        };
        refused(when("version", json!(bad)), "rules[0].when.version", reason);
    }
    let account = "must be an account id, a positive integer below 2^53";
    for bad in [json!(0), json!(-5), json!(1.5), json!("1"), json!(1_i64 << 53)] {
        refused(when("accounts", json!([7, bad])), "rules[0].when.accounts[1]", account);
    }
    refused(when("accounts", json!(7)), "rules[0].when.accounts", "must be an array and is a number");
    refused(when("channel", json!("store")), "rules[0].when.channel", "must be an array and is a string");
    refused(when("channel", json!(["A"])), "rules[0].when.channel[0]", "must be 1-32 of a-z, 0-9, _ and -");
    refused(when("package", json!([""])), "rules[0].when.package[0]", "must have 1-128 bytes");
    refused(when("package", json!([1])), "rules[0].when.package[0]", "must be a string and is a number");
    refused(when("segments", json!(["none"])), "rules[0].when.segments[0]", "names no segment: there is no \"none\"");
    let moment = "must be Unix milliseconds, an integer below 2^53 that is not negative";
    for bad in [json!(-1), json!(1.5), json!("2026-11-30"), json!(1_i64 << 53), json!(null)] {
        refused(when("from", bad.clone()), "rules[0].when.from", moment);
        refused(when("until", bad), "rules[0].when.until", moment);
    }
    refused(
        |document| document["rules"][0]["when"] = json!({"from": 5, "until": 5}),
        "rules[0].when.until",
        "must be later than from",
    );
    refused(|document| document["rules"][0]["when"] = json!(null), "rules[0].when", "must be an object and is null");
}

#[test]
fn a_list_that_lost_its_last_entry_does_not_turn_a_rule_for_some_into_one_for_everyone() {
    let reason = "has no condition that is not empty: leave all of them out to mean everyone";
    for bad in [
        json!({"accounts": []}),
        json!({"channel": [], "package": []}),
        json!({"segments": []}),
        json!({"version": " "}),
        json!({"salt": "s"}),
    ] {
        refused(|document| document["rules"][0]["when"] = bad, "rules[0].when", reason);
    }
    refused(|document| document["segments"]["testers"] = json!({"accounts": []}), "segments.testers", reason);
}

#[test]
fn segments_that_go_in_a_circle_are_refused_with_the_circle() {
    refused(
        |document| document["segments"]["testers"]["any"] = json!(["wide"]),
        "segments.testers.any",
        "goes in a circle: testers -> wide -> testers",
    );
    refused(
        |document| document["segments"]["testers"]["any"] = json!(["testers"]),
        "segments.testers.any",
        "goes in a circle: testers -> testers",
    );
    refused(
        |document| {
            document["segments"]["a"] = json!({"any": ["b"]});
            document["segments"]["b"] = json!({"any": ["testers", "c"]});
            document["segments"]["c"] = json!({"any": ["d"]});
            document["segments"]["d"] = json!({"any": ["b"]});
        },
        "segments.b.any",
        "goes in a circle: b -> c -> d -> b",
    );
    refused(
        |document| document["segments"]["wide"]["any"] = json!(["nobody"]),
        "segments.wide.any[0]",
        "names no segment: there is no \"nobody\"",
    );
}

#[test]
fn segments_may_lead_to_one_another_thirty_two_deep() {
    let chain = |length: usize| {
        let mut segments = serde_json::Map::new();
        for index in 1..length {
            segments.insert(format!("s{index:03}"), json!({"any": [format!("s{:03}", index + 1)]}));
        }
        segments.insert(format!("s{length:03}"), json!({"accounts": [1]}));
        json!({"settings": {}, "segments": segments})
    };
    parse(&chain(32)).expect("not too deep");
    let reason = "begins a chain of more than 32 segments".to_owned();
    assert_eq!(problems(&chain(33)), [("segments.s001.any".to_owned(), reason.clone())]);
    assert_eq!(problems(&chain(500)), [("segments.s468.any".to_owned(), reason)]);
}

#[test]
fn everything_wrong_is_told_at_once_up_to_a_hundred() {
    let rules = |count: usize| -> Vec<Value> {
        (0..count).map(|_| json!({"setting": "none", "value": 1, "when": {"percent": 130}})).collect()
    };
    let document = |count| json!({"settings": {}, "channels": {"A": {}}, "rules": rules(count)});
    let few = problems(&document(2));
    let paths: Vec<_> = few.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        paths,
        ["channels.A", "rules[0].when.percent", "rules[0].setting", "rules[1].when.percent", "rules[1].setting"]
    );
    assert_eq!(problems(&document(5000)).len(), 100);
    let text = parse(&document(2)).expect_err("bad").to_string();
    assert_eq!(text, "channels.A is no channel: its name must be 1-32 of a-z, 0-9, _ and - (and 4 more)");
}

#[test]
fn each_limit_refuses_what_is_beyond_it() {
    let limits = DocumentLimits {
        settings_max: 1,
        rules_max: 1,
        segments_max: 1,
        layers_max: 1,
        accounts_max: 1,
        ..DocumentLimits::default()
    };
    let one = json!({
        "settings": {"a": {"type": "number", "value": 1}},
        "channels": {"a": {}},
        "packages": {"a": {}},
        "segments": {"a": {"accounts": [1]}},
        "rules": [{"setting": "a", "value": 1}],
    });
    let parse = |document: &Value| Document::parse(document.to_string().as_bytes(), &limits);
    parse(&one).expect("at the limits");
    let more = "has 2 entries, which is more than 1";
    for (path, entry, reason) in [
        ("settings", json!({"type": "number", "value": 1}), more),
        ("channels", json!({}), more),
        ("packages", json!({}), more),
        ("segments", json!({"accounts": [1]}), more),
    ] {
        let mut two = one.clone();
        two[path]["b"] = entry;
        let found = pairs(parse(&two).expect_err("beyond the limit"));
        assert!(found.contains(&(path.to_owned(), reason.to_owned())), "{found:?}");
    }
    for (path, change) in [
        ("rules", json!([{"setting": "a", "value": 1}, {"setting": "a", "value": 1}])),
        ("segments.a.accounts", json!({"a": {"accounts": [1, 2]}})),
    ] {
        let mut two = one.clone();
        two[path.split('.').next().expect("not empty")] = change;
        let found = pairs(parse(&two).expect_err("beyond the limit"));
        assert_eq!(found, [(path.to_owned(), "has 2 items, which is more than 1".to_owned())]);
    }
}

#[test]
fn values_of_every_layer_fit_the_schema() {
    let document = |value: Value, channel: Value, package: Value, rule: Value| {
        json!({
            "settings": {"size": {"type": "number", "value": value, "schema": {"minimum": 1, "maximum": 9}}},
            "channels": {"store": {"size": channel}},
            "packages": {"com.example": {"size": package}},
            "rules": [{"setting": "size", "value": rule}],
        })
    };
    parse(&document(json!(1), json!(2), json!(3), json!(9))).expect("all fit");
    let found = problems(&document(json!(0), json!(10), json!(11), json!(-1)));
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["settings.size.value", "channels.store.size", "packages.com.example.size", "rules[0].value"]);
    assert_eq!(found[0].1, "does not fit the schema: value is less than the minimum of 1");
}

#[test]
fn the_documents_in_the_guide_are_good() {
    let guide = include_str!("../../../../../docs/settings.md");
    let (guide, _) = guide.split_once("## Publishing").expect("commands have a part of their own");
    let documents: Vec<&str> = guide.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(documents.len(), 2);
    for document in documents {
        if let Err(problems) = Document::parse(document.as_bytes(), &DocumentLimits::default()) {
            panic!("{problems}: {document}");
        }
    }
}

//! What the settings of the platform may say.

use serde_json::{Value, json};

use crate::domain::testing::{parse, problems};

fn declared(name: &str, kind: &str, value: &Value) -> Value {
    json!({"settings": {name: {"type": kind, "value": value}}})
}

#[test]
fn a_name_of_the_platform_that_it_does_not_know_is_refused() {
    assert_eq!(
        problems(&declared("platform.maintainance", "json", &json!(null))),
        [(
            "settings.platform.maintainance".to_owned(),
            "is not known here: of platform.* there are platform.maintenance, platform.registration_open, \
             platform.login_kinds, platform.notices"
                .to_owned()
        )]
    );
    parse(&declared("platforms", "json", &json!(null))).expect("not the platform's");
}

#[test]
fn a_setting_of_the_platform_has_its_type() {
    for (name, kind) in
        [("maintenance", "bool"), ("registration_open", "json"), ("login_kinds", "string"), ("notices", "number")]
    {
        let name = format!("platform.{name}");
        let found = problems(&declared(&name, kind, &json!(null)));
        assert_eq!(found[0].0, format!("settings.{name}.type"));
        assert!(found[0].1.starts_with("must be "), "{found:?}");
    }
    parse(&declared("platform.registration_open", "bool", &json!(false))).expect("good");
}

#[test]
fn maintenance_that_can_not_be_is_refused() {
    let good = json!({"message": "Back soon", "from": 1, "until": 2, "allow_accounts": [1, 2]});
    for value in [json!(null), good.clone(), json!({"message": "x".repeat(500)})] {
        parse(&declared("platform.maintenance", "json", &value)).expect("good");
    }
    let known = "is not known here; there are message, from, until, allow_accounts";
    for (member, value, path, reason) in [
        ("message", json!(""), ".message", "must have 1-500 characters"),
        ("message", json!("ü".repeat(501)), ".message", "must have 1-500 characters"),
        ("message", json!(1), ".message", "must be a string and is a number"),
        ("until", json!(1), ".until", "must be later than from"),
        ("allow_accounts", json!([0]), ".allow_accounts[0]", "must be an account id, a positive integer below 2^53"),
        ("allow_accounts", json!(vec![1; 1001]), ".allow_accounts", "has 1001 items, which is more than 1000"),
        ("allowed", json!([]), ".allowed", known),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let expected = (format!("settings.platform.maintenance.value{path}"), reason.to_owned());
        assert_eq!(problems(&declared("platform.maintenance", "json", &bad)), [expected]);
    }
    let none = ("settings.platform.maintenance.value".to_owned(), "has no message".to_owned());
    assert_eq!(problems(&declared("platform.maintenance", "json", &json!({"until": 5}))), [none]);
    let found = problems(&declared("platform.maintenance", "json", &json!(true)));
    assert_eq!(found[0].1, "must be an object and is a bool");
}

#[test]
fn login_kinds_are_known_and_at_least_one() {
    parse(&declared("platform.login_kinds", "json", &json!(["password", "device", "phone", "channel"]))).expect("good");
    let reason = "must be an array with at least one of password, device, phone, channel, each once";
    for bad in [json!([]), json!(null), json!(["fax"]), json!(["phone", "phone"]), json!("phone"), json!([1])] {
        let found = problems(&declared("platform.login_kinds", "json", &bad));
        assert_eq!(found, [("settings.platform.login_kinds.value".to_owned(), reason.to_owned())], "{bad}");
    }
}

#[test]
fn a_notice_that_can_not_be_is_refused() {
    let good = json!({"id": "a", "title": "t", "body": "b", "url": "https://example.com", "from": 1, "until": 2});
    parse(&declared("platform.notices", "json", &json!([good, {"id": "b", "title": "t", "body": "b"}]))).expect("good");
    for (member, value, reason) in [
        ("id", json!(""), "must have 1-64 characters"),
        ("title", json!("t".repeat(201)), "must have 1-200 characters"),
        ("body", json!("b".repeat(4001)), "must have 1-4000 characters"),
        ("url", json!("javascript:alert(1)"), "must begin with https:// or http://"),
        ("until", json!(0), "must be later than from"),
        ("icon", json!(1), "is not known here; there are id, title, body, url, from, until"),
    ] {
        let mut bad = good.clone();
        bad[member] = value;
        let expected = (format!("settings.platform.notices.value[0].{member}"), reason.to_owned());
        assert_eq!(problems(&declared("platform.notices", "json", &json!([bad]))), [expected]);
    }
    let path = |rest: &str| format!("settings.platform.notices.value{rest}");
    let twice = problems(&declared("platform.notices", "json", &json!([good, good])));
    assert_eq!(twice, [(path("[1].id"), "is another notice's too".to_owned())]);
    let many = problems(&declared("platform.notices", "json", &json!(vec![good; 21])));
    assert_eq!(many, [(path(""), "has more than 20 notices".to_owned())]);
    let empty = problems(&declared("platform.notices", "json", &json!([{}])));
    assert_eq!(empty.len(), 3, "{empty:?}");
    assert_eq!(problems(&declared("platform.notices", "json", &json!({})))[0].0, path(""));
}

#[test]
fn a_layer_and_a_rule_are_held_to_the_platform_s_rules_too() {
    let document = json!({
        "settings": {"platform.maintenance": {"type": "json", "value": null}},
        "channels": {"store": {"platform.maintenance": {"message": ""}}},
        "rules": [{"setting": "platform.maintenance", "value": 1, "when": {"percent": 1}}],
    });
    let found = problems(&document);
    let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["channels.store.platform.maintenance.message", "rules[0].value"]);
}

//! Who gets what.

use serde_json::json;

use super::*;
use crate::domain::{
    snapshot::DependsOn,
    testing::{account, at, device, nobody, on, package, snapshot, version},
};

#[test]
fn an_app_without_settings_has_an_empty_object_and_a_tag() {
    let empty = Snapshot::empty();
    let evaluation = evaluate(&empty, &nobody(), at(0));
    assert_eq!((empty.revision(), evaluation.settings_json().as_str()), (0, "{}"));
    assert_eq!((evaluation.notices_json().as_str(), evaluation.switches()), ("[]", Switches::default()));
    assert_eq!(evaluation.valid_until(), None);
    let tag = evaluation.entity_tag();
    assert!(tag.starts_with("\"0-") && tag.ends_with('"') && tag.len() == 36, "{tag}");
}

#[test]
fn channel_package_and_rules_lie_over_the_app_in_this_order() {
    let snapshot = snapshot(&json!({
        "settings": {
            "a": {"type": "number", "value": 0}, "b": {"type": "number", "value": 0},
            "c": {"type": "number", "value": 0}, "d": {"type": "json", "value": {"z": 1, "a": "ü"}},
        },
        "channels": {"store": {"a": 1, "b": 1, "c": 1}},
        "packages": {"com.example": {"b": 2, "c": 2}},
        "rules": [
            {"setting": "c", "value": 3, "when": {"version": ">=1.2"}},
            {"setting": "c", "value": 4, "when": {"accounts": [5]}},
        ],
    }));
    let mut caller = nobody();
    let expect = |caller: &Caller, settings: &str| {
        let expected = settings.replace('}', r#","d":{"a":"ü","z":1}}"#);
        assert_eq!(evaluate(&snapshot, caller, at(0)).settings_json(), expected);
    };
    expect(&caller, r#"{"a":0,"b":0,"c":0}"#);
    caller.channel = on("store").channel;
    expect(&caller, r#"{"a":1,"b":1,"c":1}"#);
    caller.package = package("com.example").package;
    expect(&caller, r#"{"a":1,"b":2,"c":2}"#);
    caller.version = version("1.3").version;
    expect(&caller, r#"{"a":1,"b":2,"c":3}"#);
    caller.account = Some(5);
    expect(&caller, r#"{"a":1,"b":2,"c":4}"#);
    caller.channel = nobody().channel;
    expect(&caller, r#"{"a":0,"b":2,"c":4}"#);
}

/// One rule with these conditions, and whether it applies.
#[track_caller]
fn applies(when: &serde_json::Value, caller: &Caller, now: i64) -> bool {
    let snapshot = snapshot(&json!({
        "settings": {"on": {"type": "bool", "value": false}},
        "segments": {
            "testers": {"accounts": [7]},
            "newer": {"version": ">=2"},
            "newer_testers": {"any": ["testers"], "version": ">=2"},
            "some": {"any": ["testers", "newer"]},
        },
        "rules": [{"setting": "on", "value": true, "when": when}],
    }));
    evaluate(&snapshot, caller, at(now)).settings_json() == r#"{"on":true}"#
}

#[test]
fn what_has_no_condition_or_an_empty_one_beside_others_holds_always() {
    assert!(applies(&json!({}), &nobody(), 0));
    let when = json!({"channel": [], "package": [], "accounts": [], "segments": [], "version": "", "percent": 100});
    assert!(applies(&when, &nobody(), 0));
}

#[test]
fn all_conditions_of_one_rule_must_hold() {
    let when =
        json!({"channel": ["store", "official"], "version": ">=1.2, <2", "accounts": [7], "from": 10, "until": 20});
    let whole = Caller { version: version("1.2.9").version, ..account(7) };
    assert!(applies(&when, &whole, 10));
    assert!(!applies(&when, &whole, 9));
    assert!(!applies(&when, &whole, 20));
    assert!(!applies(&when, &Caller { channel: on("other").channel, ..whole.clone() }, 10));
    assert!(!applies(&when, &Caller { version: version("2.0").version, ..whole.clone() }, 10));
    assert!(!applies(&when, &Caller { account: Some(8), ..whole }, 10));
}

#[test]
fn who_does_not_say_what_a_condition_asks_for_does_not_match_it() {
    for when in [
        json!({"package": ["com.example"]}),
        json!({"version": ">=0"}),
        json!({"accounts": [7]}),
        json!({"percent": 99.999}),
        json!({"segments": ["testers"]}),
    ] {
        assert!(!applies(&when, &nobody(), 0), "{when}");
    }
    assert!(!applies(&json!({"version": ">=0"}), &version("latest"), 0), "a version that can't be read");
    assert!(applies(&json!({"package": ["com.example"]}), &package("com.example"), 0));
}

#[test]
fn a_rollout_goes_by_the_account_and_by_the_device_while_there_is_none() {
    let both = |id: i64| Caller { device: Some(FastStr::new("d")), ..account(id) };
    let share = |by: Option<&str>, caller: &dyn Fn(i64) -> Caller| {
        let when = by.map_or(json!({"percent": 50}), |by| json!({"percent": 50, "by": by}));
        (1..=64).filter(|id| applies(&when, &caller(*id), 0)).count()
    };
    let some = 10..55;
    assert!(some.contains(&share(None, &both)), "accounts differ though the device does not");
    assert!(some.contains(&share(Some("account"), &both)));
    assert!([0, 64].contains(&share(Some("device"), &both)), "one device, one lot");
    assert_eq!(share(Some("account"), &|id| device(&id.to_string())), 0);
    assert!(some.contains(&share(None, &|id| device(&id.to_string()))));
    assert_eq!(share(Some("device"), &account), 0);
}

#[test]
fn a_segment_holds_when_its_own_conditions_do_and_one_of_those_it_names() {
    let tester = |text: &str| Caller { version: version(text).version, ..account(7) };
    assert!(applies(&json!({"segments": ["newer_testers"]}), &tester("2.0"), 0));
    assert!(!applies(&json!({"segments": ["newer_testers"]}), &tester("1.0"), 0));
    assert!(!applies(&json!({"segments": ["newer_testers"]}), &version("2.0"), 0));
    assert!(applies(&json!({"segments": ["some"]}), &tester("1.0"), 0));
    assert!(applies(&json!({"segments": ["some"]}), &version("2.0"), 0));
    assert!(!applies(&json!({"segments": ["some"]}), &version("1.0"), 0));
    assert!(applies(&json!({"segments": ["newer", "testers"]}), &version("2.0"), 0), "one of a rule's is enough");
}

#[test]
fn maintenance_may_be_for_one_channel_and_lasts_as_long_as_it_says() {
    let snapshot = snapshot(&json!({
        "settings": {
            "rate": {"type": "number", "value": 1},
            "platform.maintenance": {"type": "json", "value": null},
            "platform.registration_open": {"type": "bool", "value": true},
        },
        "channels": {"store": {
            "platform.maintenance": {"message": "Back soon", "from": 100, "until": 200, "allow_accounts": [9, 7]},
            "platform.registration_open": false,
        }},
    }));
    let ask = |channel: &str, now: i64| {
        let evaluation = evaluate(&snapshot, &on(channel), at(now));
        assert_eq!(evaluation.settings_json(), r#"{"rate":1}"#, "never among the settings");
        (evaluation.switches(), evaluation.entity_tag(), evaluation.valid_until())
    };
    let (official, official_tag, _) = ask("official", 150);
    assert_eq!((official.maintenance, official.registration_open, official.login_kinds), (None, Some(true), None));
    let (before, before_tag, valid_until) = ask("store", 99);
    assert_eq!((before.maintenance, before.registration_open), (None, Some(false)));
    assert_eq!(valid_until, Some(at(100)));
    assert_ne!(before_tag, official_tag);
    let (during, during_tag, valid_until) = ask("store", 100);
    let maintenance = during.maintenance.expect("has begun");
    assert_eq!((maintenance.message.as_str(), maintenance.until), ("Back soon", Some(at(200))));
    assert_eq!(&*maintenance.allowed_accounts, [7, 9]);
    assert_eq!(valid_until, Some(at(200)));
    assert_ne!(during_tag, before_tag);
    let (after, after_tag, valid_until) = ask("store", 200);
    assert_eq!((after.maintenance, valid_until), (None, None));
    assert_eq!(after_tag, before_tag);
}

#[test]
fn a_notice_is_shown_inside_its_window_and_as_it_was_published() {
    let snapshot = snapshot(&json!({
        "settings": {
            "platform.login_kinds": {"type": "json", "value": ["device", "password"]},
            "platform.notices": {"type": "json", "value": [
                {"title": "A", "id": "a", "body": "…", "until": 10},
                {"id": "b", "title": "B", "body": "…", "from": 5, "url": "https://example.com"},
            ]},
        },
    }));
    let ask = |now| evaluate(&snapshot, &nobody(), at(now));
    let a = r#"{"body":"…","id":"a","title":"A","until":10}"#;
    let b = r#"{"body":"…","from":5,"id":"b","title":"B","url":"https://example.com"}"#;
    assert_eq!(ask(4).notices_json(), format!("[{a}]"));
    assert_eq!(ask(5).notices_json(), format!("[{a},{b}]"));
    assert_eq!(ask(10).notices_json(), format!("[{b}]"));
    assert_eq!(ask(4).settings_json(), "{}");
    let kinds: Vec<_> = ask(4).switches().login_kinds.expect("switched").iter().map(|kind| kind.to_string()).collect();
    assert_eq!(kinds, ["device", "password"]);
    let mut tags = [4, 5, 10].map(|now| ask(now).entity_tag());
    tags.sort();
    assert!(tags.windows(2).all(|pair| pair[0] != pair[1]), "{tags:?}");
}

#[test]
fn another_revision_or_another_value_is_another_tag_and_the_way_to_it_does_not_matter() {
    let document = |value: i64| {
        json!({
            "settings": {"rate": {"type": "number", "value": value}},
            "channels": {"store": {"rate": 2}},
            "rules": [{"setting": "rate", "value": 2, "when": {"version": ">=2"}}],
        })
    };
    let tag = |value, caller: &Caller| evaluate(&snapshot(&document(value)), caller, at(0)).entity_tag();
    assert_ne!(tag(1, &nobody()), tag(3, &nobody()));
    assert_eq!(tag(1, &on("store")), tag(1, &version("2.0")), "both see 2");
    assert_eq!(tag(2, &nobody()), tag(2, &version("2.0")));
    let parse = || crate::domain::testing::parse(&document(1)).expect("good");
    let [six, seven] = [6, 7].map(|revision| Snapshot::compile(revision, parse()));
    assert_ne!(evaluate(&six, &nobody(), at(0)).entity_tag(), evaluate(&seven, &nobody(), at(0)).entity_tag());
}

#[test]
fn settings_that_swap_their_values_have_another_tag() {
    let snapshot = snapshot(&json!({
        "settings": {"a": {"type": "number", "value": 1}, "b": {"type": "number", "value": 2}},
        "channels": {"store": {"a": 2, "b": 1}},
    }));
    let tag = |channel| evaluate(&snapshot, &on(channel), at(0)).entity_tag();
    assert_ne!(tag("official"), tag("store"));
}

#[test]
fn a_document_knows_which_fields_of_a_caller_matter() {
    let depends_on = |rest: serde_json::Value| {
        let mut document = json!({"settings": {"on": {"type": "bool", "value": true}}});
        document.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        snapshot(&document).depends_on()
    };
    let rule = |when: serde_json::Value| json!({"rules": [{"setting": "on", "value": true, "when": when}]});
    let none = DependsOn::default();
    assert_eq!(depends_on(json!({})), none);
    assert_eq!(depends_on(json!({"channels": {"store": {"on": false}}})), none);
    assert_eq!(depends_on(rule(json!({"channel": ["store"], "from": 1}))), none);
    assert_eq!(depends_on(json!({"packages": {"a": {}}})), none);
    let package = DependsOn { package: true, ..none };
    assert_eq!(depends_on(json!({"packages": {"a": {"on": false}}})), package);
    assert_eq!(depends_on(rule(json!({"package": ["a"]}))), package);
    assert_eq!(depends_on(rule(json!({"version": ">=1"}))), DependsOn { version: true, ..none });
    assert_eq!(depends_on(rule(json!({"accounts": [1]}))), DependsOn { account: true, ..none });
    let either = DependsOn { account: true, device: true, ..none };
    assert_eq!(depends_on(rule(json!({"percent": 10}))), either);
    assert_eq!(depends_on(rule(json!({"percent": 10, "by": "device"}))), DependsOn { device: true, ..none });
    assert_eq!(depends_on(rule(json!({"percent": 100}))), none, "everyone is in");
    assert_eq!(depends_on(rule(json!({"percent": 0}))), none, "nobody is in");
    let segment = json!({
        "segments": {"s": {"version": ">=1"}},
        "rules": [{"setting": "on", "value": true, "when": {"segments": ["s"]}}],
    });
    assert_eq!(depends_on(segment), DependsOn { version: true, ..none });
}

#[test]
fn the_weight_of_a_snapshot_grows_with_what_it_holds() {
    let weight = |accounts: i64, text: &str| {
        snapshot(&json!({
            "settings": {"motd": {"type": "string", "value": text}},
            "segments": {"s": {"accounts": (1..=accounts).collect::<Vec<_>>()}},
        }))
        .weight_bytes()
    };
    let small = weight(1, "");
    assert!(weight(10_001, "") >= small + 80_000);
    assert!(weight(1, &"x".repeat(10_000)) >= small + 20_000, "the value and the text of all defaults");
}

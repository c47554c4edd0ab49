use std::sync::LazyLock;

use common::clock::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::SHIPPED;
use crate::{
    channels::{
        Acknowledgement, CallbackRefusal, Charged, Money, Outcome, PaymentFacts, RawCallback, Verdict, What,
        testing::{channel, facts, malformed, post},
    },
    domain::Currency,
};

/// A callback in the form of every shipped manifest, with the configuration it was made for, by Python's `hashlib`, `hmac`
/// and `cryptography` from the rules that each manifest names; keys were made up or thrown away.
static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../vectors/manifests.json")).expect("JSON"));

const ORDER: &str = "0193a7c05e4b7a3c8d2f1b6e9a0c4d57";

/// Of each shipped manifest: the channel's number, whether it says when, and where the signature is.
const EXPECTED: [(&str, &str, bool, &str); 5] = [
    ("huawei", "A20261130103456001", true, "sign"),
    ("oppo", "GC202611301034560000000001", false, "sign"),
    ("uc", "abcf1330", false, "/sign"),
    ("vivo", "2026113010345600000000000001", true, "signature"),
    ("xiaomi", "21140990160359583390", true, "signature"),
];

fn send(config: &Value, query: &str, body: &str) -> Result<Verdict, CallbackRefusal> {
    let method = if query.is_empty() { "POST" } else { "GET" };
    let callback = RawCallback { method, path: "/", query, headers: &[], body: body.as_bytes() };
    channel(config).verify(&callback, Timestamp::from_millis(0))
}

fn shipped(name: &str, change: impl Fn(&str) -> String) -> Result<Verdict, CallbackRefusal> {
    let vector = &VECTORS[name];
    let text = |field: &str| vector[field].as_str().map(&change).unwrap_or_default();
    send(&vector["config"], &text("query"), &text("body"))
}

fn replaced(name: &str, from: &str, to: &str) -> Result<Verdict, CallbackRefusal> {
    shipped(name, |sent| {
        assert!(sent.contains(from), "{name}: {from}");
        sent.replacen(from, to, 1)
    })
}

#[test]
fn every_shipped_manifest_believes_its_channel_as_often_as_it_comes() {
    assert_eq!(SHIPPED.map(|shipped| shipped.name), EXPECTED.map(|(name, ..)| name));
    for (name, channel_order_id, says_when, _) in EXPECTED {
        let expected = PaymentFacts {
            order_id: Some(ORDER.to_owned()),
            channel_order_id: channel_order_id.to_owned(),
            charged: Charged::Exactly(Money { amount: 600, currency: Currency::parse("CNY").expect("a currency") }),
            paid_at: says_when.then(|| Timestamp::from_millis(1_796_006_096_000)),
            is_test: false,
            channel_product_id: None,
            what: What::Paid,
        };
        for _ in 0..2 {
            assert_eq!(facts(shipped(name, str::to_owned)), expected, "{name}");
        }
    }
}

#[test]
fn whatever_was_altered_on_the_way_is_refused() {
    for (name, from, to) in [
        ("oppo", "price=600", "price=1"),
        ("oppo", "count=1", "count=2"),
        ("oppo", "attach=", "attach=x"),
        ("vivo", "orderAmount=600", "orderAmount=1"),
        ("vivo", "extInfo=", "extInfo=x"),
        ("huawei", "&amount=6.00", "&amount=0.01"),
        ("huawei", "&accessMode=0", ""),
        ("xiaomi", "payFee=600", "payFee=1"),
        ("xiaomi", "cpUserInfo=", "cpUserInfo=x"),
        ("uc", r#""amount": "6.00""#, r#""amount": "0.01""#),
        // A number is signed as it is written.
        ("uc", r#""amount": "6.00""#, r#""amount": 6.0"#),
        ("uc", r#""failedDesc": """#, r#""failedDesc": "x""#),
    ] {
        assert_eq!(replaced(name, from, to), Err(CallbackRefusal::BadSignature), "{name}: {from} -> {to}");
    }
    for (name, channel_order_id, ..) in EXPECTED {
        let swapped = shipped(name, |sent| {
            sent.replace(ORDER, "\0").replace(channel_order_id, ORDER).replace('\0', channel_order_id)
        });
        assert_eq!(swapped, Err(CallbackRefusal::BadSignature), "{name}");
        assert_eq!(replaced(name, ORDER, &ORDER.to_uppercase()), Err(CallbackRefusal::BadSignature), "{name}");
    }
}

#[test]
fn a_signature_in_another_case_or_none_is_refused() {
    for (name, _, _, field) in EXPECTED {
        let with_signature = |signature: fn(&str) -> String| {
            shipped(name, |sent| {
                let marker = if name == "uc" { r#""sign": ""#.to_owned() } else { format!("&{field}=") };
                let (before, behind) = sent.split_once(&marker).expect("signed");
                let end = behind.find(['"', '&']).unwrap_or(behind.len());
                let (old, rest) = behind.split_at(end);
                format!("{before}{marker}{}{rest}", signature(old))
            })
        };
        assert!(with_signature(str::to_owned).is_ok(), "{name}");
        let other_case = with_signature(|old| {
            let upper = old.to_ascii_uppercase();
            if upper == old { old.to_ascii_lowercase() } else { upper }
        });
        assert_eq!(other_case, Err(CallbackRefusal::BadSignature), "{name}");
        assert_eq!(malformed(&with_signature(|_| String::new())), field, "{name}");
        assert_eq!(with_signature(|_| "x".to_owned()), Err(CallbackRefusal::BadSignature), "{name}");
    }
}

#[test]
fn a_parameter_twice_is_refused_whatever_its_values() {
    for name in ["huawei", "oppo", "vivo", "xiaomi"] {
        assert!(malformed(&shipped(name, |sent| format!("{sent}&extra=1&extra=1"))).contains(['q', 'b']), "{name}");
    }
    for (name, from, to) in [
        ("oppo", "price=600", "price=600&price=600"),
        ("xiaomi", "payFee=600", "payFee=600&pay%46ee=1"),
        ("uc", r#""amount": "6.00""#, r#""amount": "6.00", "amount": "6.00""#),
        ("uc", r#""data": "#, r#""data": {}, "data": "#),
    ] {
        assert!(matches!(replaced(name, from, to), Err(CallbackRefusal::Malformed { .. })), "{name}: {to}");
    }
}

#[test]
fn a_payment_for_somebody_else_is_refused_although_it_is_signed() {
    for (name, key, parameter) in [
        ("vivo", "app_id", "appId"),
        ("vivo", "cp_id", "cpId"),
        ("huawei", "user_name", "userName"),
        ("xiaomi", "app_id", "appId"),
        ("uc", "game_id", "gameId"),
    ] {
        let mut config = VECTORS[name]["config"].clone();
        config["merchant"][key] = json!("another");
        let text = |field: &str| VECTORS[name][field].as_str().unwrap_or_default();
        let refused = send(&config, text("query"), text("body"));
        assert_eq!(refused, Err(CallbackRefusal::wrong_merchant(parameter)), "{name}");
    }
}

#[test]
fn a_callback_from_elsewhere_in_the_request_is_not_looked_at() {
    let body = VECTORS["vivo"]["body"].as_str().expect("a text");
    let refused = send(&VECTORS["vivo"]["config"], body, "");
    assert_eq!(malformed(&refused), "signature");
    // Xiaomi calls with either method, and never with both.
    let query = VECTORS["xiaomi"]["query"].as_str().expect("a text");
    assert!(post(&*channel(&VECTORS["xiaomi"]["config"]), query).is_ok());
    let foreign = send(&VECTORS["xiaomi"]["config"], "cpOrderId=x", query);
    assert_eq!(malformed(&foreign), "signature");
}

#[test]
fn every_shipped_manifest_answers_in_its_channel_s_words() {
    for (name, accepted, refused, later) in [
        ("oppo", "result=OK&resultMsg=", "result=FAIL&resultMsg=refused", "result=FAIL&resultMsg=later"),
        ("vivo", "success", "fail", "fail"),
        ("huawei", r#"{"result":0}"#, r#"{"result":1}"#, r#"{"result":94}"#),
        ("xiaomi", r#"{"errcode":200}"#, r#"{"errcode":1525}"#, r#"{"errcode":1525}"#),
        ("uc", "SUCCESS", "FAILURE", "FAILURE"),
    ] {
        let channel = channel(&VECTORS[name]["config"]);
        let Acknowledgement { status, body, .. } = channel.acknowledge(Outcome::Accepted);
        assert_eq!((status, body.as_ref()), (200, accepted), "{name}");
        assert_eq!(channel.acknowledge(Outcome::Refused).body, refused, "{name}");
        assert_eq!(channel.acknowledge(Outcome::ComeBackLater).body, later, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn nothing_that_came_panics_or_is_believed(query in ".*", body in ".*", tail in "[ -~]{0,30}") {
        for (name, ..) in EXPECTED {
            let config = &VECTORS[name]["config"];
            prop_assert!(send(config, &query, &body).is_err());
            prop_assert!(send(config, &tail, &tail).is_err());
            let _ = shipped(name, |sent| format!("{sent}{tail}"));
            let _ = shipped(name, |sent| format!("{tail}{sent}"));
        }
    }
}

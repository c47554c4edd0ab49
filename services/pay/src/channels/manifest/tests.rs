use std::sync::LazyLock;

use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use common::clock::Timestamp;
use md5::{Digest, Md5};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::SHIPPED;
use crate::{
    channels::{
        Acknowledgement, CallbackRefusal, ChannelConfig, Charged, Money, Outcome, PaymentFacts, RawCallback, Verdict,
        What,
        testing::{RsaSigner, channel, facts, malformed, post, problems},
    },
    domain::Currency,
};

/// A callback in the form of every shipped manifest, with the configuration it was made for, by Python's `hashlib`, `hmac`
/// and `cryptography` from the rules that each manifest names; keys were made up or thrown away.
static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../vectors/manifests.json")).expect("JSON"));

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

/// A manifest of this test's own: JSON, signed with a hash over `o=…&…` and the key.
fn manifest() -> Value {
    json!({
        "documentation": "none", "source": "form",
        "signature": { "at": { "parameter": "sign" }, "algorithm": "md5", "order": "sorted", "suffix": "{key}" },
        "success": { "s": ["ok", "fine"] },
        "test": { "t": ["1"] },
        "fields": {
            "order_id": "o", "channel_order_id": "c", "amount": { "parameter": "a", "unit": "minor" },
            "currency": { "parameter": "cur" }, "product_id": "p",
            "paid_at": { "parameter": "at", "format": "unix_s" },
        },
        "acknowledge": {
            "accepted": { "body": "ok" }, "refused": { "body": "no" }, "come_back_later": { "body": "later" },
        },
    })
}

fn config_with(changes: &[(&str, Value)]) -> Value {
    let mut config = json!({ "kind": "manifest", "manifest": manifest(), "secrets": { "key": "KEY" } });
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        config.pointer_mut(parent).expect("there")[name] = value.clone();
    }
    config
}

fn md5(text: &str) -> String {
    hex::encode(Md5::digest(text))
}

/// Signs these parameters, which are in order, by the manifest above.
fn signed(parameters: &[(&str, &str)]) -> Result<Verdict, CallbackRefusal> {
    let text: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let signature = md5(&format!("{}KEY", text.join("&")));
    let mut body = form_urlencoded::Serializer::new(String::new());
    let body = body.extend_pairs(parameters).append_pair("sign", &signature).finish();
    send(&config_with(&[]), "", &body)
}

const GOOD: [(&str, &str); 8] = [
    ("a", "600"),
    ("at", "1780000000"),
    ("c", "c1"),
    ("cur", "JPY"),
    ("o", "o1"),
    ("p", "gold"),
    ("s", "ok"),
    ("t", "0"),
];

fn signed_with(name: &str, value: Option<&str>) -> Result<Verdict, CallbackRefusal> {
    let replaced = GOOD.iter().filter_map(|(there, old)| match value {
        Some(value) if *there == name => Some((*there, value)),
        None if *there == name => None,
        _ => Some((*there, *old)),
    });
    signed(&replaced.collect::<Vec<_>>())
}

#[test]
fn fields_say_what_the_manifest_says_they_say() {
    let good = facts(signed(&GOOD));
    assert_eq!(
        good,
        PaymentFacts {
            order_id: Some("o1".to_owned()),
            channel_order_id: "c1".to_owned(),
            charged: Charged::Exactly(Money { amount: 600, currency: Currency::parse("JPY").expect("a currency") }),
            paid_at: Some(Timestamp::from_millis(1_780_000_000_000)),
            is_test: false,
            channel_product_id: Some("gold".to_owned()),
            what: What::Paid,
        }
    );
    assert!(facts(signed_with("t", Some("1"))).is_test);
    assert_eq!(facts(signed_with("at", None)).paid_at, None);
    assert_eq!(facts(signed_with("s", Some("fine"))), good);
    for state in [Some("failed"), Some(""), Some("OK"), None] {
        assert!(matches!(signed_with("s", state), Ok(Verdict::Ignored(_))), "{state:?}");
    }
    for name in ["o", "c", "a", "cur", "p"] {
        assert_eq!(malformed(&signed_with(name, None)), name);
        assert_eq!(malformed(&signed_with(name, Some(""))), name);
    }
    for (name, value) in [("a", "6.00"), ("a", "-600"), ("a", "6e2"), ("cur", "rmb"), ("at", "now"), ("o", "o 1")] {
        assert_eq!(malformed(&signed_with(name, Some(value))), name, "{value}");
    }
}

#[test]
fn parameters_are_signed_in_every_form_the_field_has() {
    let names = json!(["o", "c", "a", "cur", "s", "n", "x"]);
    // What is signed of a=6&c=c+1&cur=CNY&n=&o=1&s=ok, with `n` empty and `x` not there.
    for (rules, written) in [
        (json!({ "order": "sorted" }), "a=6&c=c+1&cur=CNY&n=&o=1&s=ok"),
        (json!({ "order": "sorted", "empty": "drop" }), "a=6&c=c+1&cur=CNY&o=1&s=ok"),
        (json!({ "order": "sorted", "exclude": ["n"], "join": "" }), "a=6c=c+1cur=CNYo=1s=ok"),
        (json!({ "order": "sorted", "empty": "drop", "pair": "v", "join": "|" }), "6|c+1|CNY|1|ok"),
        (json!({ "order": "sorted", "empty": "drop", "pair": "kv", "join": "" }), "a6cc+1curCNYo1sok"),
        (json!({ "order": { "listed": names } }), "o=1&c=c+1&a=6&cur=CNY&s=ok&n=&x="),
        (json!({ "order": { "listed": names }, "empty": "drop" }), "o=1&c=c+1&a=6&cur=CNY&s=ok"),
        (json!({ "order": { "listed": names }, "pair": "v", "join": "" }), "1c+16CNYok"),
        (json!({ "order": "sorted", "url_encode": "values" }), "a=6&c=c%2B1&cur=CNY&n=&o=1&s=ok"),
    ] {
        for (prefix, suffix, keyed) in [
            ("", "&key={key}", format!("{written}&key=KEY")),
            ("{key}", "{md5(key)}", format!("KEY{written}{}", md5("KEY"))),
        ] {
            let mut signature = rules.clone();
            let fixed = [
                ("at", json!({ "parameter": "sign" })),
                ("algorithm", json!("md5")),
                ("prefix", json!(prefix)),
                ("suffix", json!(suffix)),
            ];
            for (name, value) in fixed {
                signature[name] = value;
            }
            let config = config_with(&[
                ("/manifest/signature", signature),
                ("/manifest/fields/product_id", Value::Null),
                ("/manifest/fields/paid_at", Value::Null),
                ("/manifest/test", Value::Null),
            ]);
            let good = send(&config, "", &format!("n=&a=6&c=c%2B1&cur=CNY&o=1&s=ok&sign={}", md5(&keyed)));
            assert!(good.is_ok(), "{rules}: {good:?}");
            let bad = send(&config, "", &format!("n=&a=6&c=c%2B1&cur=CNY&o=1&s=ok&sign={}", md5(written)));
            assert_eq!(bad, Err(CallbackRefusal::BadSignature), "{rules}");
        }
    }
    let whole = config_with(&[
        ("/manifest/signature/url_encode", json!("whole")),
        ("/manifest/signature/suffix", json!("&{key}")),
    ]);
    let sign = md5("a%3D600%26at%3D1%26c%3Dc1%26cur%3DCNY%26o%3Do1%26p%3Dg%26s%3Dok%26KEY");
    assert!(send(&whole, "", &format!("a=600&at=1&c=c1&cur=CNY&o=o1&p=g&s=ok&sign={sign}")).is_ok());
}

#[test]
fn algorithms_and_encodings_are_the_named_ones() {
    let text = "a=600&at=1780000000&c=c1&cur=JPY&o=o1&p=gold&s=ok&t=0";
    // `printf %s "$text" | openssl dgst -md5|-sha1|-sha256 [-hmac KEY]`; for the plain hashes with KEY behind the text.
    for (algorithm, encoding, suffix, sign) in [
        ("md5", "hex_upper", "{key}", "3456D8AF7519A43A4BDD3F54985AD665"),
        ("sha1", "hex", "{key}", "f9a4aeb857415044d2b1166688ed0df2728c8e26"),
        ("sha256", "hex", "{key}", "de34b1dec4affe50ab6f6719179a761105c9e015335b0d622848c5513bbd6ac1"),
        ("hmac_md5", "hex", "", "2ea0f19c446e55de0f2fb46147a2b31d"),
        ("hmac_sha1", "base64", "", "3MeLbnX5h5X8qfUo+ISmsDQVtjc="),
        ("hmac_sha256", "hex_upper", "", "5B3E09D5F14E3CC94274F0E8AB9455E0837C01F66DB0DF457FB2918D004E0228"),
    ] {
        let config = config_with(&[
            ("/manifest/signature/algorithm", json!(algorithm)),
            ("/manifest/signature/encoding", json!(encoding)),
            ("/manifest/signature/suffix", json!(suffix)),
        ]);
        let sign: String = form_urlencoded::byte_serialize(sign.as_bytes()).collect();
        assert!(send(&config, "", &format!("{text}&sign={sign}")).is_ok(), "{algorithm}");
        let lower = format!("{text}&sign={}", sign.to_lowercase());
        assert!(encoding == "hex" || send(&config, "", &lower) == Err(CallbackRefusal::BadSignature), "{algorithm}");
    }
}

#[test]
fn json_in_a_form_is_signed_as_it_came_and_read_as_it_is_written() {
    let signer = RsaSigner::new();
    let config = json!({
        "kind": "manifest", "public_key": signer.public_key(),
        "manifest": {
            "documentation": "none", "source": { "form_json": "transdata" }, "parameters_at": "/inner",
            "signature": { "at": { "form": "sign" }, "algorithm": "rsa_sha256", "encoding": "hex", "order": "raw" },
            "fields": {
                "order_id": "o", "channel_order_id": "c", "amount": { "parameter": "a", "unit": "major" },
                "currency": { "fixed": "CNY" },
            },
            "acknowledge": {
                "accepted": { "body": "ok" }, "refused": { "body": "no" }, "come_back_later": { "body": "later" },
            },
        },
    });
    let send = |document: &str, signature: &str| {
        let mut body = form_urlencoded::Serializer::new(String::new());
        post(&*channel(&config), &body.append_pair("transdata", document).append_pair("sign", signature).finish())
    };
    let sign = |document: &str| hex::encode(signer.sign_with(&RSA_PKCS1_SHA256, document.as_bytes()));
    let document =
        r#"{"inner": {"o": "\u006f1", "c": 12345678901234567890, "a": 6.00, "nested": {"o": 1}, "none": null}}"#;
    let good = facts(send(document, &sign(document)));
    assert_eq!((good.order_id.as_deref(), good.channel_order_id.as_str()), (Some("o1"), "12345678901234567890"));
    assert_eq!(
        good.charged,
        Charged::Exactly(Money { amount: 600, currency: Currency::parse("CNY").expect("a currency") })
    );
    let null = document.replace("6.00", "null");
    assert_eq!(malformed(&send(&null, &sign(&null))), "a");
    let altered = document.replace("6.00", "0.01");
    assert_eq!(send(&altered, &sign(document)), Err(CallbackRefusal::BadSignature));
    assert_eq!(send(document, &sign(document).to_uppercase()), Err(CallbackRefusal::BadSignature));
    let twice = format!("{},{}", &document[..document.len() - 1], &document[1..]);
    let no_text = r#"{"inner": {"o": "\ud800"}}"#;
    for wrong in ["", "7", "{}", r#"{"inner": []}"#, no_text, r#"{"inner": {"o": 1, "o": 1}}"#, &twice] {
        assert!(matches!(send(wrong, &sign(wrong)), Err(CallbackRefusal::Malformed { .. })), "{wrong}");
    }
}

#[test]
fn a_signature_in_a_header_is_found_once() {
    let config = config_with(&[
        ("/manifest/source", json!("json")),
        ("/manifest/signature", json!({ "at": { "header": "X-Sign" }, "algorithm": "hmac_sha256", "order": "raw" })),
    ]);
    let body = r#"{"a":600,"c":"c1","cur":"CNY","o":"o1","p":"gold","s":"ok"}"#;
    // `printf %s "$body" | openssl dgst -sha256 -hmac KEY`.
    let sign = "1ad3b9cb258c73e1b8c8c4d857fffc0987f75838491f800c3a3ff8d06b81c4bc";
    let verify = |headers: &[&str]| {
        let headers: Vec<_> = headers.iter().map(|value| ("x-sign".to_owned(), (*value).to_owned())).collect();
        let callback = RawCallback { method: "POST", path: "/", query: "", headers: &headers, body: body.as_bytes() };
        channel(&config).verify(&callback, Timestamp::from_millis(0))
    };
    assert!(verify(&[sign]).is_ok());
    assert_eq!(malformed(&verify(&[sign, sign])), "X-Sign");
    assert_eq!(malformed(&verify(&[])), "X-Sign");
    assert_eq!(verify(&["x"]), Err(CallbackRefusal::BadSignature));
}

#[test]
fn every_problem_of_a_manifest_is_named_by_its_place() {
    for (pointer, value, path) in [
        ("/manifest", json!("pay-you-pay-me"), "manifest"),
        ("/manifest", json!(7), "manifest"),
        ("/manifest/source", json!("post"), "manifest.source"),
        ("/manifest/more", json!(7), "manifest.more"),
        ("/manifest/parameters_at", json!("/data"), "manifest.parameters_at"),
        ("/manifest/signature/at", json!({ "pointer": "/sign" }), "manifest.signature.at.pointer"),
        ("/manifest/signature/at", json!({ "form": "sign" }), "manifest.signature.at.form"),
        ("/manifest/signature/at", json!({ "parameter": "" }), "manifest.signature.at"),
        ("/manifest/signature/algorithm", json!("md4"), "manifest.signature.algorithm"),
        ("/manifest/signature/algorithm", json!("rsa_sha1"), "manifest.signature.suffix"),
        ("/manifest/signature/suffix", json!("&key="), "manifest.signature.suffix"),
        ("/manifest/signature/suffix", json!("{kay}"), "manifest.signature.suffix"),
        ("/manifest/signature/order", json!("raw"), "manifest.signature.order"),
        ("/manifest/signature/order", json!({ "listed": [] }), "manifest.signature.order.listed"),
        ("/manifest/signature/order", json!({ "listed": ["o", "o"] }), "manifest.signature.order.listed"),
        // The old form of a well-known aggregator: the amount is not signed.
        (
            "/manifest/signature/order",
            json!({ "listed": ["o", "c", "cur", "p", "at", "s", "t"] }),
            "manifest.fields.amount.parameter",
        ),
        ("/manifest/signature/exclude", json!(["o"]), "manifest.fields.order_id"),
        ("/manifest/signature/exclude", json!(["s"]), "manifest.success"),
        ("/manifest/signature/exclude", json!(["t"]), "manifest.test"),
        ("/manifest/fields/order_id", json!("sign"), "manifest.fields.order_id"),
        ("/manifest/fields/order_id", json!(""), "manifest.fields.order_id"),
        ("/manifest/fields/amount", json!({ "parameter": "a" }), "manifest.fields.amount.unit"),
        ("/manifest/fields/amount", json!({ "parameter": "a", "unit": "jiao" }), "manifest.fields.amount.unit"),
        ("/manifest/fields/currency", json!({ "fixed": "RMBY" }), "manifest.fields.currency.fixed"),
        ("/manifest/fields/paid_at", json!({ "parameter": "at", "format": "HH" }), "manifest.fields.paid_at.format"),
        (
            "/manifest/fields/paid_at",
            json!({ "parameter": "at", "format": "unix_s", "utc_offset_minutes": 841 }),
            "manifest.fields.paid_at.utc_offset_minutes",
        ),
        ("/manifest/success", json!({ "s": [] }), "manifest.success"),
        ("/manifest/test", json!({}), "manifest.test"),
        ("/manifest/merchant", json!({ "m": "app_id" }), "merchant.app_id"),
        (
            "/manifest/acknowledge/accepted",
            json!({ "body": "ok", "status": 99 }),
            "manifest.acknowledge.accepted.status",
        ),
        (
            "/manifest/acknowledge/refused",
            json!({ "body": "ok", "content_type": "a\nb" }),
            "manifest.acknowledge.refused.content_type",
        ),
        ("/manifest/acknowledge/refused", json!({ "body": "x".repeat(1025) }), "manifest.acknowledge.refused.body"),
        ("/merchant", json!({ "app_id": "1" }), "merchant.app_id"),
        ("/public_key", json!("AAAA"), "public_key"),
        ("/secrets", json!({}), "secrets.key"),
        ("/secrets", json!({ "key": "" }), "secrets.key"),
        ("/secrets", json!({ "kay": "" }), "secrets.kay"),
    ] {
        let found = problems(&config_with(&[(pointer, value.clone())]));
        assert_eq!(found.first().map(String::as_str), Some(path), "{pointer} {value}: {found:?}");
    }
    // All of them at once.
    let many = config_with(&[
        ("/manifest/signature/suffix", json!("")),
        ("/manifest/signature/exclude", json!(["a"])),
        ("/manifest/fields/currency", json!({ "fixed": "x" })),
        ("/secrets", json!({})),
    ]);
    let expected = [
        "manifest.signature.suffix",
        "manifest.fields.amount.parameter",
        "manifest.fields.currency.fixed",
        "secrets.key",
    ];
    assert_eq!(problems(&many), expected);
}

#[test]
fn a_key_is_masked_and_never_printed() {
    let config = ChannelConfig::parse(&config_with(&[]).to_string(), None, false).expect("valid");
    let built = config.build(&crate::channels::BuildInputs::default());
    assert!(!config.masked().contains("KEY") && config.to_json().contains("KEY"));
    assert!(!format!("{config:?} {built:?}").contains("KEY"));
    let wrong = config_with(&[("/secrets/key", json!({ "KEY": 1 }))]);
    let refused = ChannelConfig::parse(&wrong.to_string(), None, false).expect_err("refused");
    assert!(!refused.to_string().contains("KEY"), "{refused}");
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

    #[test]
    fn no_configuration_panics(text in ".*", at in 0_usize..2000, json in "[{}\\[\\]\",:a-z0-9]*") {
        let _ = ChannelConfig::parse(&text, None, true);
        let _ = ChannelConfig::parse(&format!(r#"{{"kind":"manifest","manifest":{json}}}"#), None, true);
        let good = config_with(&[]).to_string();
        let at = at % good.len();
        let _ = ChannelConfig::parse(&format!("{}{json}{}", &good[..at], &good[at..]), None, true);
    }
}

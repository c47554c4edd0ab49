use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use common::clock::Timestamp;
use md5::{Digest, Md5};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    channels::{
        CallbackRefusal, ChannelConfig, Charged, Money, PaymentFacts, RawCallback, Verdict, What,
        testing::{RsaSigner, channel, facts, malformed, post, problems},
    },
    domain::Currency,
};

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
    post(&*channel(&config_with(&[])), &body)
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
            let good = post(&*channel(&config), &format!("n=&a=6&c=c%2B1&cur=CNY&o=1&s=ok&sign={}", md5(&keyed)));
            assert!(good.is_ok(), "{rules}: {good:?}");
            let bad = post(&*channel(&config), &format!("n=&a=6&c=c%2B1&cur=CNY&o=1&s=ok&sign={}", md5(written)));
            assert_eq!(bad, Err(CallbackRefusal::BadSignature), "{rules}");
        }
    }
    let whole = config_with(&[
        ("/manifest/signature/url_encode", json!("whole")),
        ("/manifest/signature/suffix", json!("&{key}")),
    ]);
    let sign = md5("a%3D600%26at%3D1%26c%3Dc1%26cur%3DCNY%26o%3Do1%26p%3Dg%26s%3Dok%26KEY");
    assert!(post(&*channel(&whole), &format!("a=600&at=1&c=c1&cur=CNY&o=o1&p=g&s=ok&sign={sign}")).is_ok());
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
        assert!(post(&*channel(&config), &format!("{text}&sign={sign}")).is_ok(), "{algorithm}");
        let lower = format!("{text}&sign={}", sign.to_lowercase());
        assert!(
            encoding == "hex" || post(&*channel(&config), &lower) == Err(CallbackRefusal::BadSignature),
            "{algorithm}"
        );
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
    let null = document.replace("12345678901234567890", "null");
    assert_eq!(malformed(&send(&null, &sign(&null))), "c");
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
    fn no_configuration_panics(text in ".*", at in 0_usize..2000, json in "[{}\\[\\]\",:a-z0-9]*") {
        let _ = ChannelConfig::parse(&text, None, true);
        let _ = ChannelConfig::parse(&format!(r#"{{"kind":"manifest","manifest":{json}}}"#), None, true);
        let good = config_with(&[]).to_string();
        let at = at % good.len();
        let _ = ChannelConfig::parse(&format!("{}{json}{}", &good[..at], &good[at..]), None, true);
    }
}

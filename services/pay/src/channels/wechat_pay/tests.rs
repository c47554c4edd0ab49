use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::channels::testing::{RsaSigner, channel, facts, malformed, post_at, problems};

/// Notices as WeChat Pay documents them, sealed and signed by Python's `cryptography` with a key that was thrown away:
/// `AESGCM(api_v3_key).encrypt(nonce, json, associated_data)`, and `padding.PKCS1v15()` with `hashes.SHA256()` over
/// timestamp, nonce and body.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/wechat_pay.json")).expect("JSON")
}

const SIGNED_AT: i64 = 1_780_000_000;
const API_V3_KEY: &str = "0123456789abcdef0123456789ABCDEF";
const SERIAL: &str = "PUB_KEY_ID_0000000000000024101100397200000006";

fn config(public_key: &str) -> Value {
    json!({
        "kind": "wechat_pay", "mch_id": "1900000001", "app_id": "wx0000000000000001",
        "platform_keys": { SERIAL: public_key }, "secrets": { "api_v3_key": API_V3_KEY },
    })
}

struct Sent {
    now_s: i64,
    timestamp: String,
    nonce: String,
    serial: String,
    signature: String,
    body: String,
}

fn verify(name: &str, change: impl Fn(&mut Sent)) -> Result<Verdict, CallbackRefusal> {
    let vectors = vectors();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut sent = Sent {
        now_s: SIGNED_AT,
        timestamp: text(&vectors["timestamp"]),
        nonce: text(&vectors["nonce"]),
        serial: text(&vectors["serial"]),
        signature: text(&vectors[name]["signature"]),
        body: text(&vectors[name]["body"]),
    };
    change(&mut sent);
    send(&*channel(&config(&text(&vectors["public_key"]))), &sent)
}

fn send(channel: &dyn PaymentChannel, sent: &Sent) -> Result<Verdict, CallbackRefusal> {
    let headers = [
        ("wechatpay-timestamp", sent.timestamp.as_str()),
        ("wechatpay-nonce", &sent.nonce),
        ("Wechatpay-Serial", &sent.serial),
        ("WECHATPAY-SIGNATURE", &sent.signature),
    ];
    post_at(channel, sent.now_s * 1000, &headers, &sent.body)
}

fn money(amount: i64) -> Money {
    Money { amount, currency: cny() }
}

fn paid() -> PaymentFacts {
    PaymentFacts {
        order_id: Some("0193a7c05e4b7a3c8d2f1b6e9a0c4d57".to_owned()),
        channel_order_id: "4200000000202605280000000001".to_owned(),
        // What was asked for, not what the player paid after WeChat's own discount.
        charged: Charged::Exactly(money(600)),
        // `date -d 2026-05-28T20:26:38+08:00 +%s`.
        paid_at: Some(Timestamp::from_millis(1_779_971_198_000)),
        is_test: false,
        channel_product_id: None,
        what: What::Paid,
    }
}

/// Notices of our own, sealed and signed with keys of our own.
struct Platform(RsaSigner);

impl Platform {
    fn notice(&self, event_type: &str, resource: &Value, key: &str) -> Result<Verdict, CallbackRefusal> {
        let nonce = [7; NONCE_LEN];
        let mut sealed = resource.to_string().into_bytes();
        let unbound = UnboundKey::new(&AES_256_GCM, key.as_bytes()).expect("a key");
        let sealing = LessSafeKey::new(unbound);
        sealing
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from("transaction"), &mut sealed)
            .expect("sealed");
        let body = json!({ "event_type": event_type, "resource": {
            "algorithm": "AEAD_AES_256_GCM", "ciphertext": BASE64_STANDARD.encode(sealed),
            "associated_data": "transaction", "nonce": str::from_utf8(&nonce).expect("ASCII"),
        } });
        self.send(&body.to_string())
    }

    fn send(&self, body: &str) -> Result<Verdict, CallbackRefusal> {
        let (timestamp, nonce) = (SIGNED_AT.to_string(), "n".to_owned());
        let signature = self.0.sign(format!("{timestamp}\n{nonce}\n{body}\n").as_bytes());
        let sent =
            Sent { now_s: SIGNED_AT, timestamp, nonce, serial: SERIAL.to_owned(), signature, body: body.to_owned() };
        send(&*channel(&config(&self.0.public_key())), &sent)
    }
}

fn transaction() -> Value {
    json!({
        "mchid": "1900000001", "appid": "wx0000000000000001", "out_trade_no": "o1", "transaction_id": "t1",
        "trade_state": "SUCCESS", "amount": { "total": 600 },
    })
}

#[test]
fn a_payment_is_believed_as_often_as_it_comes() {
    for _ in 0..2 {
        assert_eq!(facts(verify("paid", |_| ())), paid());
    }
}

#[test]
fn a_refund_says_how_much_went_back_this_time() {
    let refund = Refund {
        refund_id: Some("50000000000000000001".to_owned()),
        extent: RefundExtent::ThisTime(money(250)),
        refunded_at: Some(Timestamp::from_millis(1_780_016_400_000)),
    };
    let refunded = facts(verify("refunded", |_| ()));
    assert_eq!(refunded, PaymentFacts { what: What::Refunded(refund), paid_at: None, ..paid() });
    assert!(matches!(verify("refund_closed", |_| ()), Ok(Verdict::Ignored(_))));
    let platform = Platform(RsaSigner::new());
    let mut closed = json!({
        "mchid": "1900000001", "out_trade_no": "o1", "transaction_id": "t1", "refund_id": "r1",
        "refund_status": "CLOSED", "amount": { "total": 600, "refund": 600 },
    });
    assert!(matches!(platform.notice("REFUND.SUCCESS", &closed, API_V3_KEY), Ok(Verdict::Ignored(_))));
    closed["refund_status"] = json!("SUCCESS");
    closed["mchid"] = json!("another");
    let another = platform.notice("REFUND.SUCCESS", &closed, API_V3_KEY);
    assert_eq!(another, Err(CallbackRefusal::wrong_merchant("mchid")));
}

#[test]
fn whatever_was_altered_on_the_way_is_refused() {
    let changes: [fn(&mut Sent); 7] = [
        |sent| sent.body = sent.body.replace("TRANSACTION.SUCCESS", "TRANSACTION.SUCCES"),
        |sent| sent.body.push(' '),
        |sent| sent.nonce.push('0'),
        |sent| sent.timestamp = (SIGNED_AT + 1).to_string(),
        |sent| sent.signature = sent.signature.to_ascii_lowercase(),
        |sent| sent.signature.insert(0, 'A'),
        |sent| sent.signature = "WECHATPAY/SIGNTEST/AAAA".to_owned(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert_eq!(verify("paid", change), Err(CallbackRefusal::BadSignature), "{number}");
    }
}

#[test]
fn an_old_signature_is_refused_although_it_is_good() {
    for (off, good) in [(300, true), (-300, true), (301, false), (-301, false)] {
        let verdict = verify("paid", |sent| sent.now_s += off);
        assert_eq!(verdict.is_ok(), good, "{off}");
        assert!(good || verdict == Err(CallbackRefusal::StaleTimestamp), "{off}");
    }
}

#[test]
fn a_missing_header_or_an_unknown_key_is_named() {
    assert_eq!(malformed(&verify("paid", |sent| sent.signature.clear())), "Wechatpay-Signature");
    assert_eq!(malformed(&verify("paid", |sent| sent.timestamp.clear())), "Wechatpay-Timestamp");
    let unknown = verify("paid", |sent| sent.serial = "5157F09EFDC096DE".to_owned());
    assert_eq!(unknown, Err(CallbackRefusal::UnknownCertificate { serial: "5157F09EFDC096DE".to_owned() }));
}

#[test]
fn a_notice_for_somebody_else_is_refused_although_it_is_signed() {
    let platform = Platform(RsaSigner::new());
    let with = |name: &str, event: &str| {
        let mut transaction = transaction();
        transaction[name] = json!("somebody else");
        platform.notice(event, &transaction, API_V3_KEY)
    };
    assert_eq!(with("mchid", "TRANSACTION.SUCCESS"), Err(CallbackRefusal::wrong_merchant("mchid")));
    assert_eq!(with("appid", "TRANSACTION.SUCCESS"), Err(CallbackRefusal::wrong_merchant("appid")));
    let other_key = platform.notice("TRANSACTION.SUCCESS", &transaction(), &"k".repeat(32));
    assert_eq!(malformed(&other_key), "resource.ciphertext");
}

#[test]
fn a_signed_notice_that_is_wrong_is_refused_by_its_field() {
    let platform = Platform(RsaSigner::new());
    let good = platform.notice("TRANSACTION.SUCCESS", &transaction(), API_V3_KEY);
    assert_eq!(facts(good).charged, Charged::Exactly(money(600)));
    let mut unpaid = transaction();
    unpaid["trade_state"] = json!("CLOSED");
    let verdict = platform.notice("TRANSACTION.SUCCESS", &unpaid, API_V3_KEY);
    assert!(matches!(verdict, Ok(Verdict::Ignored(_))), "{verdict:?}");
    for (pointer, value, field) in [
        ("/amount", json!({}), "amount.total"),
        ("/amount/total", json!("600"), "amount.total"),
        ("/amount/total", json!(6.5), "amount.total"),
        ("/amount/total", json!(-600), "amount.total"),
        ("/amount", json!({ "total": 600, "currency": "元" }), "amount.currency"),
        ("/out_trade_no", json!(""), "out_trade_no"),
        ("/transaction_id", json!(7), "transaction_id"),
    ] {
        let mut transaction = transaction();
        *transaction.pointer_mut(pointer).expect("there") = value;
        assert_eq!(malformed(&platform.notice("TRANSACTION.SUCCESS", &transaction, API_V3_KEY)), field);
    }
    for (body, field) in [
        ("", "body"),
        ("{}", "event_type"),
        (r#"{"event_type":"TRANSACTION.SUCCESS","event_type":"REFUND.SUCCESS"}"#, "event_type"),
        (r#"{"event_type":"TRANSACTION.SUCCESS"}"#, "resource"),
        (
            r#"{"event_type":"TRANSACTION.SUCCESS","resource":{"algorithm":"NONE","ciphertext":"","nonce":""}}"#,
            "resource.algorithm",
        ),
    ] {
        assert_eq!(malformed(&platform.send(body)), field, "{body}");
    }
    assert!(matches!(platform.send(r#"{"event_type":"PAYSCORE.USER_PAID"}"#), Ok(Verdict::Ignored(_))));
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_its_places() {
    let mut bad = config("no key");
    bad["secrets"]["api_v3_key"] = json!("short");
    bad["mch_id"] = json!("");
    let key = format!("platform_keys.{SERIAL}");
    assert_eq!(problems(&bad), ["mch_id", "secrets.api_v3_key", key.as_str()]);
    let keys: Value = serde_json::from_str(include_str!("../vectors/public_keys.json")).expect("JSON");
    let mut by_certificate = config("");
    by_certificate["platform_keys"] =
        json!({ "5157F09EFDC096DE15EBE81A47057A7232F1B8E1": keys["rsa_2048_certificate"] });
    drop(channel(&by_certificate));
    by_certificate["platform_keys"] = json!({ "another": keys["rsa_2048_certificate"] });
    assert_eq!(problems(&by_certificate), ["platform_keys.another"]);
    by_certificate["platform_keys"] = json!({ "short": keys["rsa_1024_base64"] });
    assert_eq!(problems(&by_certificate), ["platform_keys.short"]);
    bad["platform_keys"] = json!({});
    assert_eq!(problems(&bad), ["mch_id", "secrets.api_v3_key", "platform_keys"]);
}

#[test]
fn secrets_are_masked_and_never_printed() {
    use crate::channels::ChannelConfig;
    let parse = |json: &str, previous| ChannelConfig::parse(json, previous, false);
    let vectors = vectors();
    let first = parse(&config(vectors["public_key"].as_str().expect("a text")).to_string(), None).expect("valid");
    assert!(!first.masked().contains(API_V3_KEY) && first.to_json().contains(API_V3_KEY));
    assert!(!format!("{first:?} {:?}", first.build(&crate::channels::BuildInputs::default())).contains(API_V3_KEY));
    let again = parse(&first.masked(), Some(&first)).expect("the secret is lent");
    assert_eq!(again.to_json(), first.to_json());
    let refused = parse(&first.masked(), None).expect_err("there is none to keep");
    assert_eq!(refused.problems[0].path, "secrets.api_v3_key");
}

#[test]
fn wechat_reads_its_own_words() {
    let vectors = vectors();
    let channel = channel(&config(vectors["public_key"].as_str().expect("a text")));
    assert_eq!(channel.acknowledge(Outcome::Accepted), Acknowledgement::empty(204));
    for (outcome, status) in [(Outcome::Refused, 400), (Outcome::ComeBackLater, 503)] {
        let answer = channel.acknowledge(outcome);
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!((answer.status, &body["code"]), (status, &json!("FAIL")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_body_panics_or_is_believed(body in ".*", header in "[ -~]*") {
        prop_assert!(verify("paid", |sent| sent.body.clone_from(&body)).is_err());
        let wrong = format!("{header}x");
        prop_assert!(verify("paid", |sent| sent.timestamp.clone_from(&wrong)).is_err());
        prop_assert!(verify("paid", |sent| sent.signature.clone_from(&wrong)).is_err());
    }
}

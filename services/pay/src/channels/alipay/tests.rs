use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::channels::testing::{RsaSigner, channel, facts, malformed, post, problems};

/// Notices as Alipay documents them, written and signed by Python's `urllib` and `cryptography` with a key that was thrown
/// away: names and values sorted and joined, `padding.PKCS1v15()`, `hashes.SHA256()`.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../vectors/alipay.json")).expect("JSON")
}

fn config(public_key: &str) -> Value {
    json!({
        "kind": "alipay", "app_id": "2021000000000001", "seller_id": "2088000000000001", "alipay_public_key": public_key,
    })
}

fn verify(name: &str, change: impl Fn(&str) -> String) -> Result<Verdict, CallbackRefusal> {
    let vectors = vectors();
    let text = |name: &str| vectors[name].as_str().expect("a text").to_owned();
    post(&*channel(&config(&text("public_key"))), &change(&text(name)))
}

fn money(amount: i64) -> Money {
    Money { amount, currency: cny() }
}

fn paid() -> PaymentFacts {
    PaymentFacts {
        order_id: Some("0193a7c05e4b7a3c8d2f1b6e9a0c4d57".to_owned()),
        channel_order_id: "2026113022001400001".to_owned(),
        charged: Charged::Exactly(money(600)),
        // `date -d '2026-11-30 10:34:56 +0800' +%s`.
        paid_at: Some(Timestamp::from_millis(1_796_006_096_000)),
        is_test: false,
        channel_product_id: None,
        what: What::Paid,
    }
}

/// A notice of our own, signed with a key of our own.
struct Notice {
    signer: RsaSigner,
    parameters: Vec<(String, String)>,
}

impl Notice {
    fn new() -> Self {
        let parameters = [
            ("app_id", "2021000000000001"),
            ("seller_id", "2088000000000001"),
            ("trade_status", "TRADE_SUCCESS"),
            ("out_trade_no", "o1"),
            ("trade_no", "t1"),
            ("total_amount", "6.00"),
        ];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { signer: RsaSigner::new(), parameters }
    }

    /// What is said to the notice with one parameter replaced, or left out.
    fn with(&self, name: &str, value: Option<&str>) -> Result<Verdict, CallbackRefusal> {
        let mut parameters = self.parameters.clone();
        parameters.retain(|(there, _)| there != name);
        parameters.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        parameters.sort();
        let signed: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let signature = self.signer.sign(signed.join("&").as_bytes());
        parameters.extend([("sign".to_owned(), signature), ("sign_type".to_owned(), "RSA2".to_owned())]);
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        post(&*channel(&config(&self.signer.public_key())), &body)
    }
}

#[test]
fn a_payment_is_believed_as_often_as_it_comes() {
    for _ in 0..2 {
        assert_eq!(facts(verify("paid", str::to_owned)), paid());
    }
}

#[test]
fn a_refund_says_how_much_went_back_so_far() {
    let refund = |id: &str, amount| {
        What::Refunded(Refund {
            refund_id: Some(id.to_owned()),
            extent: RefundExtent::SoFar(money(amount)),
            refunded_at: Some(Timestamp::from_millis(1_796_086_800_000)),
        })
    };
    let part = facts(verify("part_refunded", str::to_owned));
    assert_eq!(part, PaymentFacts { what: refund("refund-1", 250), ..paid() });
    let all = facts(verify("all_refunded", str::to_owned));
    assert_eq!(all, PaymentFacts { what: refund("refund-2", 600), ..paid() });
}

#[test]
fn a_trade_that_nobody_paid_is_ignored() {
    assert!(matches!(verify("wait", str::to_owned), Ok(Verdict::Ignored(_))));
    let notice = Notice::new();
    for state in ["TRADE_CLOSED", "SOMETHING_NEW"] {
        assert!(matches!(notice.with("trade_status", Some(state)), Ok(Verdict::Ignored(_))), "{state}");
    }
    assert_eq!(facts(notice.with("trade_status", Some("TRADE_FINISHED"))).what, What::Paid);
    for nothing in ["0.00", ""] {
        assert_eq!(facts(notice.with("refund_fee", Some(nothing))).what, What::Paid, "{nothing}");
    }
}

#[test]
fn whatever_was_altered_on_the_way_is_refused() {
    let order = "0193a7c05e4b7a3c8d2f1b6e9a0c4d57";
    for (from, to) in [
        ("total_amount=6.00", "total_amount=0.01"),
        (order, "0193a7c05e4b7a3c8d2f1b6e9a0c4d58"),
        ("TRADE_SUCCESS", "TRADE_FINISHED"),
        ("app_id=2021000000000001", "app_id=2021000000000002"),
        ("&version=1.0", ""),
        ("&version=1.0", "&version=1.0&more=1"),
        ("&sign=", "&sign=A"),
    ] {
        let altered = verify("paid", |body| {
            assert!(body.contains(from), "{from}");
            body.replacen(from, to, 1)
        });
        assert_eq!(altered, Err(CallbackRefusal::BadSignature), "{from} -> {to}");
    }
    let swapped = verify("paid", |body| {
        let trade = "2026113022001400001";
        body.replace(order, "x").replace(trade, order).replace("out_trade_no=x", &format!("out_trade_no={trade}"))
    });
    assert_eq!(swapped, Err(CallbackRefusal::BadSignature));
    // The signature of a real refund under a real payment.
    let other = verify("part_refunded", |refund| {
        let (_, signature) = refund.split_once("&sign=").expect("signed");
        let vectors = vectors();
        let paid = vectors["paid"].as_str().expect("a text");
        format!("{}&sign={signature}", paid.split_once("&sign=").expect("signed").0)
    });
    assert_eq!(other, Err(CallbackRefusal::BadSignature));
    let lower = verify("paid", |body| {
        let (rest, signature) = body.split_once("&sign=").expect("signed");
        format!("{rest}&sign={}", signature.to_ascii_lowercase())
    });
    assert_eq!(lower, Err(CallbackRefusal::BadSignature));
}

#[test]
fn a_parameter_twice_or_a_signature_that_is_none_is_refused() {
    let cut = |body: &str| body.split_once("&sign=").expect("signed").0.to_owned();
    assert_eq!(malformed(&verify("paid", |body| format!("{body}&total_amount=6.00"))), "body");
    assert_eq!(malformed(&verify("paid", |body| format!("{body}&%74otal_amount=0.01"))), "body");
    assert_eq!(malformed(&verify("paid", |body| format!("{}&sign=", cut(body)))), "sign");
    assert_eq!(malformed(&verify("paid", cut)), "sign");
    assert_eq!(malformed(&verify("paid", |body| body.replace("RSA2", "RSA"))), "sign_type");
    assert_eq!(malformed(&verify("paid", |body| body.replace("utf-8", "gbk"))), "charset");
}

#[test]
fn a_notice_for_somebody_else_is_refused_although_it_is_signed() {
    let notice = Notice::new();
    for name in ["app_id", "seller_id"] {
        assert_eq!(notice.with(name, Some("2088")), Err(CallbackRefusal::wrong_merchant(name)));
    }
}

#[test]
fn a_signed_notice_that_lacks_something_is_refused_by_its_field() {
    let notice = Notice::new();
    for name in ["app_id", "seller_id", "trade_status", "out_trade_no", "trade_no", "total_amount"] {
        assert_eq!(malformed(&notice.with(name, None)), name);
        assert_eq!(malformed(&notice.with(name, Some(""))), name);
    }
    for (name, value) in [
        ("total_amount", "6.001"),
        ("total_amount", "-6.00"),
        ("total_amount", "6e2"),
        ("out_trade_no", "o 1"),
        ("gmt_payment", "yesterday"),
        ("refund_fee", "x"),
    ] {
        assert_eq!(malformed(&notice.with(name, Some(value))), name, "{value}");
    }
}

#[test]
fn a_configuration_that_cannot_work_is_refused_by_its_places() {
    assert_eq!(problems(&json!({ "kind": "alipay" })), ["app_id"]);
    let mut bad = config("no key");
    bad["app_id"] = json!("");
    assert_eq!(problems(&bad), ["app_id", "alipay_public_key"]);
    bad["more"] = json!(1);
    assert_eq!(problems(&bad), ["more"]);
}

#[test]
fn alipay_reads_its_own_words() {
    let vectors = vectors();
    let channel = channel(&config(vectors["public_key"].as_str().expect("a text")));
    assert_eq!(channel.acknowledge(Outcome::Accepted), Acknowledgement::text(200, "success"));
    assert_eq!(channel.acknowledge(Outcome::Refused).body, "failure");
    assert_eq!(channel.acknowledge(Outcome::ComeBackLater), Acknowledgement::text(503, "failure"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_body_panics_or_is_believed(body in ".*", at in 0_usize..1000, byte in 0x20_u8..0x7f) {
        prop_assert!(verify("paid", |_| body.clone()).is_err());
        let verdict = verify("paid", |paid| {
            let mut bytes = paid.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            String::from_utf8(bytes).expect("ASCII")
        });
        // One byte may be another spelling of the same, such as an escape in lower case; it is never other facts.
        if let Ok(Verdict::Facts(facts)) = verdict {
            prop_assert_eq!(facts, paid());
        }
    }
}

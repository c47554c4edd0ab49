use common::clock::{Timestamp, testing::SeededRandom};
use http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::{
    channels::{
        PaymentChannel,
        testing::{channel, problems},
    },
    domain::Currency,
};

const ORDER: &str = "01JXT21Q00C5Z0E8T3Y6A9B2DK";
const REFUND: &str = "R01JXT21Q00C5Z0E8T3Y6A9B2DK";

/// Requests and answers as Alipay documents them, written and signed by Python's `urllib`, `json` and `cryptography` with
/// keys that were thrown away: `padding.PKCS1v15()`, `hashes.SHA256()` over the sorted parameters and over the node's text.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/asking.json")).expect("JSON")
}

fn text(name: &str) -> String {
    vectors()["alipay"][name].as_str().expect("a text").to_owned()
}

fn config() -> Value {
    let vectors = vectors();
    json!({
        "kind": "alipay", "app_id": "2021000000000001", "seller_id": "2088000000000001",
        "alipay_public_key": vectors["platform_public_key"],
        "secrets": { "app_private_key": vectors["private_key_forms"]["pkcs8_base64"] },
    })
}

fn order() -> AskedOrder<'static> {
    let price = Money { amount: 600, currency: Currency::parse("CNY").expect("a currency") };
    AskedOrder { order_id: ORDER, channel_order_id: None, price }
}

fn back() -> AskedRefund<'static> {
    AskedRefund { order: order(), amount: order().price, refund_id: REFUND }
}

/// `date -d '2026-11-30 10:34:56 +0800' +%s`.
fn asked(ask: impl FnOnce(&dyn PaymentChannel, &AskInputs<'_>) -> Option<Request<Bytes>>) -> Request<Bytes> {
    let random = SeededRandom::new(1);
    let inputs = AskInputs { now: Timestamp::from_millis(1_796_006_096_000), random: &random };
    ask(&*channel(&config()), &inputs).expect("a question")
}

fn payment(status: u16, body: &str) -> Result<PaymentAnswer, CallbackRefusal> {
    let answer = Answer { status, headers: &HeaderMap::new(), body: body.as_bytes() };
    channel(&config()).read_payment(&order(), &answer, Timestamp::from_millis(0))
}

fn refund(status: u16, body: &str) -> Result<RefundAnswer, CallbackRefusal> {
    let answer = Answer { status, headers: &HeaderMap::new(), body: body.as_bytes() };
    channel(&config()).read_refund(&back(), &answer, Timestamp::from_millis(0))
}

#[test]
fn a_question_is_signed_as_alipay_documents_it() {
    let query = asked(|channel, inputs| channel.ask_payment(&order(), inputs));
    assert_eq!(query.uri(), "https://openapi.alipay.com/gateway.do?charset=utf-8");
    assert_eq!(str::from_utf8(query.body()), Ok(&*text("query_request")));
    let refund = asked(|channel, inputs| channel.ask_refund(&back(), inputs));
    assert_eq!(str::from_utf8(refund.body()), Ok(&*text("refund_request")));
}

#[test]
fn what_alipay_says_of_a_trade_is_read_and_nothing_else_is_paid() {
    let Ok(PaymentAnswer::Paid(facts)) = payment(200, &text("paid")) else { panic!("not paid") };
    assert_eq!((facts.order_id.as_deref(), &*facts.channel_order_id), (Some(ORDER), "2026113022001400001"));
    assert_eq!((facts.charged, facts.what), (Charged::Exactly(order().price), What::Paid));
    assert_eq!(facts.paid_at, Some(Timestamp::from_millis(1_796_006_096_000)));
    assert_eq!(payment(200, &text("wait")), Ok(PaymentAnswer::NotPaid));
    assert_eq!(payment(200, &text("closed")), Ok(PaymentAnswer::Closed));
    assert_eq!(payment(200, &text("unknown")), Ok(PaymentAnswer::Unknown));
    let declined = PaymentAnswer::Declined { code: "isv.invalid-app-id".to_owned() };
    assert_eq!(payment(200, &text("declined")), Ok(declined));
    assert!(payment(200, &text("other_order")).is_err());
    assert!(payment(200, &text("refunded")).is_err(), "the answer to another question");
    assert_eq!(payment(502, &text("paid")), Err(CallbackRefusal::ChannelUnavailable { status: 502 }));
}

#[test]
fn an_answer_without_alipays_signature_is_never_paid() {
    let paid = text("paid");
    let unsigned = format!("{}}}", paid.split_once(",\"sign\"").expect("signed").0);
    assert!(matches!(payment(200, &unsigned), Err(CallbackRefusal::Malformed { field, .. }) if field == "sign"));
    let empty = format!("{},\"sign\":\"\"}}", paid.split_once(",\"sign\"").expect("signed").0);
    assert!(payment(200, &empty).is_err());
    for (from, to) in [
        ("\"total_amount\":\"6.00\"", "\"total_amount\":\"0.01\""),
        ("Success", "success"),
        ("\"code\":\"10000\",", "\"code\":\"10000\", "),
        (ORDER, "01JXT21Q00C5Z0E8T3Y6A9B2DM"),
    ] {
        assert_eq!(payment(200, &paid.replacen(from, to, 1)), Err(CallbackRefusal::BadSignature), "{from}");
    }
    // The signature of a trade that waits, under one that is paid.
    let wait = text("wait");
    let sign = wait.split_once("\"sign\"").expect("signed").1;
    let mixed = format!("{}\"sign\"{sign}", paid.split_once("\"sign\"").expect("signed").0);
    assert_eq!(payment(200, &mixed), Err(CallbackRefusal::BadSignature));
    // A node in front of the signed one, and one behind it.
    let forged = r#""alipay_trade_query_response":{"code":"10000"},"#;
    assert!(payment(200, &paid.replacen('{', &format!("{{{forged}"), 1)).is_err());
    for garbage in ["", "{}", "[]", "<html>", r#"{"sign":"AAAA"}"#, r#"{"error_response":{"code":"40002"}}"#] {
        assert!(payment(200, garbage).is_err() && refund(200, garbage).is_err(), "{garbage}");
    }
}

#[test]
fn a_refund_is_done_once_all_of_it_has_gone_back() {
    for name in ["refunded", "refunded_before"] {
        let Ok(RefundAnswer::Done(facts)) = refund(200, &text(name)) else { panic!("not done: {name}") };
        let What::Refunded(done) = facts.what else { panic!("a payment") };
        assert_eq!(done.extent, RefundExtent::SoFar(order().price));
        assert_eq!((facts.order_id.as_deref(), done.refund_id.as_deref()), (Some(ORDER), Some(REFUND)));
    }
    assert_eq!(refund(200, &text("refund_part")), Ok(RefundAnswer::UnderWay));
    assert_eq!(refund(200, &text("refund_trouble")), Ok(RefundAnswer::UnderWay));
    let refused = RefundAnswer::Refused { code: "ACQ.SELLER_BALANCE_NOT_ENOUGH".to_owned() };
    assert_eq!(refund(200, &text("refund_refused")), Ok(refused));
    assert!(refund(200, &text("refunded").replace("6.00", "6.01")).is_err());
    assert!(refund(200, &text("paid")).is_err());
}

#[test]
fn without_a_key_there_is_no_question_and_a_bad_one_is_refused_by_its_place() {
    let mut without = config();
    without.as_object_mut().expect("an object").remove("secrets");
    assert!(!channel(&without).can_be_asked() && channel(&config()).can_be_asked());
    let mut bad = config();
    bad["secrets"]["app_private_key"] = json!("no key");
    bad["api"] = json!("http://127.0.0.1:1/gateway.do");
    assert_eq!(problems(&bad), ["api", "secrets.app_private_key"]);
}

use common::clock::{Random, Timestamp};
use http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::{
    channels::{
        Money, PaymentChannel,
        testing::{channel, problems},
    },
    domain::Currency,
};

const ORDER: &str = "01JXT21Q00C5Z0E8T3Y6A9B2DK";
const REFUND: &str = "R01JXT21Q00C5Z0E8T3Y6A9B2DK";
const SERIAL: &str = "PUB_KEY_ID_0000000000000024101100397200000006";
const NOW: i64 = 1_780_000_000_000;

/// Requests and answers as WeChat Pay documents them, signed by Python's `cryptography` with keys that were thrown away:
/// `padding.PKCS1v15()` with `hashes.SHA256()`.
fn vectors() -> Value {
    serde_json::from_str(include_str!("../../vectors/asking.json")).expect("JSON")
}

/// What the requests of the vectors were made with.
#[derive(Debug)]
struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn fraction(&self) -> f64 {
        0.0
    }
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: String,
}

fn config() -> Value {
    let vectors = vectors();
    json!({
        "kind": "wechat_pay", "mch_id": "1900000001", "app_id": "wx0000000000000001",
        "platform_keys": { SERIAL: vectors["platform_public_key"] },
        "merchant_serial": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
        "secrets": {
            "api_v3_key": "0123456789abcdef0123456789ABCDEF",
            "merchant_private_key": vectors["private_key_forms"]["pkcs8_pem"],
        },
    })
}

fn order() -> AskedOrder<'static> {
    let price = Money { amount: 600, currency: Currency::parse("CNY").expect("a currency") };
    AskedOrder { order_id: ORDER, channel_order_id: None, price }
}

fn back() -> AskedRefund<'static> {
    AskedRefund { order: order(), amount: order().price, refund_id: REFUND }
}

fn asked(ask: impl FnOnce(&dyn PaymentChannel, &AskInputs<'_>) -> Option<Request<Bytes>>) -> Request<Bytes> {
    let inputs = AskInputs { now: Timestamp::from_millis(NOW), random: &Sevens };
    ask(&*channel(&config()), &inputs).expect("a question")
}

fn answered(name: &str) -> Answered {
    let vectors = vectors();
    let vector = &vectors["wechat_pay"][name];
    let text = |name: &str| vector[name].as_str().expect("a text").to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("wechatpay-timestamp", "1780000000"),
        ("wechatpay-nonce", "answer-nonce"),
        ("wechatpay-serial", SERIAL),
        ("wechatpay-signature", &text("signature")),
    ] {
        headers.insert(name, value.parse().expect("a header"));
    }
    let status = vector["status"].as_u64().expect("a status");
    Answered { status: u16::try_from(status).expect("small"), headers, body: text("body") }
}

fn payment(answered: &Answered, now: i64) -> Result<PaymentAnswer, CallbackRefusal> {
    let Answered { status, headers, body } = answered;
    let answer = Answer { status: *status, headers, body: body.as_bytes() };
    channel(&config()).read_payment(&order(), &answer, Timestamp::from_millis(now))
}

fn refund(answered: &Answered) -> Result<RefundAnswer, CallbackRefusal> {
    let Answered { status, headers, body } = answered;
    let answer = Answer { status: *status, headers, body: body.as_bytes() };
    channel(&config()).read_refund(&back(), &answer, Timestamp::from_millis(NOW))
}

#[test]
fn a_question_is_signed_as_wechat_documents_it() {
    let vectors = vectors();
    let text = |name: &str| vectors["wechat_pay"][name].as_str().expect("a text").to_owned();
    let query = asked(|channel, inputs| channel.ask_payment(&order(), inputs));
    let url = format!("https://api.mch.weixin.qq.com/v3/pay/transactions/out-trade-no/{ORDER}?mchid=1900000001");
    assert_eq!((query.method(), query.uri().to_string()), (&Method::GET, url));
    assert_eq!(query.headers()[AUTHORIZATION], text("query_authorization"));
    assert_eq!(query.headers()["Wechatpay-Serial"], SERIAL);
    let refund = asked(|channel, inputs| channel.ask_refund(&back(), inputs));
    assert_eq!((refund.method(), refund.uri().path()), (&Method::POST, "/v3/refund/domestic/refunds"));
    assert_eq!(refund.headers()[AUTHORIZATION], text("refund_authorization"));
    assert_eq!(str::from_utf8(refund.body()), Ok(&*text("refund_body")));
}

#[test]
fn what_wechat_says_of_a_transaction_is_read_and_nothing_else_is_paid() {
    let Ok(PaymentAnswer::Paid(facts)) = payment(&answered("paid"), NOW) else { panic!("not paid") };
    assert_eq!((facts.order_id.as_deref(), &*facts.channel_order_id), (Some(ORDER), "4200000000202605280000000001"));
    assert_eq!((facts.charged, facts.what), (Charged::Exactly(order().price), What::Paid));
    assert_eq!(facts.paid_at, Some(Timestamp::from_millis(1_779_971_198_000)));
    let declined = |code: &str| Ok(PaymentAnswer::Declined { code: code.to_owned() });
    for (name, expected) in [
        ("not_paid", Ok(PaymentAnswer::NotPaid)),
        ("closed", Ok(PaymentAnswer::Closed)),
        ("unknown", Ok(PaymentAnswer::Unknown)),
        ("gone_back", declined("REFUND")),
        ("declined", declined("NO_AUTH")),
        ("other_merchant", Err(CallbackRefusal::wrong_merchant("mchid"))),
    ] {
        assert_eq!(payment(&answered(name), NOW), expected, "{name}");
    }
    assert!(payment(&answered("other_order"), NOW).is_err());
    assert!(payment(&answered("refunded"), NOW).is_err(), "the answer to another question");
}

#[test]
fn an_answer_without_wechats_signature_is_never_paid() {
    for header in ["wechatpay-timestamp", "wechatpay-nonce", "wechatpay-serial", "wechatpay-signature"] {
        let mut unsigned = answered("paid");
        unsigned.headers.remove(header);
        assert!(matches!(payment(&unsigned, NOW), Err(CallbackRefusal::Malformed { .. })), "{header}");
    }
    let mut changed = answered("not_paid");
    changed.body = changed.body.replace("NOTPAY", "SUCCESS");
    assert_eq!(payment(&changed, NOW), Err(CallbackRefusal::BadSignature));
    let mut other = answered("paid");
    other.headers = answered("closed").headers;
    assert_eq!(payment(&other, NOW), Err(CallbackRefusal::BadSignature));
    assert_eq!(payment(&answered("paid"), NOW + 301_000), Err(CallbackRefusal::StaleTimestamp));
    // Not even a no is believed without a signature; trouble says nothing either way.
    let mut unknown = answered("unknown");
    unknown.headers.clear();
    assert!(payment(&unknown, NOW).is_err());
    for status in [429, 500, 503] {
        let mut trouble = answered("paid");
        trouble.status = status;
        assert_eq!(payment(&trouble, NOW), Err(CallbackRefusal::ChannelUnavailable { status }));
        assert_eq!(refund(&trouble), Err(CallbackRefusal::ChannelUnavailable { status }));
    }
}

#[test]
fn a_refund_is_done_under_way_or_refused() {
    let Ok(RefundAnswer::Done(facts)) = refund(&answered("refunded")) else { panic!("not done") };
    let What::Refunded(done) = facts.what else { panic!("a payment") };
    assert_eq!(done.extent, RefundExtent::ThisTime(order().price));
    assert_eq!((facts.order_id.as_deref(), done.refund_id.as_deref()), (Some(ORDER), Some("50000000000000000001")));
    assert_eq!(refund(&answered("refund_processing")), Ok(RefundAnswer::UnderWay));
    let refused = |code: &str| Ok(RefundAnswer::Refused { code: code.to_owned() });
    assert_eq!(refund(&answered("refund_abnormal")), refused("ABNORMAL"));
    assert_eq!(refund(&answered("refund_refused")), refused("NOT_ENOUGH"));
    assert!(refund(&answered("refund_other")).is_err());
    let mut changed = answered("refund_processing");
    changed.body = changed.body.replace("PROCESSING", "SUCCESS");
    assert_eq!(refund(&changed), Err(CallbackRefusal::BadSignature));
}

#[test]
fn the_key_and_its_serial_number_go_together() {
    assert!(channel(&config()).can_be_asked());
    let mut neither = config();
    neither.as_object_mut().expect("an object").remove("merchant_serial");
    assert_eq!(problems(&neither), ["merchant_serial"]);
    neither["secrets"].as_object_mut().expect("an object").remove("merchant_private_key");
    assert!(!channel(&neither).can_be_asked());
    neither["merchant_serial"] = json!("5157F09EFDC096DE");
    assert_eq!(problems(&neither), ["secrets.merchant_private_key"]);
    for (place, value) in [("merchant_serial", "\" ,"), ("api", "http://127.0.0.1:1")] {
        let mut bad = config();
        bad[place] = json!(value);
        assert_eq!(problems(&bad), [place]);
    }
}

//! The `sandbox` channel: whoever has the app's secret pays. For development only; the configuration sees to that.
//!
//! JSON `{order_id, channel_order_id, amount, currency, paid_at}` with `X-Signature`, the lower-case hex digits of
//! HMAC-SHA256(app_secret, raw body). Answered with `SUCCESS`.
//!
//! With `api` it is asked as well: JSON `{ask, …}` is posted there, both question and answer signed like a callback. So that
//! what happens when a callback is lost, or money is given back, can be tried out.

use std::fmt;

use aws_lc_rs::hmac;
use bytes::Bytes;
use common::clock::Timestamp;
use http::{Request, header::CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::{Choice, ConstantTimeEq};

use super::{
    asking::{self, AskInputs, AskedOrder, AskedRefund, PaymentAnswer, RefundAnswer},
    callback::{Answer, CallbackRefusal, Charged, PaymentFacts, RawCallback, Refund, RefundExtent, Verdict, What},
    channel::{Acknowledgement, Outcome, PaymentChannel},
    config::ConfigProblem,
    json,
    money::Money,
    text,
};
use crate::domain::Currency;

const SIGNATURE: &str = "X-Signature";

/// As an operator writes it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SandboxConfig {
    /// Where it is asked; absent: nowhere.
    api: Option<String>,
}

/// The sandbox of one app.
pub(super) struct Sandbox {
    keys: Vec<hmac::Key>,
    api: Option<String>,
}

#[derive(Deserialize)]
struct Notice {
    order_id: String,
    channel_order_id: String,
    amount: i64,
    currency: String,
    paid_at: i64,
}

/// What is answered to `{"ask":"payment",…}`.
#[derive(Deserialize)]
struct PaymentState {
    order_id: String,
    /// `paid`, `not_paid`, `closed` or `unknown`.
    state: String,
}

/// What is answered to `{"ask":"refund",…}`.
#[derive(Deserialize)]
struct RefundState {
    order_id: String,
    refund_id: String,
    /// `done`, `under_way` or `refused`.
    state: String,
    #[serde(default)]
    reason: String,
    refunded_at: Option<i64>,
}

impl SandboxConfig {
    pub(super) fn check(self) -> Result<Self, ConfigProblem> {
        // It is for development, and so is plain HTTP.
        let api = self.api.map(|url| asking::api(Some(url), "", true)).transpose()?;
        Ok(Self { api })
    }
}

impl Sandbox {
    pub(super) fn new(config: &SandboxConfig, app_secrets: &[SecretString]) -> Self {
        let key = |secret: &SecretString| hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        Self { keys: app_secrets.iter().map(key).collect(), api: config.api.clone() }
    }

    /// With the app's newest secret.
    fn request(&self, question: &Value) -> Option<Request<Bytes>> {
        let (url, key, body) = (self.api.as_ref()?, self.keys.first()?, question.to_string());
        let signature = hex::encode(hmac::sign(key, body.as_bytes()));
        let request = Request::post(url).header(CONTENT_TYPE, "application/json").header(SIGNATURE, signature);
        request.body(body.into()).ok()
    }

    fn check_answer(&self, answer: &Answer<'_>) -> Result<(), CallbackRefusal> {
        if answer.status != 200 {
            return Err(answer.unavailable());
        }
        let headers = answer.header_pairs();
        self.check_signature(&answer.as_callback(&headers))
    }

    fn check_signature(&self, callback: &RawCallback<'_>) -> Result<(), CallbackRefusal> {
        if self.keys.is_empty() {
            return Err(CallbackRefusal::NotConfigured { key: "the app's secret" });
        }
        let signature = callback.required_header(SIGNATURE)?.as_bytes();
        // Every key is tried, whichever fits: the time does not tell which one it was.
        let fits = self.keys.iter().fold(Choice::from(0), |any, key| {
            any | hex::encode(hmac::sign(key, callback.body)).as_bytes().ct_eq(signature)
        });
        if fits.into() { Ok(()) } else { Err(CallbackRefusal::BadSignature) }
    }
}

impl PaymentChannel for Sandbox {
    fn verify(&self, callback: &RawCallback<'_>, _now: Timestamp) -> Result<Verdict, CallbackRefusal> {
        self.check_signature(callback)?;
        paid("body", callback.body).map(Verdict::Facts)
    }

    fn acknowledge(&self, outcome: Outcome) -> Acknowledgement {
        match outcome {
            Outcome::Accepted => Acknowledgement::text(200, "SUCCESS"),
            Outcome::Refused => Acknowledgement::text(400, "FAIL"),
            Outcome::ComeBackLater => Acknowledgement::text(503, "FAIL"),
        }
    }

    fn can_be_asked(&self) -> bool {
        self.api.is_some()
    }

    fn ask_payment(&self, order: &AskedOrder<'_>, _inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        self.request(&json!({ "ask": "payment", "order_id": order.order_id }))
    }

    fn read_payment(
        &self,
        order: &AskedOrder<'_>,
        answer: &Answer<'_>,
        _now: Timestamp,
    ) -> Result<PaymentAnswer, CallbackRefusal> {
        self.check_answer(answer)?;
        let PaymentState { order_id, state } = json::read("answer", answer.body)?;
        asking::is_about("order_id", Some(&order_id), order.order_id)?;
        match state.as_str() {
            "paid" => paid("answer", answer.body).map(PaymentAnswer::Paid),
            "not_paid" => Ok(PaymentAnswer::NotPaid),
            "closed" => Ok(PaymentAnswer::Closed),
            "unknown" => Ok(PaymentAnswer::Unknown),
            other => Ok(PaymentAnswer::Declined { code: asking::code(other) }),
        }
    }

    fn ask_refund(&self, refund: &AskedRefund<'_>, _inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        let AskedRefund { order, amount, refund_id } = refund;
        self.request(&json!({
            "ask": "refund",
            "order_id": order.order_id,
            "channel_order_id": order.channel_order_id,
            "refund_id": refund_id,
            "amount": amount.amount,
            "currency": amount.currency.as_str(),
        }))
    }

    fn read_refund(
        &self,
        refund: &AskedRefund<'_>,
        answer: &Answer<'_>,
        _now: Timestamp,
    ) -> Result<RefundAnswer, CallbackRefusal> {
        self.check_answer(answer)?;
        let RefundState { order_id, refund_id, state, reason, refunded_at } = json::read("answer", answer.body)?;
        asking::is_about("order_id", Some(&order_id), refund.order.order_id)?;
        asking::is_about("refund_id", Some(&refund_id), refund.refund_id)?;
        match state.as_str() {
            "done" => {}
            "under_way" => return Ok(RefundAnswer::UnderWay),
            _ => return Ok(RefundAnswer::Refused { code: asking::code(&reason) }),
        }
        let channel_order_id = refund.order.channel_order_id.unwrap_or_default().to_owned();
        Ok(RefundAnswer::Done(PaymentFacts {
            order_id: Some(order_id),
            channel_order_id: text::identifier("channel_order_id", channel_order_id)?,
            charged: Charged::Exactly(refund.order.price),
            paid_at: None,
            is_test: true,
            channel_product_id: None,
            what: What::Refunded(Refund {
                refund_id: Some(text::identifier("refund_id", refund_id)?),
                extent: RefundExtent::ThisTime(refund.amount),
                refunded_at: refunded_at.map(|at| text::millis("refunded_at", at)).transpose()?,
            }),
        }))
    }
}

/// A payment, as a callback and an answer say it.
fn paid(whole: &'static str, body: &[u8]) -> Result<PaymentFacts, CallbackRefusal> {
    let notice: Notice = json::read(whole, body)?;
    let currency = Currency::parse(&notice.currency)
        .map_err(|_| CallbackRefusal::malformed("currency", "must be three upper-case letters (ISO 4217)"))?;
    if notice.amount <= 0 {
        return Err(CallbackRefusal::malformed("amount", "must be a positive number of minor units"));
    }
    Ok(PaymentFacts {
        order_id: Some(text::identifier("order_id", notice.order_id)?),
        channel_order_id: text::identifier("channel_order_id", notice.channel_order_id)?,
        charged: Charged::Exactly(Money { amount: notice.amount, currency }),
        paid_at: Some(text::millis("paid_at", notice.paid_at)?),
        is_test: true,
        channel_product_id: None,
        what: What::Paid,
    })
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str =
        r#"{"order_id":"o1","channel_order_id":"c1","amount":600,"currency":"CNY","paid_at":1750000000000}"#;

    /// `printf %s "$BODY" | openssl dgst -sha256 -hmac test-secret-one` and `… -hmac test-secret-two`.
    const BY_FIRST: &str = "1bccd70475a3d6098ff7d7bb501c125744e1268f2a722562dcf53466dd583d2e";
    const BY_SECOND: &str = "9a96d2e3f5e8fa9fb04fd5277b7ee5a71c812669a36d302718d57c3cc60252df";

    fn sandbox(secrets: &[&str]) -> Sandbox {
        let config = SandboxConfig { api: Some("http://127.0.0.1:9/sandbox".to_owned()) }.check().expect("good");
        Sandbox::new(&config, &secrets.iter().map(|secret| (*secret).into()).collect::<Vec<_>>())
    }

    fn verify(body: &str, signatures: &[&str]) -> Result<Verdict, CallbackRefusal> {
        let sandbox = sandbox(&["test-secret-one", "test-secret-two"]);
        let headers: Vec<_> = signatures.iter().map(|value| ("x-signature".to_owned(), (*value).to_owned())).collect();
        let callback = RawCallback { method: "POST", path: "/", query: "", headers: &headers, body: body.as_bytes() };
        sandbox.verify(&callback, Timestamp::from_millis(0))
    }

    /// For bodies that are wrong in themselves and nevertheless signed.
    fn verify_signed(body: &str) -> Result<Verdict, CallbackRefusal> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"test-secret-one");
        verify(body, &[&hex::encode(hmac::sign(&key, body.as_bytes()))])
    }

    #[test]
    fn a_payment_signed_with_either_live_secret_is_believed_as_often_as_it_comes() {
        let facts = Verdict::Facts(PaymentFacts {
            order_id: Some("o1".to_owned()),
            channel_order_id: "c1".to_owned(),
            charged: Charged::Exactly(Money { amount: 600, currency: Currency::parse("CNY").expect("a currency") }),
            paid_at: Some(Timestamp::from_millis(1_750_000_000_000)),
            is_test: true,
            channel_product_id: None,
            what: What::Paid,
        });
        for signature in [BY_FIRST, BY_SECOND, BY_FIRST] {
            assert_eq!(verify(BODY, &[signature]), Ok(facts.clone()));
        }
    }

    #[test]
    fn whatever_the_signature_does_not_cover_is_refused() {
        let swapped = BODY.replace("o1", "xx").replace("c1", "o1").replace("xx", "c1");
        for tampered in [BODY.replace("600", "6"), swapped, format!("{BODY} ")] {
            assert_eq!(verify(&tampered, &[BY_FIRST]), Err(CallbackRefusal::BadSignature), "{tampered}");
        }
        for signature in [&BY_FIRST.to_uppercase(), &BY_FIRST[1..], "x"] {
            assert_eq!(verify(BODY, &[signature]), Err(CallbackRefusal::BadSignature), "{signature}");
        }
        for signatures in [vec![], vec![""], vec![BY_FIRST, BY_FIRST]] {
            let refused = verify(BODY, &signatures);
            assert!(matches!(refused, Err(CallbackRefusal::Malformed { .. })), "{signatures:?} {refused:?}");
        }
    }

    #[test]
    fn a_signed_body_that_is_wrong_is_refused_by_its_field() {
        for (from, to, field) in [
            (r#""order_id":"o1","#, "", "order_id"),
            ("o1", "", "order_id"),
            ("o1", "o\\n1", "order_id"),
            (r#""amount":600"#, r#""amount":6.5"#, "amount"),
            (r#""amount":600"#, r#""amount":-600"#, "amount"),
            (r#""amount":600"#, r#""amount":0"#, "amount"),
            (r#""amount":600"#, r#""amount":600,"amount":6"#, "amount"),
            (r#""amount":600"#, r#""amount":"600""#, "amount"),
            ("CNY", "cny", "currency"),
            ("1750000000000", "-1", "paid_at"),
            ("{", "[", "body"),
        ] {
            let Err(CallbackRefusal::Malformed { field: refused, .. }) = verify_signed(&BODY.replacen(from, to, 1))
            else {
                panic!("{from} -> {to} was not refused");
            };
            assert_eq!(refused, field, "{from} -> {to}");
        }
    }

    #[test]
    fn without_a_secret_nothing_is_believed() {
        let headers = [(SIGNATURE.to_owned(), BY_FIRST.to_owned())];
        let callback = RawCallback { method: "POST", path: "/", query: "", headers: &headers, body: BODY.as_bytes() };
        let refused = sandbox(&[]).verify(&callback, Timestamp::from_millis(0));
        assert_eq!(refused, Err(CallbackRefusal::NotConfigured { key: "the app's secret" }));
    }

    fn asked() -> AskedOrder<'static> {
        let price = Money { amount: 600, currency: Currency::parse("CNY").expect("a currency") };
        AskedOrder { order_id: "o1", channel_order_id: Some("c1"), price }
    }

    fn answered<T>(
        body: &str,
        signed: bool,
        read: impl FnOnce(&Sandbox, &Answer<'_>) -> Result<T, CallbackRefusal>,
    ) -> Result<T, CallbackRefusal> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"test-secret-one");
        let mut headers = http::HeaderMap::new();
        if signed {
            let signature = hex::encode(hmac::sign(&key, body.as_bytes()));
            headers.insert("x-signature", signature.parse().expect("a header"));
        }
        let answer = Answer { status: 200, headers: &headers, body: body.as_bytes() };
        read(&sandbox(&["test-secret-one"]), &answer)
    }

    fn payment(body: &str, signed: bool) -> Result<PaymentAnswer, CallbackRefusal> {
        answered(body, signed, |sandbox, answer| sandbox.read_payment(&asked(), answer, Timestamp::from_millis(0)))
    }

    fn refund(body: &str, signed: bool) -> Result<RefundAnswer, CallbackRefusal> {
        let refund = AskedRefund { order: asked(), amount: asked().price, refund_id: "r1" };
        answered(body, signed, |sandbox, answer| sandbox.read_refund(&refund, answer, Timestamp::from_millis(0)))
    }

    #[test]
    fn an_answer_is_believed_only_with_a_signature_and_only_about_what_was_asked() {
        let Ok(Verdict::Facts(facts)) = verify(BODY, &[BY_FIRST]) else { panic!("not paid") };
        let paid = BODY.replace('{', r#"{"state":"paid","#);
        assert_eq!(payment(&paid, true), Ok(PaymentAnswer::Paid(facts)));
        let state = |order: &str, state: &str| format!(r#"{{"order_id":"{order}","state":"{state}"}}"#);
        assert_eq!(payment(&state("o1", "not_paid"), true), Ok(PaymentAnswer::NotPaid));
        assert_eq!(payment(&state("o1", "closed"), true), Ok(PaymentAnswer::Closed));
        assert_eq!(payment(&state("o1", "unknown"), true), Ok(PaymentAnswer::Unknown));
        assert_eq!(payment(&state("o1", "odd"), true), Ok(PaymentAnswer::Declined { code: "odd".to_owned() }));
        assert!(payment(&state("o2", "not_paid"), true).is_err());
        assert!(payment(BODY, true).is_err(), "a callback is no answer");
        assert!(payment(&paid.replace("600", "0"), true).is_err());
        let state = |refund: &str, state: &str| {
            format!(r#"{{"order_id":"o1","refund_id":"{refund}","state":"{state}","reason":"BROKE"}}"#)
        };
        assert_eq!(refund(&state("r1", "under_way"), true), Ok(RefundAnswer::UnderWay));
        assert_eq!(refund(&state("r1", "refused"), true), Ok(RefundAnswer::Refused { code: "BROKE".to_owned() }));
        assert!(matches!(refund(&state("r1", "done"), true), Ok(RefundAnswer::Done(_))));
        assert!(refund(&state("r2", "done"), true).is_err());
        assert!(payment(&paid, false).is_err() && refund(&state("r1", "done"), false).is_err(), "not signed");
    }

    #[test]
    fn a_question_is_signed_like_a_callback_and_without_an_address_there_is_none() {
        let random = common::clock::testing::SeededRandom::new(1);
        let inputs = AskInputs { now: Timestamp::from_millis(0), random: &random };
        let question = sandbox(&["test-secret-one", "test-secret-two"]).ask_payment(&asked(), &inputs);
        let question = question.expect("a question");
        assert_eq!(&question.body()[..], br#"{"ask":"payment","order_id":"o1"}"#);
        // `printf %s '{"ask":"payment","order_id":"o1"}' | openssl dgst -sha256 -hmac test-secret-one`.
        let signature = "0babffaba1108c741c704cc953f47c66905e76cdb9cbba317903fc474ca7119a";
        assert_eq!(question.headers()["x-signature"], signature);
        let nowhere = Sandbox::new(&SandboxConfig::default(), &["test-secret-one".into()]);
        assert!(!nowhere.can_be_asked() && nowhere.ask_payment(&asked(), &inputs).is_none());
        assert!(sandbox(&[]).ask_payment(&asked(), &inputs).is_none());
    }

    proptest! {
        #[test]
        fn no_body_panics(body in ".*", number in any::<i64>()) {
            let _ = verify_signed(&body);
            let _ = verify_signed(&BODY.replace("600", &number.to_string()));
            let _ = verify_signed(&BODY.replace("1750000000000", &number.to_string()));
        }
    }
}

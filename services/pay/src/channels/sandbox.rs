//! The `sandbox` channel: whoever has the app's secret pays. For development only; the configuration sees to that.
//!
//! JSON `{order_id, channel_order_id, amount, currency, paid_at}` with `X-Signature`, the lower-case hex digits of
//! HMAC-SHA256(app_secret, raw body). Answered with `SUCCESS`.

use std::fmt;

use aws_lc_rs::hmac;
use common::clock::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::{Choice, ConstantTimeEq};

use super::{
    callback::{CallbackRefusal, Charged, PaymentFacts, RawCallback, Verdict, What},
    channel::{Acknowledgement, Outcome, PaymentChannel},
    json,
    money::Money,
    text,
};
use crate::domain::Currency;

const SIGNATURE: &str = "X-Signature";

/// The sandbox of one app.
pub(super) struct Sandbox {
    keys: Vec<hmac::Key>,
}

#[derive(Deserialize)]
struct Notice {
    order_id: String,
    channel_order_id: String,
    amount: i64,
    currency: String,
    paid_at: i64,
}

impl Sandbox {
    pub(super) fn new(app_secrets: &[SecretString]) -> Self {
        let key = |secret: &SecretString| hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
        Self { keys: app_secrets.iter().map(key).collect() }
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
        let notice: Notice = json::read("body", callback.body)?;
        let currency = Currency::parse(&notice.currency)
            .map_err(|_| CallbackRefusal::malformed("currency", "must be three upper-case letters (ISO 4217)"))?;
        if notice.amount <= 0 {
            return Err(CallbackRefusal::malformed("amount", "must be a positive number of minor units"));
        }
        Ok(Verdict::Facts(PaymentFacts {
            order_id: Some(text::identifier("order_id", notice.order_id)?),
            channel_order_id: text::identifier("channel_order_id", notice.channel_order_id)?,
            charged: Charged::Exactly(Money { amount: notice.amount, currency }),
            paid_at: Some(text::millis("paid_at", notice.paid_at)?),
            is_test: true,
            channel_product_id: None,
            what: What::Paid,
        }))
    }

    fn acknowledge(&self, outcome: Outcome) -> Acknowledgement {
        match outcome {
            Outcome::Accepted => Acknowledgement::text(200, "SUCCESS"),
            Outcome::Refused => Acknowledgement::text(400, "FAIL"),
            Outcome::ComeBackLater => Acknowledgement::text(503, "FAIL"),
        }
    }
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

    fn verify(body: &str, signatures: &[&str]) -> Result<Verdict, CallbackRefusal> {
        let sandbox = Sandbox::new(&["test-secret-one".into(), "test-secret-two".into()]);
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
        let refused = Sandbox::new(&[]).verify(&callback, Timestamp::from_millis(0));
        assert_eq!(refused, Err(CallbackRefusal::NotConfigured { key: "the app's secret" }));
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

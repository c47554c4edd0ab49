//! Alipay: asynchronous notices of the open platform, signed with RSA2.
//!
//! A form. What is signed is every parameter but `sign` and `sign_type`, decoded, ordered by name, as `name=value` joined
//! by `&`; the signature is RSA with SHA-256 in base64. By Alipay's documentation of asynchronous notices a receiver also
//! compares `out_trade_no`, `total_amount`, `seller_id` and `app_id`: the first two are in the facts, the others are
//! compared here. Alipay comes again until it reads `success`.
//!
//! `asking` is the other direction: what has become of a trade, and its money back.

mod asking;

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use common::clock::Timestamp;
use http::Request;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use self::asking::Asking;
use super::{
    asking::{AskInputs, AskedOrder, AskedRefund, PaymentAnswer, RefundAnswer, api},
    callback::{Answer, CallbackRefusal, Charged, PaymentFacts, RawCallback, Refund, RefundExtent, Verdict, What},
    channel::{Acknowledgement, Outcome, PaymentChannel},
    config::ConfigProblem,
    moment,
    money::{Money, cny},
    parameters::Parameters,
    private_key::RsaPrivateKey,
    public_key::{RsaAlgorithm, RsaPublicKey},
    text,
};

/// Times are Beijing time, without saying so.
const UTC_OFFSET_MINUTES: i32 = 480;

/// As an operator writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlipayConfig {
    /// Of the app at Alipay.
    app_id: String,
    /// Whom the money goes to: a number that begins with 2088.
    seller_id: String,
    /// Alipay's own key, not the one that we sign orders with.
    alipay_public_key: String,
    /// Where it is asked; absent: at Alipay.
    api: Option<String>,
    #[serde(default)]
    secrets: Secrets,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// The app's own key. Absent: Alipay is not asked anything.
    app_private_key: Option<SecretString>,
}

/// Alipay for one app.
#[derive(Clone, Debug)]
pub(super) struct Alipay {
    app_id: String,
    seller_id: String,
    public_key: RsaPublicKey,
    asking: Option<Asking>,
}

impl AlipayConfig {
    /// Plain HTTP to `api` is for `development`.
    pub(super) fn prepare(self, development: bool) -> Result<Alipay, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        for (path, value) in [("app_id", &self.app_id), ("seller_id", &self.seller_id)] {
            if !(1..=64).contains(&value.len()) {
                problems.push(ConfigProblem::new(path, "must be 1-64 bytes"));
            }
        }
        let api = api(self.api, asking::API, development).map_err(|problem| problems.push(problem));
        let key = self.secrets.app_private_key.map(|key| RsaPrivateKey::parse(key.expose_secret()));
        let key = key.transpose().map_err(|reason| {
            problems.push(ConfigProblem::new("secrets.app_private_key", reason));
        });
        let public_key = RsaPublicKey::parse(&self.alipay_public_key, RsaAlgorithm::Sha256)
            .map_err(|reason| problems.push(ConfigProblem::new("alipay_public_key", reason)));
        match (public_key, api, key) {
            (Ok(public_key), Ok(api), Ok(key)) if problems.is_empty() => {
                let asking = key.map(|key| Asking { api, key });
                Ok(Alipay { app_id: self.app_id, seller_id: self.seller_id, public_key, asking })
            }
            _ => Err(problems),
        }
    }
}

impl Alipay {
    fn check_signature(&self, form: &Parameters) -> Result<(), CallbackRefusal> {
        if form.required("sign_type")? != "RSA2" {
            return Err(CallbackRefusal::malformed("sign_type", "must be RSA2"));
        }
        let signature = form.required("sign")?;
        let signature = BASE64_STANDARD.decode(signature).map_err(|_| CallbackRefusal::BadSignature)?;
        let mut signed: Vec<_> = form.iter().filter(|(name, _)| !matches!(*name, "sign" | "sign_type")).collect();
        signed.sort_unstable();
        let signed: Vec<_> = signed.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        if self.public_key.verifies(signed.join("&").as_bytes(), &signature) {
            Ok(())
        } else {
            Err(CallbackRefusal::BadSignature)
        }
    }

    fn check_merchant(&self, form: &Parameters) -> Result<(), CallbackRefusal> {
        for (name, ours) in [("app_id", &self.app_id), ("seller_id", &self.seller_id)] {
            if form.required(name)? != ours {
                return Err(CallbackRefusal::wrong_merchant(name));
            }
        }
        Ok(())
    }
}

impl PaymentChannel for Alipay {
    fn verify(&self, callback: &RawCallback<'_>, _now: Timestamp) -> Result<Verdict, CallbackRefusal> {
        let form = Parameters::parse("body", callback.body)?;
        // What is signed is bytes: another charset would make other text of them.
        if !form.get("charset").is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8")) {
            return Err(CallbackRefusal::malformed("charset", "must be utf-8"));
        }
        self.check_signature(&form)?;
        self.check_merchant(&form)?;
        let what = match (form.required("trade_status")?, refund(&form)?) {
            // A closed trade was never paid, unless it says what was refunded.
            ("TRADE_SUCCESS" | "TRADE_FINISHED" | "TRADE_CLOSED", Some(refund)) => What::Refunded(refund),
            ("TRADE_SUCCESS" | "TRADE_FINISHED", None) => What::Paid,
            ("TRADE_CLOSED", None) => return Ok(Verdict::Ignored("the trade was closed without a payment")),
            ("WAIT_BUYER_PAY", _) => return Ok(Verdict::Ignored("the trade waits for its payment")),
            _ => return Ok(Verdict::Ignored("a state of the trade that says nothing about a payment")),
        };
        Ok(Verdict::Facts(PaymentFacts {
            order_id: Some(text::identifier("out_trade_no", form.required("out_trade_no")?.to_owned())?),
            channel_order_id: text::identifier("trade_no", form.required("trade_no")?.to_owned())?,
            charged: Charged::Exactly(yuan(&form, "total_amount")?),
            paid_at: time(&form, "gmt_payment")?,
            is_test: false,
            channel_product_id: None,
            what,
        }))
    }

    fn acknowledge(&self, outcome: Outcome) -> Acknowledgement {
        match outcome {
            Outcome::Accepted => Acknowledgement::text(200, "success"),
            Outcome::Refused => Acknowledgement::text(400, "failure"),
            Outcome::ComeBackLater => Acknowledgement::text(503, "failure"),
        }
    }

    fn can_be_asked(&self) -> bool {
        self.asking.is_some()
    }

    fn ask_payment(&self, order: &AskedOrder<'_>, inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        self.query(order, inputs)
    }

    fn read_payment(
        &self,
        order: &AskedOrder<'_>,
        answer: &Answer<'_>,
        _now: Timestamp,
    ) -> Result<PaymentAnswer, CallbackRefusal> {
        self.read_query(order, answer)
    }

    fn ask_refund(&self, refund: &AskedRefund<'_>, inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        self.give_back(refund, inputs)
    }

    fn read_refund(
        &self,
        refund: &AskedRefund<'_>,
        answer: &Answer<'_>,
        _now: Timestamp,
    ) -> Result<RefundAnswer, CallbackRefusal> {
        self.read_give_back(refund, answer)
    }
}

/// `refund_fee` is the sum of all refunds so far, and there (and not zero) in notices of refunds only; `out_biz_no` is the
/// number that the refund was asked for with.
fn refund(form: &Parameters) -> Result<Option<Refund>, CallbackRefusal> {
    if form.get("refund_fee").is_none_or(str::is_empty) {
        return Ok(None);
    }
    let so_far = yuan(form, "refund_fee")?;
    if so_far.amount == 0 {
        return Ok(None);
    }
    let refund_id = form.get("out_biz_no").filter(|id| !id.is_empty());
    Ok(Some(Refund {
        refund_id: refund_id.map(|id| text::identifier("out_biz_no", id.to_owned())).transpose()?,
        extent: RefundExtent::SoFar(so_far),
        refunded_at: time(form, "gmt_refund")?,
    }))
}

fn yuan(form: &Parameters, name: &'static str) -> Result<Money, CallbackRefusal> {
    yuan_of(name, Some(form.required(name)?))
}

/// An amount that has to be there.
fn yuan_of(name: &'static str, raw: Option<&str>) -> Result<Money, CallbackRefusal> {
    let raw = raw.ok_or_else(|| CallbackRefusal::malformed(name, "is required"))?;
    Money::parse_major(raw, cny()).map_err(|error| CallbackRefusal::malformed(name, error.reason()))
}

/// Refunds carry milliseconds behind the point, payments don't.
fn time(form: &Parameters, name: &'static str) -> Result<Option<Timestamp>, CallbackRefusal> {
    time_of(name, form.get(name))
}

/// A moment that may not be there.
fn time_of(name: &'static str, raw: Option<&str>) -> Result<Option<Timestamp>, CallbackRefusal> {
    let Some(raw) = raw.filter(|raw| !raw.is_empty()) else { return Ok(None) };
    let seconds = raw.split_once('.').map_or(raw, |(seconds, _)| seconds);
    let refused = || CallbackRefusal::malformed(name, "must be a time such as 2026-11-30 10:34:56");
    moment::from_civil(seconds, "yyyy-MM-dd HH:mm:ss", UTC_OFFSET_MINUTES).map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests;

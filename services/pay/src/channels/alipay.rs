//! Alipay: asynchronous notices of the open platform, signed with RSA2.
//!
//! A form. What is signed is every parameter but `sign` and `sign_type`, decoded, ordered by name, as `name=value` joined
//! by `&`; the signature is RSA with SHA-256 in base64. By Alipay's documentation of asynchronous notices a receiver also
//! compares `out_trade_no`, `total_amount`, `seller_id` and `app_id`: the first two are in the facts, the others are
//! compared here. Alipay comes again until it reads `success`.

use base64::{Engine, prelude::BASE64_STANDARD};
use common::clock::Timestamp;
use serde::Deserialize;

use super::{
    callback::{CallbackRefusal, Charged, PaymentFacts, RawCallback, Refund, RefundExtent, Verdict, What},
    channel::{Acknowledgement, Outcome, PaymentChannel},
    config::ConfigProblem,
    moment,
    money::{Money, cny},
    parameters::Parameters,
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
}

/// Alipay for one app.
#[derive(Clone, Debug)]
pub(super) struct Alipay {
    app_id: String,
    seller_id: String,
    public_key: RsaPublicKey,
}

impl AlipayConfig {
    pub(super) fn prepare(self) -> Result<Alipay, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        for (path, value) in [("app_id", &self.app_id), ("seller_id", &self.seller_id)] {
            if !(1..=64).contains(&value.len()) {
                problems.push(ConfigProblem::new(path, "must be 1-64 bytes"));
            }
        }
        match RsaPublicKey::parse(&self.alipay_public_key, RsaAlgorithm::Sha256) {
            Ok(public_key) if problems.is_empty() => {
                Ok(Alipay { app_id: self.app_id, seller_id: self.seller_id, public_key })
            }
            Ok(_) => Err(problems),
            Err(reason) => {
                problems.push(ConfigProblem::new("alipay_public_key", reason));
                Err(problems)
            }
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
    let money = Money::parse_major(form.required(name)?, cny());
    money.map_err(|error| CallbackRefusal::malformed(name, error.reason()))
}

/// Refunds carry milliseconds behind the point, payments don't.
fn time(form: &Parameters, name: &'static str) -> Result<Option<Timestamp>, CallbackRefusal> {
    let Some(raw) = form.get(name).filter(|raw| !raw.is_empty()) else { return Ok(None) };
    let seconds = raw.split_once('.').map_or(raw, |(seconds, _)| seconds);
    let refused = || CallbackRefusal::malformed(name, "must be a time such as 2026-11-30 10:34:56");
    moment::from_civil(seconds, "yyyy-MM-dd HH:mm:ss", UTC_OFFSET_MINUTES).map(Some).ok_or_else(refused)
}

#[cfg(test)]
mod tests;

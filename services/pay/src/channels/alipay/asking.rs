//! `alipay.trade.query` and `alipay.trade.refund` of the open platform.
//!
//! A request is a form. What is signed is every parameter but `sign`, with `sign_type` (which notices leave out), ordered by
//! name, as `name=value` joined by `&`, with the app's own key. An answer is JSON with one node named after the method, and
//! `sign` over that node's text as it was sent, by Alipay's key. An answer without a signature is not believed, not even one
//! that says no.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Alipay, UTC_OFFSET_MINUTES, time_of, yuan_of};
use crate::channels::{
    asking::{self, AskInputs, AskedOrder, AskedRefund, PaymentAnswer, RefundAnswer},
    callback::{Answer, CallbackRefusal, Charged, PaymentFacts, Refund, RefundExtent, What},
    json, moment,
    money::Money,
    private_key::RsaPrivateKey,
    text,
};

/// Where the open platform is.
pub(super) const API: &str = "https://openapi.alipay.com/gateway.do";

const DONE: &str = "10000";
/// The call was in order and its business was not done: `sub_code` says why.
const NOT_DONE: &str = "40004";
/// The platform itself is in trouble: nobody knows what has happened.
const TROUBLE: &str = "20000";
const NO_TRADE: &str = "ACQ.TRADE_NOT_EXIST";
const SYSTEM_ERRORS: [&str; 2] = ["ACQ.SYSTEM_ERROR", "aop.ACQ.SYSTEM_ERROR"];

/// What is needed to ask.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) api: String,
    pub(super) key: RsaPrivateKey,
}

#[derive(Serialize)]
struct Query<'a> {
    out_trade_no: &'a str,
}

#[derive(Serialize)]
struct GiveBack<'a> {
    out_request_no: &'a str,
    out_trade_no: &'a str,
    refund_amount: String,
}

#[derive(Deserialize)]
struct Wrapped {
    alipay_trade_query_response: Option<Box<RawValue>>,
    alipay_trade_refund_response: Option<Box<RawValue>>,
    sign: Option<String>,
}

/// Of both answers what is used.
#[derive(Deserialize)]
struct Node {
    code: String,
    sub_code: Option<String>,
    out_trade_no: Option<String>,
    trade_no: Option<String>,
    trade_status: Option<String>,
    total_amount: Option<String>,
    send_pay_date: Option<String>,
    refund_fee: Option<String>,
    gmt_refund_pay: Option<String>,
}

impl Alipay {
    pub(super) fn query(&self, order: &AskedOrder<'_>, inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        let content = serde_json::to_string(&Query { out_trade_no: order.order_id }).ok()?;
        self.request("alipay.trade.query", &content, inputs)
    }

    pub(super) fn give_back(&self, refund: &AskedRefund<'_>, inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        let content = GiveBack {
            out_request_no: refund.refund_id,
            out_trade_no: refund.order.order_id,
            refund_amount: refund.amount.to_major(),
        };
        self.request("alipay.trade.refund", &serde_json::to_string(&content).ok()?, inputs)
    }

    fn request(&self, method: &str, content: &str, inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        let Asking { api, key } = self.asking.as_ref()?;
        let timestamp = moment::to_civil(inputs.now, UTC_OFFSET_MINUTES);
        // In the order in which they are signed.
        let parameters = [
            ("app_id", self.app_id.as_str()),
            ("biz_content", content),
            ("charset", "utf-8"),
            ("format", "JSON"),
            ("method", method),
            ("sign_type", "RSA2"),
            ("timestamp", &timestamp),
            ("version", "1.0"),
        ];
        let signed: Vec<_> = parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let signature = key.sign(signed.join("&").as_bytes())?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        let body = form.extend_pairs(parameters).append_pair("sign", &signature).finish();
        // The charset of a form is read before the form.
        let request = Request::post(format!("{api}?charset=utf-8"));
        let kind = "application/x-www-form-urlencoded;charset=utf-8";
        request.header(CONTENT_TYPE, kind).body(body.into()).ok()
    }

    pub(super) fn read_query(
        &self,
        order: &AskedOrder<'_>,
        answer: &Answer<'_>,
    ) -> Result<PaymentAnswer, CallbackRefusal> {
        let node = self.node(answer, |wrapped| wrapped.alipay_trade_query_response)?;
        match (node.code.as_str(), node.sub_code.as_deref()) {
            (DONE, _) => {}
            (NOT_DONE, Some(NO_TRADE)) => return Ok(PaymentAnswer::Unknown),
            (code, sub_code) => return Ok(PaymentAnswer::Declined { code: asking::code(sub_code.unwrap_or(code)) }),
        }
        asking::is_about("out_trade_no", node.out_trade_no.as_deref(), order.order_id)?;
        match required("trade_status", node.trade_status.as_deref())? {
            "TRADE_SUCCESS" | "TRADE_FINISHED" => Ok(PaymentAnswer::Paid(PaymentFacts {
                charged: Charged::Exactly(yuan_of("total_amount", node.total_amount.as_deref())?),
                paid_at: time_of("send_pay_date", node.send_pay_date.as_deref())?,
                ..facts(order, node.trade_no, What::Paid)?
            })),
            "WAIT_BUYER_PAY" => Ok(PaymentAnswer::NotPaid),
            // Never paid, or paid and given back: nothing is owed either way.
            "TRADE_CLOSED" => Ok(PaymentAnswer::Closed),
            other => Ok(PaymentAnswer::Declined { code: asking::code(other) }),
        }
    }

    /// `refund_fee` is what has gone back so far. Of a repeated request `fund_change` is `N`, whatever became of the first:
    /// so only the sum tells.
    pub(super) fn read_give_back(
        &self,
        refund: &AskedRefund<'_>,
        answer: &Answer<'_>,
    ) -> Result<RefundAnswer, CallbackRefusal> {
        let node = self.node(answer, |wrapped| wrapped.alipay_trade_refund_response)?;
        match (node.code.as_str(), node.sub_code.as_deref()) {
            (DONE, _) => {}
            (TROUBLE, _) => return Ok(RefundAnswer::UnderWay),
            (_, Some(sub_code)) if SYSTEM_ERRORS.contains(&sub_code) => return Ok(RefundAnswer::UnderWay),
            (code, sub_code) => return Ok(RefundAnswer::Refused { code: asking::code(sub_code.unwrap_or(code)) }),
        }
        asking::is_about("out_trade_no", node.out_trade_no.as_deref(), refund.order.order_id)?;
        let so_far: Money = yuan_of("refund_fee", node.refund_fee.as_deref())?;
        if so_far != refund.order.price {
            return Ok(RefundAnswer::UnderWay);
        }
        let what = What::Refunded(Refund {
            refund_id: Some(refund.refund_id.to_owned()),
            extent: RefundExtent::SoFar(so_far),
            refunded_at: time_of("gmt_refund_pay", node.gmt_refund_pay.as_deref())?,
        });
        facts(&refund.order, node.trade_no, what).map(RefundAnswer::Done)
    }

    /// What was signed of an answer.
    fn node(
        &self,
        answer: &Answer<'_>,
        choose: impl FnOnce(Wrapped) -> Option<Box<RawValue>>,
    ) -> Result<Node, CallbackRefusal> {
        if answer.status != 200 {
            return Err(answer.unavailable());
        }
        let mut wrapped: Wrapped = json::read("answer", answer.body)?;
        let signature = wrapped.sign.take().filter(|sign| !sign.is_empty());
        let signature = signature.ok_or_else(|| CallbackRefusal::malformed("sign", "is required"))?;
        let signature = BASE64_STANDARD.decode(signature).map_err(|_| CallbackRefusal::BadSignature)?;
        let node = choose(wrapped).ok_or_else(|| CallbackRefusal::malformed("answer", "is to another question"))?;
        if !self.public_key.verifies(node.get().as_bytes(), &signature) {
            return Err(CallbackRefusal::BadSignature);
        }
        json::read("answer", node.get().as_bytes())
    }
}

fn facts(order: &AskedOrder<'_>, trade_no: Option<String>, what: What) -> Result<PaymentFacts, CallbackRefusal> {
    Ok(PaymentFacts {
        order_id: Some(order.order_id.to_owned()),
        channel_order_id: text::identifier("trade_no", trade_no.unwrap_or_default())?,
        charged: Charged::Exactly(order.price),
        paid_at: None,
        is_test: false,
        channel_product_id: None,
        what,
    })
}

fn required<'a>(field: &'static str, value: Option<&'a str>) -> Result<&'a str, CallbackRefusal> {
    value.ok_or_else(|| CallbackRefusal::malformed(field, "is required"))
}

#[cfg(test)]
mod tests;

//! Asking WeChat Pay about a transaction, and for its money back: API v3.
//!
//! A request carries `Authorization: WECHATPAY2-SHA256-RSA2048 …`; what is signed, with the merchant's own key, is the
//! method, the path with its query, a time, a number used once and the body, each with a line feed behind it. An answer is
//! signed as a notice is. A refund is asked for again with the same `out_refund_no`, and is then answered how it stands.

use bytes::Bytes;
use common::clock::{Timestamp, random_bytes};
use http::{
    Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use serde::{Deserialize, Serialize};

use super::{RefundAmount, TransactionAmount, WechatPay, fen, time};
use crate::channels::{
    asking::{self, AskInputs, AskedOrder, AskedRefund, PaymentAnswer, RefundAnswer},
    callback::{Answer, CallbackRefusal, Charged, PaymentFacts, Refund, RefundExtent, What},
    json,
    private_key::RsaPrivateKey,
    text,
};

/// Where the interface is.
pub(super) const API: &str = "https://api.mch.weixin.qq.com";

/// The platform's keys that are not certificates are asked for by their id.
const KEY_ID_PREFIX: &str = "PUB_KEY_ID_";

/// What is needed to ask.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) api: String,
    /// Of the merchant's certificate, which says which key has signed.
    pub(super) serial: String,
    pub(super) key: RsaPrivateKey,
}

#[derive(Serialize)]
struct GiveBack<'a> {
    out_trade_no: &'a str,
    out_refund_no: &'a str,
    amount: GiveBackAmount<'a>,
}

#[derive(Serialize)]
struct GiveBackAmount<'a> {
    refund: i64,
    total: i64,
    currency: &'a str,
}

/// A transaction that is not paid has next to nothing of it.
#[derive(Deserialize)]
struct Found {
    mchid: String,
    appid: String,
    out_trade_no: String,
    trade_state: String,
    transaction_id: Option<String>,
    success_time: Option<String>,
    amount: Option<TransactionAmount>,
}

#[derive(Deserialize)]
struct FoundRefund {
    out_trade_no: String,
    out_refund_no: String,
    transaction_id: String,
    refund_id: String,
    status: String,
    success_time: Option<String>,
    amount: RefundAmount,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

impl WechatPay {
    pub(super) fn query(&self, order: &AskedOrder<'_>, inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        // Both are letters and digits: ours by their form, the merchant's by the configuration.
        let path = format!("/v3/pay/transactions/out-trade-no/{}?mchid={}", order.order_id, self.mch_id);
        self.request(Method::GET, &path, String::new(), inputs)
    }

    pub(super) fn give_back(&self, refund: &AskedRefund<'_>, inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        let AskedRefund { order, amount, refund_id } = refund;
        let (refund, total, currency) = (amount.amount, order.price.amount, amount.currency);
        let body = serde_json::to_string(&GiveBack {
            out_trade_no: order.order_id,
            out_refund_no: refund_id,
            amount: GiveBackAmount { refund, total, currency: currency.as_str() },
        });
        self.request(Method::POST, "/v3/refund/domestic/refunds", body.ok()?, inputs)
    }

    fn request(&self, method: Method, path: &str, body: String, inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        let Asking { api, serial, key } = self.asking.as_ref()?;
        let timestamp = inputs.now.as_millis().div_euclid(1000);
        let nonce = hex::encode_upper(random_bytes::<16>(inputs.random));
        let signature = key.sign(format!("{method}\n{path}\n{timestamp}\n{nonce}\n{body}\n").as_bytes())?;
        let authorization = format!(
            "WECHATPAY2-SHA256-RSA2048 mchid=\"{}\",nonce_str=\"{nonce}\",signature=\"{signature}\",\
             timestamp=\"{timestamp}\",serial_no=\"{serial}\"",
            self.mch_id
        );
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{api}{path}"))
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, "playgate");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        // Without this an answer is signed with a certificate's key, which is not known here.
        if let Some(key_id) = self.platform_keys.keys().find(|serial| serial.starts_with(KEY_ID_PREFIX)) {
            request = request.header("Wechatpay-Serial", key_id);
        }
        request.body(body.into()).ok()
    }

    pub(super) fn read_query(
        &self,
        order: &AskedOrder<'_>,
        answer: &Answer<'_>,
        now: Timestamp,
    ) -> Result<PaymentAnswer, CallbackRefusal> {
        self.check_answer(answer, now)?;
        if answer.status != 200 {
            let Problem { code } = json::read("answer", answer.body)?;
            return Ok(match (answer.status, code.as_str()) {
                (404, "ORDER_NOT_EXIST" | "ORDERNOTEXIST" | "RESOURCE_NOT_EXISTS") => PaymentAnswer::Unknown,
                (_, "ORDER_CLOSED" | "ORDERCLOSED") => PaymentAnswer::Closed,
                (_, code) => PaymentAnswer::Declined { code: asking::code(code) },
            });
        }
        let found: Found = json::read("answer", answer.body)?;
        self.check_merchant(&found.mchid)?;
        if found.appid != self.app_id {
            return Err(CallbackRefusal::wrong_merchant("appid"));
        }
        asking::is_about("out_trade_no", Some(&found.out_trade_no), order.order_id)?;
        match found.trade_state.as_str() {
            "SUCCESS" => {}
            "NOTPAY" | "USERPAYING" | "PAYERROR" => return Ok(PaymentAnswer::NotPaid),
            "CLOSED" | "REVOKED" => return Ok(PaymentAnswer::Closed),
            // REFUND among them: a payment that has gone back in whole or in part, which is nothing to deliver for.
            other => return Ok(PaymentAnswer::Declined { code: asking::code(other) }),
        }
        let amount = found.amount.ok_or_else(|| CallbackRefusal::malformed("amount", "is required"))?;
        let currency = amount.currency.as_deref();
        Ok(PaymentAnswer::Paid(PaymentFacts {
            order_id: Some(found.out_trade_no),
            channel_order_id: text::identifier("transaction_id", found.transaction_id.unwrap_or_default())?,
            charged: Charged::Exactly(fen("amount.total", amount.total, currency)?),
            paid_at: time(found.success_time.as_deref())?,
            is_test: false,
            channel_product_id: None,
            what: What::Paid,
        }))
    }

    pub(super) fn read_give_back(
        &self,
        refund: &AskedRefund<'_>,
        answer: &Answer<'_>,
        now: Timestamp,
    ) -> Result<RefundAnswer, CallbackRefusal> {
        self.check_answer(answer, now)?;
        if answer.status != 200 {
            let Problem { code } = json::read("answer", answer.body)?;
            return Ok(RefundAnswer::Refused { code: asking::code(&code) });
        }
        let found: FoundRefund = json::read("answer", answer.body)?;
        asking::is_about("out_trade_no", Some(&found.out_trade_no), refund.order.order_id)?;
        asking::is_about("out_refund_no", Some(&found.out_refund_no), refund.refund_id)?;
        match found.status.as_str() {
            "SUCCESS" => {}
            "PROCESSING" => return Ok(RefundAnswer::UnderWay),
            // CLOSED and ABNORMAL: somebody has to look into it at WeChat.
            other => return Ok(RefundAnswer::Refused { code: asking::code(other) }),
        }
        let currency = found.amount.currency.as_deref();
        Ok(RefundAnswer::Done(PaymentFacts {
            order_id: Some(found.out_trade_no),
            channel_order_id: text::identifier("transaction_id", found.transaction_id)?,
            charged: Charged::Exactly(fen("amount.total", found.amount.total, currency)?),
            paid_at: None,
            is_test: false,
            channel_product_id: None,
            what: What::Refunded(Refund {
                refund_id: Some(text::identifier("refund_id", found.refund_id)?),
                extent: RefundExtent::ThisTime(fen("amount.refund", found.amount.refund, currency)?),
                refunded_at: time(found.success_time.as_deref())?,
            }),
        }))
    }

    /// Trouble and haste are answered by machines that don't sign, and say nothing. Everything else has to be signed, a no
    /// as well as a yes.
    fn check_answer(&self, answer: &Answer<'_>, now: Timestamp) -> Result<(), CallbackRefusal> {
        if answer.status == 429 || answer.status >= 500 {
            return Err(answer.unavailable());
        }
        let headers = answer.header_pairs();
        self.check_signature(&answer.as_callback(&headers), now)
    }
}

#[cfg(test)]
mod tests;

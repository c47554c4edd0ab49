//! WeChat Pay, API v3, as a merchant of its own (not as a service provider for others).
//!
//! What is signed is `Wechatpay-Timestamp`, `Wechatpay-Nonce` and the raw body, each with a line feed behind it, by the
//! platform's key that `Wechatpay-Serial` names: RSA with SHA-256 in base64. What was paid lies in `resource`, sealed with
//! AES-256-GCM under the merchant's API v3 key. By WeChat's documentation a signature is good for five minutes, and a
//! notice comes again until it is answered with 200 or 204.
//!
//! `asking` is the other direction: what has become of a transaction, and its money back.

mod asking;

use std::{collections::BTreeMap, fmt};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
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
    json, moment,
    money::{Money, cny},
    private_key::RsaPrivateKey,
    public_key::{RsaAlgorithm, RsaPublicKey},
    text,
};
use crate::domain::Currency;

/// How far a signature's time may be from ours, in either direction.
const CLOCK_WINDOW_MS: u64 = 5 * 60 * 1000;

const REFUSED: &str = r#"{"code":"FAIL","message":"the notice is not accepted"}"#;
const LATER: &str = r#"{"code":"FAIL","message":"come again later"}"#;

/// As an operator writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WechatPayConfig {
    mch_id: String,
    app_id: String,
    /// The platform's keys in PEM by their id (`PUB_KEY_ID_…`), or its certificates by their serial number.
    platform_keys: BTreeMap<String, String>,
    /// Of the merchant's own certificate; goes with `secrets.merchant_private_key`.
    merchant_serial: Option<String>,
    /// Where it is asked; absent: at WeChat.
    api: Option<String>,
    secrets: Secrets,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// 32 characters, chosen by the merchant.
    api_v3_key: SecretString,
    /// The key of the merchant's own certificate (`apiclient_key.pem`). Absent: WeChat is not asked anything.
    merchant_private_key: Option<SecretString>,
}

/// WeChat Pay for one app.
#[derive(Clone)]
pub(super) struct WechatPay {
    mch_id: String,
    app_id: String,
    platform_keys: BTreeMap<String, RsaPublicKey>,
    api_v3_key: SecretString,
    asking: Option<Asking>,
}

#[derive(Deserialize)]
struct Notice {
    event_type: String,
    resource: Option<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    algorithm: String,
    ciphertext: String,
    #[serde(default)]
    associated_data: Option<String>,
    nonce: String,
}

#[derive(Deserialize)]
struct Transaction {
    mchid: String,
    appid: String,
    out_trade_no: String,
    transaction_id: String,
    trade_state: String,
    success_time: Option<String>,
    amount: TransactionAmount,
}

#[derive(Deserialize)]
struct TransactionAmount {
    total: i64,
    currency: Option<String>,
}

/// Without an app: refunds are the merchant's.
#[derive(Deserialize)]
struct RefundNotice {
    mchid: String,
    out_trade_no: String,
    transaction_id: String,
    refund_id: String,
    refund_status: String,
    success_time: Option<String>,
    amount: RefundAmount,
}

#[derive(Deserialize)]
struct RefundAmount {
    total: i64,
    refund: i64,
    currency: Option<String>,
}

impl WechatPayConfig {
    /// Plain HTTP to `api` is for `development`.
    pub(super) fn prepare(self, development: bool) -> Result<WechatPay, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        for (path, value) in [("mch_id", &self.mch_id), ("app_id", &self.app_id)] {
            if !(1..=32).contains(&value.len()) {
                problems.push(ConfigProblem::new(path, "must be 1-32 bytes"));
            }
        }
        let asking = asking(self.merchant_serial, self.secrets.merchant_private_key, self.api, development)
            .map_err(|problem| problems.push(problem));
        if self.secrets.api_v3_key.expose_secret().len() != 32 {
            problems.push(ConfigProblem::new("secrets.api_v3_key", "must be 32 bytes"));
        }
        if !(1..=8).contains(&self.platform_keys.len()) {
            problems.push(ConfigProblem::new("platform_keys", "must be 1-8 keys or certificates of the platform"));
        }
        let mut platform_keys = BTreeMap::new();
        for (serial, pem) in self.platform_keys {
            match platform_key(&serial, &pem) {
                Ok(key) => drop(platform_keys.insert(serial, key)),
                Err(reason) => problems.push(ConfigProblem::new(format!("platform_keys.{serial}"), reason)),
            }
        }
        let (mch_id, app_id) = (self.mch_id, self.app_id);
        match asking {
            Ok(asking) if problems.is_empty() => {
                Ok(WechatPay { mch_id, app_id, platform_keys, api_v3_key: self.secrets.api_v3_key, asking })
            }
            _ => Err(problems),
        }
    }
}

/// The serial number and the key belong together.
fn asking(
    serial: Option<String>,
    key: Option<SecretString>,
    url: Option<String>,
    development: bool,
) -> Result<Option<Asking>, ConfigProblem> {
    let api = api(url, asking::API, development)?;
    let (serial, key) = match (serial, key) {
        (Some(serial), Some(key)) => (serial, key),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(ConfigProblem::new("secrets.merchant_private_key", "is required")),
        (None, Some(_)) => return Err(ConfigProblem::new("merchant_serial", "is required")),
    };
    if !(1..=64).contains(&serial.len()) || !serial.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ConfigProblem::new("merchant_serial", "must be 1-64 hexadecimal digits"));
    }
    let key = RsaPrivateKey::parse(key.expose_secret());
    let key = key.map_err(|reason| ConfigProblem::new("secrets.merchant_private_key", reason))?;
    Ok(Some(Asking { api, serial, key }))
}

fn platform_key(serial: &str, pem: &str) -> Result<RsaPublicKey, &'static str> {
    let key = RsaPublicKey::parse(pem, RsaAlgorithm::Sha256)?;
    match key.certificate_serial() {
        Some(of_certificate) if !of_certificate.eq_ignore_ascii_case(serial) => {
            Err("is a certificate with another serial number")
        }
        _ => Ok(key),
    }
}

impl WechatPay {
    fn check_signature(&self, callback: &RawCallback<'_>, now: Timestamp) -> Result<(), CallbackRefusal> {
        let timestamp = callback.required_header("Wechatpay-Timestamp")?;
        let nonce = callback.required_header("Wechatpay-Nonce")?;
        let serial = callback.required_header("Wechatpay-Serial")?;
        let signature = callback.required_header("Wechatpay-Signature")?;
        let Some(key) = self.platform_keys.get(serial) else {
            return Err(CallbackRefusal::unknown_certificate(serial));
        };
        let signature = BASE64_STANDARD.decode(signature).map_err(|_| CallbackRefusal::BadSignature)?;
        let signed = [timestamp.as_bytes(), b"\n", nonce.as_bytes(), b"\n", callback.body, b"\n"].concat();
        if !key.verifies(&signed, &signature) {
            return Err(CallbackRefusal::BadSignature);
        }
        let signed_at = timestamp.parse().ok().and_then(moment::from_seconds);
        let signed_at =
            signed_at.ok_or_else(|| CallbackRefusal::malformed("Wechatpay-Timestamp", "must be Unix seconds"))?;
        if signed_at.as_millis().abs_diff(now.as_millis()) > CLOCK_WINDOW_MS {
            return Err(CallbackRefusal::StaleTimestamp);
        }
        Ok(())
    }

    /// What is sealed in a notice. That it opens is the second proof: only who knows the API v3 key can seal.
    fn open(&self, resource: &Resource) -> Result<Vec<u8>, CallbackRefusal> {
        if resource.algorithm != "AEAD_AES_256_GCM" {
            return Err(CallbackRefusal::malformed("resource.algorithm", "must be AEAD_AES_256_GCM"));
        }
        let nonce: [u8; NONCE_LEN] = resource
            .nonce
            .as_bytes()
            .try_into()
            .map_err(|_| CallbackRefusal::malformed("resource.nonce", "must be 12 bytes"))?;
        let mut sealed = BASE64_STANDARD
            .decode(&resource.ciphertext)
            .map_err(|_| CallbackRefusal::malformed("resource.ciphertext", "must be base64"))?;
        let not_ours = || CallbackRefusal::malformed("resource.ciphertext", "does not open with the API v3 key");
        let key = UnboundKey::new(&AES_256_GCM, self.api_v3_key.expose_secret().as_bytes()).map_err(|_| not_ours())?;
        let associated = Aad::from(resource.associated_data.as_deref().unwrap_or_default());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = LessSafeKey::new(key).open_in_place(nonce, associated, &mut sealed).map_err(|_| not_ours())?;
        Ok(opened.to_vec())
    }

    fn transaction(&self, resource: &Resource) -> Result<Verdict, CallbackRefusal> {
        let transaction: Transaction = json::read("resource", &self.open(resource)?)?;
        self.check_merchant(&transaction.mchid)?;
        if transaction.appid != self.app_id {
            return Err(CallbackRefusal::wrong_merchant("appid"));
        }
        if transaction.trade_state != "SUCCESS" {
            return Ok(Verdict::Ignored("a state of the transaction other than SUCCESS"));
        }
        Ok(Verdict::Facts(PaymentFacts {
            order_id: Some(text::identifier("out_trade_no", transaction.out_trade_no)?),
            channel_order_id: text::identifier("transaction_id", transaction.transaction_id)?,
            charged: Charged::Exactly(fen(
                "amount.total",
                transaction.amount.total,
                transaction.amount.currency.as_deref(),
            )?),
            paid_at: time(transaction.success_time.as_deref())?,
            is_test: false,
            channel_product_id: None,
            what: What::Paid,
        }))
    }

    fn refund(&self, resource: &Resource) -> Result<Verdict, CallbackRefusal> {
        let notice: RefundNotice = json::read("resource", &self.open(resource)?)?;
        self.check_merchant(&notice.mchid)?;
        if notice.refund_status != "SUCCESS" {
            return Ok(Verdict::Ignored("a state of the refund other than SUCCESS"));
        }
        let currency = notice.amount.currency.as_deref();
        let refund = Refund {
            refund_id: Some(text::identifier("refund_id", notice.refund_id)?),
            extent: RefundExtent::ThisTime(fen("amount.refund", notice.amount.refund, currency)?),
            refunded_at: time(notice.success_time.as_deref())?,
        };
        Ok(Verdict::Facts(PaymentFacts {
            order_id: Some(text::identifier("out_trade_no", notice.out_trade_no)?),
            channel_order_id: text::identifier("transaction_id", notice.transaction_id)?,
            charged: Charged::Exactly(fen("amount.total", notice.amount.total, currency)?),
            paid_at: None,
            is_test: false,
            channel_product_id: None,
            what: What::Refunded(refund),
        }))
    }

    fn check_merchant(&self, mchid: &str) -> Result<(), CallbackRefusal> {
        if mchid == self.mch_id { Ok(()) } else { Err(CallbackRefusal::wrong_merchant("mchid")) }
    }
}

impl PaymentChannel for WechatPay {
    fn verify(&self, callback: &RawCallback<'_>, now: Timestamp) -> Result<Verdict, CallbackRefusal> {
        self.check_signature(callback, now)?;
        let notice: Notice = json::read("body", callback.body)?;
        let resource = || notice.resource.as_ref().ok_or_else(|| CallbackRefusal::malformed("resource", "is required"));
        match notice.event_type.as_str() {
            "TRANSACTION.SUCCESS" => self.transaction(resource()?),
            "REFUND.SUCCESS" => self.refund(resource()?),
            "REFUND.CLOSED" | "REFUND.ABNORMAL" => Ok(Verdict::Ignored("the refund did not come about")),
            _ => Ok(Verdict::Ignored("an event that says nothing about a payment")),
        }
    }

    fn acknowledge(&self, outcome: Outcome) -> Acknowledgement {
        match outcome {
            Outcome::Accepted => Acknowledgement::empty(204),
            Outcome::Refused => Acknowledgement::json(400, REFUSED),
            Outcome::ComeBackLater => Acknowledgement::json(503, LATER),
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
        now: Timestamp,
    ) -> Result<PaymentAnswer, CallbackRefusal> {
        self.read_query(order, answer, now)
    }

    fn ask_refund(&self, refund: &AskedRefund<'_>, inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        self.give_back(refund, inputs)
    }

    fn read_refund(
        &self,
        refund: &AskedRefund<'_>,
        answer: &Answer<'_>,
        now: Timestamp,
    ) -> Result<RefundAnswer, CallbackRefusal> {
        self.read_give_back(refund, answer, now)
    }
}

impl fmt::Debug for WechatPay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WechatPay").field("mch_id", &self.mch_id).finish_non_exhaustive()
    }
}

/// Minor units; notices of refunds name no currency.
fn fen(field: &'static str, amount: i64, currency: Option<&str>) -> Result<Money, CallbackRefusal> {
    let currency = currency.map_or(Ok(cny()), |code| {
        Currency::parse(code)
            .map_err(|_| CallbackRefusal::malformed("amount.currency", "must be three upper-case letters"))
    })?;
    if amount < 0 {
        return Err(CallbackRefusal::malformed(field, "must not be negative"));
    }
    Ok(Money { amount, currency })
}

fn time(raw: Option<&str>) -> Result<Option<Timestamp>, CallbackRefusal> {
    let refused = || CallbackRefusal::malformed("success_time", "must be a time of RFC 3339");
    raw.map(|raw| moment::from_rfc3339(raw).ok_or_else(refused)).transpose()
}

#[cfg(test)]
mod tests;

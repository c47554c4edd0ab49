//! Apple: App Store Server Notifications, version 2, and transactions that a client hands in.
//!
//! A body of `{"signedPayload": …}` comes from Apple; one of `{"signedTransactionInfo": …}` is the signed transaction of
//! StoreKit 2, which whoever has it may hand in. Both are tokens signed with ES256 under a chain of certificates that has
//! to lead to the configured root (see [`super::apple_chain`]); `data.signedTransactionInfo` of a notification is such a
//! token again. The chain has to be good when the callback comes.
//!
//! Our order travels as `appAccountToken` (see [`super::apple_order`]). Apple sets prices by country: the product decides, and the price is for the books. A refund by
//! `REVOKE` (family sharing) is a refund as well: what was bought is no longer the player's.

use common::clock::Timestamp;
use serde::Deserialize;

use super::{
    apple_chain::AppleRoots,
    apple_order,
    callback::{CallbackRefusal, Charged, PaymentFacts, RawCallback, Refund, RefundExtent, Verdict, What},
    channel::{Acknowledgement, Outcome, PaymentChannel},
    config::ConfigProblem,
    json,
    jws::Jws,
    money::Money,
    text,
};
use crate::domain::Currency;

/// How far ahead of ours Apple's clock may be.
const CLOCK_SKEW_MS: i64 = 5 * 60 * 1000;

/// As an operator writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AppleConfig {
    bundle_id: String,
    /// Apple Root CA - G3 in PEM, or several roots one behind another.
    root_certificates: String,
    /// Whether purchases of the sandbox are taken, as tests. TestFlight and App Review buy there.
    #[serde(default)]
    allow_sandbox: bool,
}

/// Apple for one app.
#[derive(Clone, Debug)]
pub(super) struct Apple {
    bundle_id: String,
    roots: AppleRoots,
    allow_sandbox: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    signed_payload: Option<String>,
    signed_transaction_info: Option<String>,
}

#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    x5c: Vec<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    notification_type: String,
    version: String,
    signed_date: i64,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    bundle_id: String,
    environment: String,
    signed_transaction_info: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Transaction {
    transaction_id: String,
    bundle_id: String,
    product_id: String,
    environment: String,
    #[serde(rename = "type")]
    kind: String,
    in_app_ownership_type: String,
    signed_date: i64,
    purchase_date: i64,
    quantity: Option<i64>,
    app_account_token: Option<String>,
    /// In thousandths of a major unit.
    price: Option<i64>,
    currency: Option<String>,
    revocation_date: Option<i64>,
}

impl AppleConfig {
    pub(super) fn prepare(self) -> Result<Apple, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        if !(1..=255).contains(&self.bundle_id.len()) {
            problems.push(ConfigProblem::new("bundle_id", "must be a name such as com.example.game"));
        }
        match AppleRoots::parse(&self.root_certificates) {
            Ok(roots) if problems.is_empty() => {
                Ok(Apple { bundle_id: self.bundle_id, roots, allow_sandbox: self.allow_sandbox })
            }
            Ok(_) => Err(problems),
            Err(reason) => {
                problems.push(ConfigProblem::new("root_certificates", reason));
                Err(problems)
            }
        }
    }
}

impl Apple {
    /// The payload of a token that Apple has signed.
    fn open<T: serde::de::DeserializeOwned>(
        &self,
        whole: &'static str,
        token: &str,
        now: Timestamp,
    ) -> Result<T, CallbackRefusal> {
        let token = Jws::parse(whole, token)?;
        let header: TokenHeader = token.header()?;
        if header.alg != "ES256" || header.crit.is_some() {
            return Err(CallbackRefusal::BadSignature);
        }
        if !self.roots.leaf_key(&header.x5c, now)?.verifies(token.signed, &token.signature) {
            return Err(CallbackRefusal::BadSignature);
        }
        token.payload(whole)
    }

    fn notification(&self, token: &str, now: Timestamp) -> Result<Verdict, CallbackRefusal> {
        let notification: Notification = self.open("signedPayload", token, now)?;
        check_signed_date(notification.signed_date, now)?;
        if !notification.version.starts_with("2.") {
            return Err(CallbackRefusal::malformed("version", "must be 2"));
        }
        let Some(data) = notification.data else {
            return Ok(Verdict::Ignored("a notification that is about no transaction"));
        };
        self.check_app(&data.bundle_id)?;
        self.check_environment(&data.environment)?;
        let is_refund = match notification.notification_type.as_str() {
            "ONE_TIME_CHARGE" => false,
            "REFUND" | "REVOKE" => true,
            "TEST" => return Ok(Verdict::Ignored("a test of the notifications")),
            // The player has what was bought, and the refund stands in the books: somebody has to look into it.
            "REFUND_REVERSED" => return Ok(Verdict::Ignored("a refund was reversed")),
            _ => return Ok(Verdict::Ignored("a notification that says nothing about a payment")),
        };
        let token = data.signed_transaction_info;
        let token = token.ok_or_else(|| CallbackRefusal::malformed("data.signedTransactionInfo", "is required"))?;
        let transaction: Transaction = self.open("data.signedTransactionInfo", &token, now)?;
        if is_refund && transaction.revocation_date.is_none() {
            return Err(CallbackRefusal::malformed("revocationDate", "is required for a refund"));
        }
        self.transaction(transaction, now)
    }

    fn transaction(&self, transaction: Transaction, now: Timestamp) -> Result<Verdict, CallbackRefusal> {
        check_signed_date(transaction.signed_date, now)?;
        self.check_app(&transaction.bundle_id)?;
        self.check_environment(&transaction.environment)?;
        if transaction.kind == "Auto-Renewable Subscription" {
            return Ok(Verdict::Ignored("subscriptions that renew themselves are not sold"));
        }
        let what = match transaction.revocation_date {
            Some(revoked_at) => What::Refunded(Refund {
                refund_id: None,
                extent: RefundExtent::Everything,
                refunded_at: Some(text::millis("revocationDate", revoked_at)?),
            }),
            None if transaction.in_app_ownership_type != "PURCHASED" => {
                return Ok(Verdict::Ignored("shared by the family, not bought"));
            }
            // An order is for one: several would be paid and one delivered.
            None if transaction.quantity.is_some_and(|quantity| quantity != 1) => {
                return Err(CallbackRefusal::malformed("quantity", "must be 1: an order is for one product"));
            }
            None => What::Paid,
        };
        Ok(Verdict::Facts(PaymentFacts {
            order_id: transaction.app_account_token.as_deref().map(order_id).transpose()?,
            charged: Charged::StorePrice(price(transaction.price, transaction.currency.as_deref())),
            channel_order_id: text::identifier("transactionId", transaction.transaction_id)?,
            paid_at: Some(text::millis("purchaseDate", transaction.purchase_date)?),
            is_test: transaction.environment != "Production",
            channel_product_id: Some(text::identifier("productId", transaction.product_id)?),
            what,
        }))
    }

    fn check_app(&self, bundle_id: &str) -> Result<(), CallbackRefusal> {
        if bundle_id == self.bundle_id { Ok(()) } else { Err(CallbackRefusal::wrong_merchant("bundleId")) }
    }

    fn check_environment(&self, environment: &str) -> Result<(), CallbackRefusal> {
        match environment {
            "Production" => Ok(()),
            "Sandbox" if self.allow_sandbox => Ok(()),
            // Xcode and local tests sign with certificates of their own, which lead to no root of Apple's.
            _ => Err(CallbackRefusal::wrong_merchant("environment")),
        }
    }
}

impl PaymentChannel for Apple {
    fn verify(&self, callback: &RawCallback<'_>, now: Timestamp) -> Result<Verdict, CallbackRefusal> {
        let body: Body = json::read("body", callback.body)?;
        match (body.signed_payload, body.signed_transaction_info) {
            (Some(token), None) => self.notification(&token, now),
            (None, Some(token)) => {
                let transaction: Transaction = self.open("signedTransactionInfo", &token, now)?;
                self.transaction(transaction, now)
            }
            _ => Err(CallbackRefusal::malformed("signedPayload", "it or signedTransactionInfo is required")),
        }
    }

    /// Apple reads the status only, and comes again after 1, 12, 24, 48 and 72 hours until it is one of success.
    fn acknowledge(&self, outcome: Outcome) -> Acknowledgement {
        match outcome {
            Outcome::Accepted => Acknowledgement::empty(200),
            Outcome::Refused => Acknowledgement::empty(400),
            Outcome::ComeBackLater => Acknowledgement::empty(503),
        }
    }
}

/// Later than now is not possible; earlier it may be as much as it likes, because Apple comes again for days.
fn check_signed_date(signed_date: i64, now: Timestamp) -> Result<(), CallbackRefusal> {
    let latest = now.as_millis().saturating_add(CLOCK_SKEW_MS);
    if (0..=latest).contains(&signed_date) { Ok(()) } else { Err(CallbackRefusal::StaleTimestamp) }
}

fn order_id(app_account_token: &str) -> Result<String, CallbackRefusal> {
    let refused = || CallbackRefusal::malformed("appAccountToken", "must be a UUID");
    apple_order::order_id(app_account_token).ok_or_else(refused)
}

/// For the books only: a price that can't be read is none.
fn price(thousandths: Option<i64>, currency: Option<&str>) -> Option<Money> {
    let currency = Currency::parse(currency?).ok()?;
    Money::from_thousandths(thousandths?, currency).ok()
}

#[cfg(test)]
mod tests;

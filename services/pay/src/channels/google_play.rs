//! Google Play: real-time developer notifications, pushed by Cloud Pub/Sub, and the purchases that they point to.
//!
//! A push authenticates itself with an ID token of Google (RS256): issuer, audience, the service account of the
//! subscription and the time are checked. What it says is only that something was bought; price, state and our order come
//! from `purchases.products.get`, which somebody else asks, as the service account of the configuration (see
//! [`super::service_account`]). See [`super::google_purchase`] for the answer.
//!
//! The order travels as `obfuscatedProfileId` (or `obfuscatedAccountId`) of the billing flow. Google names no price: the
//! product decides. By Google's documentation a purchase that nobody acknowledges within three days is refunded.

use std::{fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use common::{clock::Timestamp, http::client::Target};
use serde::Deserialize;

use super::{
    callback::{
        Answer, CallbackRefusal, Charged, PaymentFacts, Question, RawCallback, Refund, RefundExtent, Verdict, What,
    },
    channel::{Acknowledgement, Outcome, PaymentChannel},
    config::ConfigProblem,
    google_purchase,
    issuer_keys::IssuerKeys,
    json,
    jws::Jws,
    moment,
    service_account::{ServiceAccount, ServiceAccountKey},
    text,
};

/// Where the keys are published that pushes are signed with.
const KEYS_URL: &str = "https://www.googleapis.com/oauth2/v3/certs";

/// How far Google's clock may be off.
const CLOCK_SKEW_S: i64 = 300;

/// As an operator writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GooglePlayConfig {
    /// Of the app.
    package_name: String,
    /// What the subscription is configured to write into its tokens; by Google's default the URL it pushes to.
    push_audience: String,
    /// E-mail address of the service account that the subscription authenticates as.
    push_service_account: String,
    /// `projects/…/subscriptions/…`; absent: any that authenticates as above.
    subscription: Option<String>,
    #[serde(default)]
    order_id_in: OrderIdIn,
    /// In place of [`google_purchase::API`]: for tests and proxies, like the two after it.
    api: Option<String>,
    /// In place of [`KEYS_URL`].
    keys_url: Option<String>,
    /// In place of the key's own `token_uri`, which the token is asked for in any case.
    token_url: Option<String>,
    secrets: Option<Secrets>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    /// The key file of the service account that asks and acknowledges.
    service_account: ServiceAccountKey,
}

/// A configuration that has been checked. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct GooglePlayApp(Arc<Checked>);

#[derive(Debug)]
struct Checked {
    package_name: String,
    push_audience: String,
    push_service_account: String,
    subscription: Option<String>,
    order_id_in: OrderIdIn,
    api: String,
    keys_url: String,
    /// `None`: nobody can ask.
    account: Option<Arc<ServiceAccount>>,
}

/// Where the client puts our order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OrderIdIn {
    /// `setObfuscatedProfileId`.
    #[default]
    ProfileId,
    /// `setObfuscatedAccountId`, by which Google also looks for irregular behaviour of an account.
    AccountId,
}

/// Google Play for one app.
#[derive(Clone)]
pub(super) struct GooglePlay {
    app: GooglePlayApp,
    keys: Option<IssuerKeys>,
}

#[derive(Deserialize)]
struct TokenHeader {
    alg: String,
    kid: String,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct TokenClaims {
    iss: String,
    aud: String,
    email: String,
    email_verified: bool,
    exp: i64,
    iat: i64,
}

#[derive(Deserialize)]
struct Push {
    message: Message,
    subscription: String,
}

#[derive(Deserialize)]
struct Message {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    package_name: String,
    /// A number as text.
    event_time_millis: String,
    one_time_product_notification: Option<OneTimeProduct>,
    voided_purchase_notification: Option<VoidedPurchase>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OneTimeProduct {
    /// 1: purchased, 2: a pending purchase was cancelled.
    notification_type: i64,
    purchase_token: String,
    sku: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct VoidedPurchase {
    order_id: String,
    /// 1: subscription, 2: one-time product.
    product_type: i64,
    /// 1: full, 2: a part of a purchase of several.
    refund_type: i64,
}

impl GooglePlayConfig {
    /// Checks all of it. In `development` Google may be stood in for without TLS.
    pub(super) fn prepare(self, development: bool) -> Result<GooglePlayApp, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
        if !(1..=255).contains(&self.package_name.len()) || !self.package_name.bytes().all(allowed) {
            problems.push(ConfigProblem::new("package_name", "must be a name such as com.example.game"));
        }
        if !(1..=512).contains(&self.push_audience.len()) {
            problems.push(ConfigProblem::new("push_audience", "must be 1-512 bytes"));
        }
        if !self.push_service_account.contains('@') {
            problems
                .push(ConfigProblem::new("push_service_account", "must be the e-mail address of a service account"));
        }
        if self.subscription.as_ref().is_some_and(|name| !name.starts_with("projects/")) {
            problems.push(ConfigProblem::new("subscription", "must be projects/…/subscriptions/…"));
        }
        let mut url = |place: &str, configured: Option<String>, default: &str| {
            let url = configured.unwrap_or_else(|| default.to_owned());
            if !may_be_called(&url, development) {
                problems.push(ConfigProblem::new(place, "must be an https URL without user name, query and fragment"));
            }
            url.trim_end_matches('/').to_owned()
        };
        let api = url("api", self.api, google_purchase::API);
        let keys_url = url("keys_url", self.keys_url, KEYS_URL);
        let account = self.secrets.map(|Secrets { service_account }| {
            let audience = service_account.token_uri().to_owned();
            let place = if self.token_url.is_some() { "token_url" } else { "secrets.service_account.token_uri" };
            let token_url = url(place, self.token_url, &audience);
            let account = service_account.prepare(token_url, google_purchase::SCOPE);
            account.map_err(|problem| problem.below("secrets.service_account"))
        });
        let account = account.and_then(|account| account.map_err(|problem| problems.push(problem)).ok());
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(GooglePlayApp(Arc::new(Checked {
            package_name: self.package_name,
            push_audience: self.push_audience,
            push_service_account: self.push_service_account,
            subscription: self.subscription,
            order_id_in: self.order_id_in,
            api,
            keys_url,
            account: account.map(Arc::new),
        })))
    }
}

/// What is sent there is secret.
fn may_be_called(url: &str, development: bool) -> bool {
    let schemed = url.starts_with("https://") || (development && url.starts_with("http://"));
    schemed && !url.contains('?') && Target::parse(url).is_ok()
}

impl GooglePlayApp {
    /// Where the keys are published that pushes are signed with.
    pub(super) fn keys_url(&self) -> &str {
        &self.0.keys_url
    }

    /// Who asks.
    pub(super) fn account(&self) -> Option<&ServiceAccount> {
        self.0.account.as_deref()
    }

    /// What to ask about a purchase.
    pub(super) fn question(&self, product_id: String, purchase_token: String) -> Question {
        google_purchase::question(&self.0.api, &self.0.package_name, product_id, purchase_token)
    }
}

impl GooglePlay {
    pub(super) fn new(app: GooglePlayApp, keys: Option<IssuerKeys>) -> Self {
        Self { app, keys }
    }

    fn check_token(&self, callback: &RawCallback<'_>, now: Timestamp) -> Result<(), CallbackRefusal> {
        let keys = self.keys.as_ref().ok_or(CallbackRefusal::NotConfigured { key: "Google's key set" })?;
        let header = callback.required_header("Authorization")?;
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => token,
            _ => return Err(CallbackRefusal::malformed("Authorization", "must be a bearer token")),
        };
        let token = Jws::parse("Authorization", token)?;
        let header: TokenHeader = token.header()?;
        if header.alg != "RS256" || header.crit.is_some() {
            return Err(CallbackRefusal::BadSignature);
        }
        let key = keys.get(&header.kid).ok_or_else(|| CallbackRefusal::unknown_certificate(&header.kid))?;
        if !key.verifies(token.signed, &token.signature) {
            return Err(CallbackRefusal::BadSignature);
        }
        self.check_claims(&token.payload("Authorization")?, now)
    }

    fn check_claims(&self, claims: &TokenClaims, now: Timestamp) -> Result<(), CallbackRefusal> {
        if !matches!(claims.iss.as_str(), "https://accounts.google.com" | "accounts.google.com") {
            return Err(CallbackRefusal::wrong_merchant("iss"));
        }
        if claims.aud != self.app.0.push_audience {
            return Err(CallbackRefusal::wrong_merchant("aud"));
        }
        if !claims.email_verified || claims.email != self.app.0.push_service_account {
            return Err(CallbackRefusal::wrong_merchant("email"));
        }
        let now = now.as_millis().div_euclid(1000);
        let good = now < claims.exp.saturating_add(CLOCK_SKEW_S) && claims.iat.saturating_sub(CLOCK_SKEW_S) <= now;
        if good { Ok(()) } else { Err(CallbackRefusal::StaleTimestamp) }
    }

    fn notification(&self, body: &[u8]) -> Result<Notification, CallbackRefusal> {
        let push: Push = json::read("body", body)?;
        if self.app.0.subscription.as_ref().is_some_and(|ours| *ours != push.subscription) {
            return Err(CallbackRefusal::wrong_merchant("subscription"));
        }
        let data = BASE64_STANDARD.decode(push.message.data);
        let data = data.map_err(|_| CallbackRefusal::malformed("message.data", "must be base64"))?;
        let notification: Notification = json::read("message.data", &data)?;
        if notification.package_name != self.app.0.package_name {
            return Err(CallbackRefusal::wrong_merchant("packageName"));
        }
        Ok(notification)
    }

    fn question(&self, purchase: OneTimeProduct) -> Result<Verdict, CallbackRefusal> {
        let product_id = text::identifier("sku", purchase.sku)?;
        let token = purchase.purchase_token;
        if !(1..=4096).contains(&token.len()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CallbackRefusal::malformed("purchaseToken", "must be 1-4096 printable ASCII characters"));
        }
        Ok(Verdict::Ask(self.app.question(product_id, token)))
    }
}

impl PaymentChannel for GooglePlay {
    fn verify(&self, callback: &RawCallback<'_>, now: Timestamp) -> Result<Verdict, CallbackRefusal> {
        self.check_token(callback, now)?;
        let notification = self.notification(callback.body)?;
        if let Some(voided) = notification.voided_purchase_notification {
            return refund(voided, &notification.event_time_millis);
        }
        match notification.one_time_product_notification {
            Some(purchase) if purchase.notification_type == 1 => self.question(purchase),
            Some(_) => Ok(Verdict::Ignored("a pending purchase was cancelled")),
            None => Ok(Verdict::Ignored("a notification that is about no one-time product")),
        }
    }

    /// Pub/Sub reads the status only, and comes again with growing pauses until it is one of success.
    fn acknowledge(&self, outcome: Outcome) -> Acknowledgement {
        match outcome {
            Outcome::Accepted => Acknowledgement::empty(204),
            Outcome::Refused => Acknowledgement::empty(400),
            Outcome::ComeBackLater => Acknowledgement::empty(503),
        }
    }

    fn read_answer(&self, question: &Question, answer: &Answer<'_>) -> Result<Verdict, CallbackRefusal> {
        google_purchase::read(self.app.0.order_id_in, question, answer)
    }

    fn owes_acknowledgement(&self, answer: &Answer<'_>) -> bool {
        google_purchase::owes_acknowledgement(answer)
    }
}

/// A voided purchase names Google's order and nothing of ours.
fn refund(voided: VoidedPurchase, event_time_millis: &str) -> Result<Verdict, CallbackRefusal> {
    if voided.product_type != 2 {
        return Ok(Verdict::Ignored("a subscription was voided"));
    }
    let extent = if voided.refund_type == 1 { RefundExtent::Everything } else { RefundExtent::UnknownPart };
    let refunded_at = event_time_millis.parse().ok().and_then(moment::from_millis);
    let wrong_time = || CallbackRefusal::malformed("eventTimeMillis", "must be Unix milliseconds");
    Ok(Verdict::Facts(PaymentFacts {
        order_id: None,
        channel_order_id: text::identifier("orderId", voided.order_id)?,
        charged: Charged::StorePrice(None),
        paid_at: None,
        is_test: false,
        channel_product_id: None,
        what: What::Refunded(Refund {
            refund_id: None,
            extent,
            refunded_at: Some(refunded_at.ok_or_else(wrong_time)?),
        }),
    }))
}

impl fmt::Debug for GooglePlay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GooglePlay").field("app", &self.app).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

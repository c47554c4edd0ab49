//! One attempt to tell a game server: a signed document, an answer, and whether it is an acknowledgement.

use std::sync::Arc;

use common::{
    clock::{SharedClock, SharedRandom, random_bytes},
    config::Environment,
    http::{
        SigningKey,
        client::{AddressGuard, HttpCallError, HttpClient, HttpClientLimits, SignedPost, Target},
    },
};
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::time::Instant;

use super::DeliveryConfig;
use crate::{
    apps::{App, Apps},
    domain::{Order, is_acknowledgement, refund_id},
    store::{
        outbox::{Attempt, Claimed, Kind, Matter},
        refund_notices::RefundNotice,
    },
};

/// What an attempt came to. Closed: it is stored, counted and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The game server has taken it.
    Acknowledged,
    /// It answered something else.
    Refused,
    /// It did not answer in time, or could not be reached.
    NoAnswer,
    /// The app has no `delivery_url`, or one that can't be called.
    NoTarget,
    /// The address is not one that may be called.
    Forbidden,
    /// Account could not say where to.
    Unknown,
    /// The app has no `refund_url`, so it is told of no refund.
    NotWanted,
}

/// Sends. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    client: HttpClient,
    apps: Apps,
    clock: SharedClock,
    random: SharedRandom,
}

/// Game servers can't be called.
#[derive(Debug, thiserror::Error)]
#[error("game servers can't be called: {0}")]
pub(crate) struct SenderStartError(String);

/// The document that is posted.
#[derive(Serialize)]
struct Document<'a> {
    order_id: &'a str,
    app_id: i64,
    account_id: i64,
    product_id: &'a str,
    amount: i64,
    currency: &'a str,
    role_id: &'a str,
    server_id: &'a str,
    extension: &'a str,
    paid_at: i64,
    attempt: i32,
}

/// What is posted of a refund. It has an `event`, which no payment has, and goes to a target of its own.
#[derive(Serialize)]
struct RefundDocument<'a> {
    event: &'static str,
    /// Tells repetitions: one refund has one.
    refund_id: String,
    order_id: &'a str,
    app_id: i64,
    account_id: i64,
    product_id: &'a str,
    /// With this refund; absent: a part, and nobody knows which.
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded_amount: Option<i64>,
    /// With all refunds up to this one, as far as they are known.
    refunded_total: i64,
    /// What was paid.
    amount: i64,
    currency: &'a str,
    role_id: &'a str,
    server_id: &'a str,
    extension: &'a str,
    /// Of a refund by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    refunded_at: i64,
    attempt: i32,
}

/// What came back, before it is written down.
struct Answered {
    outcome: Outcome,
    status: Option<u16>,
    detail: String,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Refused => "refused",
            Self::NoAnswer => "no_answer",
            Self::NoTarget => "no_target",
            Self::Forbidden => "forbidden",
            Self::Unknown => "unknown",
            Self::NotWanted => "not_wanted",
        }
    }
}

impl Sender {
    pub(crate) fn new(
        config: &DeliveryConfig,
        environment: Environment,
        apps: Apps,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, SenderStartError> {
        let guard = AddressGuard::public_and(&config.allowed_networks, environment == Environment::Development);
        let limits = HttpClientLimits { timeout: config.timeout, longest_answer: config.longest_answer };
        let client = HttpClient::guarded(limits, guard).map_err(|error| SenderStartError(error.to_string()))?;
        Ok(Self { client, apps, clock, random })
    }

    /// Tells the game server once.
    pub(crate) async fn send(&self, claimed: &Claimed) -> (Outcome, Attempt) {
        let (at, began) = (self.clock.now(), Instant::now());
        let Answered { outcome, status, detail } = self.try_send(claimed).await.unwrap_or_else(|failure| failure);
        let duration = began.elapsed();
        let outcome_text = outcome.as_str().to_owned();
        let status = status.map(i32::from);
        (outcome, Attempt { attempt: claimed.attempt, outcome: outcome_text, status, detail, at, duration })
    }

    async fn try_send(&self, claimed: &Claimed) -> Result<Answered, Answered> {
        let order = &claimed.order;
        let app = self.target_app(order.app_id, claimed.kind()).await?;
        let (name, url) = match claimed.kind() {
            Kind::Payment => ("delivery_url", app.delivery_url.as_deref()),
            Kind::Refund => ("refund_url", app.refund_url.as_deref()),
        };
        let url = url.ok_or_else(|| no_url(claimed.kind()))?;
        let target = Target::parse(url).map_err(|error| no_target(&format!("{name} {error}")))?;
        let secret = app.secrets.first().ok_or_else(|| no_target("the app has no secret"))?;
        let key = SigningKey::new(secret.expose_secret().as_bytes());
        let body = match &claimed.matter {
            Matter::Payment => document(order, claimed.attempt)?,
            Matter::Refund(notice) => refund_document(order, notice, claimed.attempt)?,
        };
        let nonce = hex::encode(random_bytes::<16>(self.random.as_ref()));
        let (app_id, now) = (Some(order.app_id), self.clock.now());
        let post = SignedPost { target: &target, app_id, key: &key, now, nonce: &nonce, body: body.into() };
        match self.client.post_signed(post).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let acknowledged = is_acknowledgement(status, answer.body());
                let outcome = if acknowledged { Outcome::Acknowledged } else { Outcome::Refused };
                Ok(Answered { outcome, status: Some(status), detail: beginning(answer.body()) })
            }
            Err(HttpCallError::Forbidden) => {
                let detail = "the address is not one that may be called; see pay.delivery.allowed_networks";
                Err(Answered { outcome: Outcome::Forbidden, status: None, detail: detail.to_owned() })
            }
            Err(error) => Err(Answered { outcome: Outcome::NoAnswer, status: None, detail: error.to_string() }),
        }
    }

    /// An app without a target may have been given one a moment ago.
    async fn target_app(&self, app_id: i64, kind: Kind) -> Result<Arc<App>, Answered> {
        let unknown = |error: common::error_code::PublicError| Answered {
            outcome: Outcome::Unknown,
            status: None,
            detail: format!("account could not say where to: {}", error.message),
        };
        let known = self.apps.find(app_id).await.map_err(unknown)?;
        let app = match known {
            Some(app) if kind == Kind::Payment && app.delivery_url.is_some() => Some(app),
            Some(app) if kind == Kind::Refund && app.refund_url.is_some() => Some(app),
            _ => self.apps.newest(app_id).await.map_err(unknown)?,
        };
        app.ok_or_else(|| no_target("there is no such app"))
    }
}

fn document(order: &Order, attempt: i32) -> Result<Vec<u8>, Answered> {
    let currency = order.price.currency();
    let document = Document {
        order_id: order.order_id.as_str(),
        app_id: order.app_id,
        account_id: order.account_id,
        product_id: order.product_id.as_str(),
        amount: order.price.amount(),
        currency: currency.as_str(),
        role_id: &order.role_id,
        server_id: &order.server_id,
        extension: &order.extension,
        paid_at: order.paid_at.unwrap_or(order.created_at).as_millis(),
        attempt,
    };
    serde_json::to_vec(&document).map_err(|error| no_target(&error.to_string()))
}

fn refund_document(
    order: &Order,
    RefundNotice { refund, back }: &RefundNotice,
    attempt: i32,
) -> Result<Vec<u8>, Answered> {
    let currency = order.price.currency();
    let by_hand = refund.channel.is_none() && !refund.reason.is_empty();
    let document = RefundDocument {
        event: "refund",
        refund_id: refund_id(order.order_id, refund.seq),
        order_id: order.order_id.as_str(),
        app_id: order.app_id,
        account_id: order.account_id,
        product_id: order.product_id.as_str(),
        refunded_amount: refund.amount,
        refunded_total: *back,
        amount: order.price.amount(),
        currency: currency.as_str(),
        role_id: &order.role_id,
        server_id: &order.server_id,
        extension: &order.extension,
        reason: by_hand.then_some(&*refund.reason),
        refunded_at: refund.refunded_at.as_millis(),
        attempt,
    };
    serde_json::to_vec(&document).map_err(|error| no_target(&error.to_string()))
}

fn no_url(kind: Kind) -> Answered {
    match kind {
        Kind::Payment => no_target("the app has no delivery_url"),
        Kind::Refund => {
            Answered { outcome: Outcome::NotWanted, status: None, detail: "the app has no refund_url".to_owned() }
        }
    }
}

fn no_target(detail: &str) -> Answered {
    Answered { outcome: Outcome::NoTarget, status: None, detail: detail.to_owned() }
}

/// What a game server answered, as far as it helps whoever looks for the reason.
fn beginning(body: &[u8]) -> String {
    const SHOWN: usize = 200;
    let shown = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]);
    shown.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

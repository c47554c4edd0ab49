//! A game server's signed request.
//!
//! Checked in the order of what it costs and what it may reveal: the headers are there, the time is near ours, the app
//! exists, the signature over the raw bytes is right, the app has something left of its quota, the nonce is new; only then
//! the body is read as JSON. The quota comes after the signature, because a stranger must not use it up, and before the
//! nonce, because a request that is refused for now may come again as it is.
//! When a check *could not be made* the answer is 503, never 401: a broken dependency must not look like a bad secret.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, request::Parts};
use serde::de::DeserializeOwned;
use volo::context::Context;
use volo_http::{body::Body, context::ServerContext, server::extract::FromRequest};

use super::{
    body::read_body,
    claim::{SignatureClaim, check_not_made, digits},
    json::{parse, require_json},
    only_one::only_one,
};
use crate::{
    clock::SharedClock,
    error_code::{ErrorCode, PublicError},
    governance::limits::Limits,
    http::{ApiError, CLOCK_WINDOW, SigningKey},
};

const X_APP_ID: HeaderName = HeaderName::from_static("x-app-id");

/// A nonce is remembered until the last moment at which its request could still be fresh: it may have been stamped a
/// whole window ahead of our clock, and stays fresh for a window after that.
const NONCE_LIFETIME: Duration = CLOCK_WINDOW.saturating_mul(2);

/// A signed request that changes nothing. Replaying it teaches nothing, so its nonce is not stored.
/// A request without a body reads as `()`.
#[derive(Clone, Copy, Debug)]
pub struct Signed<T> {
    /// Who signed.
    pub app: SignedApp,
    /// The body.
    pub body: T,
}

/// A signed request that changes something: accepted once.
#[derive(Clone, Copy, Debug)]
pub struct SignedOnce<T> {
    /// Who signed.
    pub app: SignedApp,
    /// The body.
    pub body: T,
}

/// The app whose secret signed a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedApp {
    /// Its id.
    pub app_id: i64,
}

/// What the checks need. Handlers that take signed requests need an `Arc<SignatureChecks>` among the extensions of the request.
#[derive(Clone, Debug)]
pub struct SignatureChecks {
    /// Knows the apps.
    pub secrets: Arc<dyn AppSecrets>,
    /// Remembers nonces.
    pub nonces: Arc<dyn NonceStore>,
    /// Tells the time that timestamps are compared with.
    pub clock: SharedClock,
    /// Knows what apps have left of their quotas; none: as much as they like.
    pub limits: Option<Limits>,
}

/// Knows which secrets an app signs with.
pub trait AppSecrets: Send + Sync + fmt::Debug {
    /// The app's credentials; `None` when there is no such app. Called for every signed request, so an implementation
    /// answers from memory whenever it can.
    fn secrets(&self, app_id: i64) -> BoxFuture<'_, Result<Option<Arc<AppCredentials>>, PublicError>>;

    /// The same after a signature fitted none of them: a secret may have been rotated since. An implementation asks
    /// those who know, but not for every guess: within a moment of the last time it answers what it has.
    fn secrets_after_a_mismatch(&self, app_id: i64) -> BoxFuture<'_, Result<Option<Arc<AppCredentials>>, PublicError>>;
}

/// What an app signs with.
#[derive(Clone, Debug)]
pub struct AppCredentials {
    /// A disabled app is refused, however well it signs.
    pub enabled: bool,
    /// The live secrets: one, or two while they are rotated.
    pub keys: Vec<SigningKey>,
}

/// Remembers which nonces have been used, for all replicas.
pub trait NonceStore: Send + Sync + fmt::Debug {
    /// Whether this is the first use of `nonce` by the app within `lifetime`; remembers it if so.
    fn first_use<'a>(
        &'a self,
        app_id: i64,
        nonce: &'a str,
        lifetime: Duration,
    ) -> BoxFuture<'a, Result<bool, PublicError>>;
}

impl<T: DeserializeOwned + Send> FromRequest for Signed<T> {
    type Rejection = ApiError;

    async fn from_request(cx: &mut ServerContext, parts: Parts, body: Body) -> Result<Self, ApiError> {
        let checks = checks_of(cx)?;
        let (app_id, _, body) = authenticate(&checks, &parts, body).await?;
        Ok(Self { app: SignedApp { app_id }, body: parse_signed(&parts.headers, &body)? })
    }
}

impl<T: DeserializeOwned + Send> FromRequest for SignedOnce<T> {
    type Rejection = ApiError;

    async fn from_request(cx: &mut ServerContext, parts: Parts, body: Body) -> Result<Self, ApiError> {
        let checks = checks_of(cx)?;
        let (app_id, claim, body) = authenticate(&checks, &parts, body).await?;
        let first = checks.nonces.first_use(app_id, claim.nonce(), NONCE_LIFETIME).await;
        if !first.map_err(check_not_made)? {
            return Err(ApiError(PublicError::new(ErrorCode::NONCE_REPLAYED)));
        }
        Ok(Self { app: SignedApp { app_id }, body: parse_signed(&parts.headers, &body)? })
    }
}

/// Who the headers claim to be, before anything is proven.
fn claimed_app(headers: &HeaderMap) -> Option<i64> {
    digits(only_one(headers, &X_APP_ID)?.to_str().ok()?)?.parse().ok().filter(|app_id| *app_id > 0)
}

async fn authenticate<'a>(
    checks: &SignatureChecks,
    parts: &'a Parts,
    body: Body,
) -> Result<(i64, SignatureClaim<'a>, Bytes), PublicError> {
    let refuse = |code| Err(PublicError::new(code));
    let Some((app_id, claim)) = claimed_app(&parts.headers).zip(SignatureClaim::of(&parts.headers)) else {
        return refuse(ErrorCode::MISSING_CREDENTIALS);
    };
    if !claim.is_fresh(checks.clock.now()) {
        return refuse(ErrorCode::STALE_TIMESTAMP);
    }
    let Some(mut app) = checks.secrets.secrets(app_id).await.map_err(check_not_made)? else {
        // Not "no such app": a stranger learns nothing about which apps exist.
        return refuse(ErrorCode::BAD_SIGNATURE);
    };
    let body = read_body(&parts.headers, body).await?;
    if !claim.is_signed_by(&app.keys, parts, &body) {
        let newest = checks.secrets.secrets_after_a_mismatch(app_id).await.map_err(check_not_made)?;
        match newest {
            Some(newest) if claim.is_signed_by(&newest.keys, parts, &body) => app = newest,
            _ => return refuse(ErrorCode::BAD_SIGNATURE),
        }
    }
    // Only whoever holds the app's secret is told what became of it.
    if !app.enabled {
        return refuse(ErrorCode::APP_DISABLED);
    }
    if let Some(limits) = &checks.limits {
        limits.app(app_id).await?;
    }
    Ok((app_id, claim, body))
}

/// A request without a body has no content type, and reads as JSON's `null`: `()` and options accept it.
fn parse_signed<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, PublicError> {
    if body.is_empty() {
        return serde_json::from_slice(b"null").map_err(|_| PublicError::new(ErrorCode::MALFORMED_BODY));
    }
    require_json(headers)?;
    parse(body)
}

fn checks_of(cx: &ServerContext) -> Result<Arc<SignatureChecks>, PublicError> {
    cx.extensions().get::<Arc<SignatureChecks>>().cloned().ok_or_else(|| {
        tracing::error!("a route takes signed requests, but the service runs without SignatureChecks");
        PublicError::internal()
    })
}

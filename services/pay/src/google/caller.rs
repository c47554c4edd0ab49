//! One call to Google.

use std::{fmt::Display, sync::Arc};

use bytes::Bytes;
use common::clock::SharedClock;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use secrecy::ExposeSecret;

use super::{
    GoogleConfig, GoogleMetrics,
    access_tokens::{AccessTokens, Token},
    metrics::Call,
    published_keys::PublishedKeys,
};
use crate::{channel_calls::ChannelCalls, channels::ServiceAccount};

/// Google, as this instance knows it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Google {
    pub(super) config: GoogleConfig,
    pub(super) keys: PublishedKeys,
    pub(super) tokens: AccessTokens,
    pub(super) clock: SharedClock,
    pub(super) metrics: Arc<GoogleMetrics>,
    calls: ChannelCalls,
}

/// Google could not be asked, or gave no answer that can be used. Names neither URL nor token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unavailable(String);

impl Unavailable {
    pub(super) fn new(why: impl Display) -> Self {
        Self(why.to_string())
    }
}

impl Google {
    pub(crate) fn new(
        config: GoogleConfig,
        calls: ChannelCalls,
        clock: SharedClock,
        metrics: Arc<GoogleMetrics>,
    ) -> Self {
        Self { config, keys: PublishedKeys::new(), tokens: AccessTokens::new(), clock, metrics, calls }
    }

    /// What is answered about a purchase, whatever the status.
    pub(crate) async fn ask(&self, account: &ServiceAccount, url: &str) -> Result<Response<Bytes>, Unavailable> {
        self.authorized(Call::Purchase, account, url).await
    }

    /// What is answered to an acknowledgement, whatever the status.
    pub(super) async fn acknowledge(
        &self,
        account: &ServiceAccount,
        url: &str,
    ) -> Result<Response<Bytes>, Unavailable> {
        self.authorized(Call::Acknowledge, account, url).await
    }

    /// Calls with the account's token; with a new one when it is not taken, once.
    async fn authorized(
        &self,
        call: Call,
        account: &ServiceAccount,
        url: &str,
    ) -> Result<Response<Bytes>, Unavailable> {
        let token = self.token(account).await?;
        let answer = self.exchange(call, request(call, url, &token)?).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.refused(account, &token).await;
        let token = self.token(account).await?;
        let answer = self.exchange(call, request(call, url, &token)?).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            self.refused(account, &token).await;
        }
        Ok(answer)
    }

    /// Sends a request and counts what came of it.
    pub(super) async fn exchange(&self, call: Call, request: Request<Bytes>) -> Result<Response<Bytes>, Unavailable> {
        let answer = self.calls.send(request).await;
        self.metrics.called(call, answer.as_ref().ok().map(|answer| answer.status().as_u16()));
        answer.map_err(Unavailable::new)
    }
}

fn request(call: Call, url: &str, token: &Token) -> Result<Request<Bytes>, Unavailable> {
    let bearer = HeaderValue::try_from(format!("Bearer {}", token.secret.expose_secret()));
    let mut bearer = bearer.map_err(|_| Unavailable::new("the access token is no header"))?;
    bearer.set_sensitive(true);
    let (method, body) = match call {
        Call::Acknowledge => (Method::POST, Bytes::from_static(b"{}")),
        Call::Keys | Call::Token | Call::Purchase => (Method::GET, Bytes::new()),
    };
    let request = Request::builder().method(&method).uri(url).header(header::AUTHORIZATION, bearer);
    let request = match method {
        Method::POST => request.header(header::CONTENT_TYPE, "application/json"),
        _ => request,
    };
    request.body(body).map_err(|_| Unavailable::new("no URL of the interface"))
}

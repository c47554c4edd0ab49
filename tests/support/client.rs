//! A listener of the platform: the public one, as anybody on the network reaches it, or a role's operator listener.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::Answer;

/// A request that is not answered by then hangs, which no story may.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Speaks HTTP to one address, or to several in turn. Clones share connections and turns.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    addresses: Arc<[String]>,
    turn: Arc<AtomicUsize>,
    is_public: bool,
}

impl Client {
    /// For public listeners at `127.0.0.1:PORT`, asked in turn: every answer is held against the conventions.
    pub(crate) fn public(addresses: Vec<String>) -> Self {
        Self { http: http(), addresses: addresses.into(), turn: Arc::default(), is_public: true }
    }

    /// For the operator listener at `127.0.0.1:PORT`.
    pub(crate) fn operator(address: String) -> Self {
        Self { http: http(), addresses: [address].into(), turn: Arc::default(), is_public: false }
    }

    /// `127.0.0.1:PORT`, of the listener whose turn it is.
    pub(crate) fn address(&self) -> &str {
        &self.addresses[self.turn.fetch_add(1, Ordering::Relaxed) % self.addresses.len()]
    }

    pub(crate) fn request(&self, method: Method, path_and_query: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path_and_query}", self.address()))
    }

    /// Sends a request that is certain to be answered.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request).await.expect("an answer")
    }

    /// Sends a request whose answer is judged by whoever sends it, and held against nothing here.
    pub(crate) async fn exchange(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        Answer::read(request.send().await?).await
    }

    /// Sends a request that may meet a closed door.
    pub(crate) async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let is_enveloped = response.url().path().starts_with("/v1/");
        let answer = Answer::read(response).await?;
        if self.is_public {
            answer.keeps_the_conventions();
            if is_enveloped {
                answer.keeps_the_envelope();
            }
        }
        Ok(answer)
    }

    pub(crate) async fn get(&self, path_and_query: &str) -> Answer {
        self.send(self.request(Method::GET, path_and_query)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Sends a body that is none of serde's making.
    pub(crate) async fn post_bytes(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(Method::POST, path).header("content-type", content_type).body(body)).await
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(ANSWER_LIMIT).build().unwrap()
}

//! Sends a request, prints it with its answer, and insists on what the answer must be.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use common::{
    clock::{Clock, Random, SystemClock, SystemRandom, random_bytes},
    http::{SignedContent, SigningKey},
};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

/// A client that shows what it does.
pub(super) struct Shown {
    client: reqwest::Client,
    base: String,
    out: Box<dyn FnMut(&str) + Send>,
}

/// How a request proves who sends it.
#[derive(Clone, Copy)]
pub(super) enum Proof<'a> {
    None,
    Bearer(&'a str),
    Signed { app_id: i64, secret: &'a str },
    Basic { app_id: i64, secret: &'a str },
    Partner { name: &'a str, secret: &'a str },
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    /// A field of `data` that must be text.
    pub(super) fn text(&self, field: &str) -> anyhow::Result<&str> {
        self.body["data"][field].as_str().with_context(|| format!("the answer has no text field `{field}`"))
    }

    /// Fails unless the field of `data` has this value.
    pub(super) fn expect(&self, field: &str, value: impl Into<Value>) -> anyhow::Result<()> {
        let (found, value) = (&self.body["data"][field], value.into());
        if *found != value {
            bail!("`{field}` should be {value} and is {found}");
        }
        Ok(())
    }
}

impl Shown {
    pub(super) fn new(base: String, out: Box<dyn FnMut(&str) + Send>) -> anyhow::Result<Self> {
        Ok(Self { client: reqwest::Client::builder().no_proxy().build()?, base, out })
    }

    /// From now on requests go there; answers where they went before.
    pub(super) fn speak_to(&mut self, base: String) -> String {
        std::mem::replace(&mut self.base, base)
    }

    /// Prints what somebody else was sent.
    pub(super) fn show(&mut self, text: &str) {
        (self.out)(&text.lines().map(|line| format!("> {line}\n")).collect::<String>());
    }

    pub(super) fn title(&mut self, text: &str) {
        (self.out)(&format!("\n== {text}\n"));
    }

    /// Sends a JSON request and fails unless the answer has `expected` as its HTTP status.
    pub(super) async fn send(
        &mut self,
        method: Method,
        target: &str,
        proof: Proof<'_>,
        body: Option<Value>,
        expected: u16,
    ) -> anyhow::Result<Answer> {
        let headers = body.is_some().then_some(("Content-Type", "application/json".to_owned()));
        let bytes = body.map(|body| body.to_string()).unwrap_or_default();
        self.send_raw(method, target, proof, headers.into_iter().collect(), bytes, expected).await
    }

    /// Sends any request and fails unless the answer has `expected` as its HTTP status.
    pub(super) async fn send_raw(
        &mut self,
        method: Method,
        target: &str,
        proof: Proof<'_>,
        mut headers: Vec<(&'static str, String)>,
        body: String,
        expected: u16,
    ) -> anyhow::Result<Answer> {
        headers.extend(proof_headers(&method, target, proof, body.as_bytes()));
        let mut shown = format!("> {method} {target}\n");
        for (name, value) in &headers {
            let _ = writeln!(shown, "> {name}: {value}");
        }
        if !body.is_empty() {
            let _ = writeln!(shown, "> {body}");
        }
        (self.out)(&shown);
        let mut request = self.client.request(method, format!("{}{target}", self.base));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let retry = headers.get("etag").and_then(|tag| tag.to_str().ok()).map(|tag| format!("< ETag: {tag}\n"));
        (self.out)(&format!("< {status}\n{}< {text}\n", retry.unwrap_or_default()));
        if status.as_u16() != expected {
            bail!("expected HTTP {expected} and got {status}");
        }
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::Null) };
        Ok(Answer { status, headers, body })
    }
}

fn proof_headers(method: &Method, target: &str, proof: Proof<'_>, body: &[u8]) -> Vec<(&'static str, String)> {
    match proof {
        Proof::None => Vec::new(),
        Proof::Bearer(token) => vec![("Authorization", format!("Bearer {token}"))],
        Proof::Basic { app_id, secret } => {
            use base64::{Engine, engine::general_purpose::STANDARD};
            vec![("Authorization", format!("Basic {}", STANDARD.encode(format!("{app_id}:{secret}"))))]
        }
        Proof::Signed { app_id, secret } => signed(("X-App-Id", app_id.to_string()), secret, method, target, body),
        Proof::Partner { name, secret } => signed(("X-Partner-Id", name.to_owned()), secret, method, target, body),
    }
}

fn signed(
    who: (&'static str, String),
    secret: &str,
    method: &Method,
    target: &str,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let timestamp = SystemClock.now().as_millis().to_string();
    let nonce = hex::encode(random_bytes::<16>(&SystemRandom as &dyn Random));
    let content = SignedContent { method: method.as_str(), path, query, timestamp: &timestamp, nonce: &nonce, body };
    let signature = SigningKey::new(secret.as_bytes()).sign(&content);
    vec![who, ("X-Timestamp", timestamp), ("X-Nonce", nonce), ("X-Signature", signature)]
}

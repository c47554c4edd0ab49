//! A game server: signs its requests and asks whether tokens are good.

use aws_lc_rs::{digest, hmac};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, App, Client};

/// Sends signed requests for one app.
#[derive(Clone)]
pub(crate) struct GameServer {
    client: Client,
    app: App,
}

/// The platform's answer about one token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verdict {
    pub(crate) status: String,
    pub(crate) account_id: Option<i64>,
    pub(crate) session_id: Option<String>,
    pub(crate) app_id: Option<i64>,
    pub(crate) issued_at: Option<i64>,
    pub(crate) expires_at: Option<i64>,
    pub(crate) channel: Option<String>,
    pub(crate) device_id: Option<String>,
    pub(crate) ban: Option<Value>,
    pub(crate) degraded: bool,
}

/// A request and everything its signature covers. A story changes a part to see the signature refused.
#[derive(Clone)]
pub(crate) struct SignedRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: String,
    pub(crate) app_id: String,
    pub(crate) timestamp: String,
    pub(crate) nonce: String,
    pub(crate) signature: String,
}

impl GameServer {
    pub(crate) fn new(client: Client, app: App) -> Self {
        Self { client, app }
    }

    /// Asks about a token and expects an answer to the question.
    pub(crate) async fn verify(&self, token: &str) -> Verdict {
        let answer = self.ask(token).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.ok_as()
    }

    /// Asks about a token; the answer may be that nobody can tell.
    pub(crate) async fn ask(&self, token: &str) -> Answer {
        self.post("/v1/server/tokens/verify", &json!({ "token": token })).await
    }

    /// The request that asks about a token.
    pub(crate) fn verify_request(&self, token: &str) -> RequestBuilder {
        let body = json!({ "token": token }).to_string();
        self.builder(&self.signed(Method::POST, "/v1/server/tokens/verify", "", &body))
    }

    /// Asks about many tokens at once.
    pub(crate) async fn ask_batch<T: AsRef<str>>(&self, tokens: &[T]) -> Answer {
        let tokens: Vec<&str> = tokens.iter().map(AsRef::as_ref).collect();
        self.post("/v1/server/tokens/verify-batch", &json!({ "tokens": tokens })).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(&self.signed(Method::POST, path, "", &body.to_string())).await
    }

    pub(crate) async fn send(&self, request: &SignedRequest) -> Answer {
        self.client.send(self.builder(request)).await
    }

    /// A request with a fresh nonce and a signature that holds.
    pub(crate) fn signed(&self, method: Method, path: &str, query: &str, body: &str) -> SignedRequest {
        let mut request = SignedRequest {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            body: body.to_owned(),
            app_id: self.app.app_id.to_string(),
            timestamp: now_ms().to_string(),
            nonce: fresh_nonce(),
            signature: String::new(),
        };
        request.signature = request.sign(&self.app.app_secret);
        request
    }

    /// The secret, for stories that sign what they should not.
    pub(crate) fn secret(&self) -> &str {
        &self.app.app_secret
    }

    fn builder(&self, request: &SignedRequest) -> RequestBuilder {
        let target =
            if request.query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, request.query) };
        self.client
            .request(request.method.clone(), &target)
            .header("content-type", "application/json")
            .header("x-app-id", &request.app_id)
            .header("x-timestamp", &request.timestamp)
            .header("x-nonce", &request.nonce)
            .header("x-signature", &request.signature)
            .body(request.body.clone())
    }
}

impl SignedRequest {
    /// Lower-case hex of HMAC-SHA256 over the six lines of the contract.
    pub(crate) fn sign(&self, secret: &str) -> String {
        let body = hex::encode(digest::digest(&digest::SHA256, self.body.as_bytes()));
        let lines = [self.method.as_str(), &self.path, &self.query, &self.timestamp, &self.nonce, &body].join("\n");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        hex::encode(hmac::sign(&key, lines.as_bytes()))
    }

    /// The headers of the request, for connections that write their own bytes.
    pub(crate) fn headers(&self) -> String {
        format!(
            "content-type: application/json\r\nx-app-id: {}\r\nx-timestamp: {}\r\nx-nonce: {}\r\nx-signature: {}\r\n",
            self.app_id, self.timestamp, self.nonce, self.signature
        )
    }
}

/// The time a game server puts into its requests.
#[expect(clippy::disallowed_methods, reason = "the platform under test compares it with the machine's clock")]
pub(crate) fn now_ms() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

#[expect(clippy::disallowed_methods, reason = "two runs must not share nonces")]
fn fresh_nonce() -> String {
    let mut nonce = [0; 16];
    aws_lc_rs::rand::fill(&mut nonce).unwrap();
    hex::encode(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```sh
    /// body=$(printf '{"token":"pg1.abc"}' | openssl dgst -sha256 -r | cut -d' ' -f1)
    /// printf 'POST\n/v1/server/tokens/verify\n\n1750000000000\nn-0123456789\n%s' "$body" |
    ///     openssl dgst -sha256 -hmac app-secret-1 -r
    /// ```
    #[test]
    fn the_harness_signs_as_openssl_does() {
        let request = SignedRequest {
            method: Method::POST,
            path: "/v1/server/tokens/verify".to_owned(),
            query: String::new(),
            body: r#"{"token":"pg1.abc"}"#.to_owned(),
            app_id: "1".to_owned(),
            timestamp: "1750000000000".to_owned(),
            nonce: "n-0123456789".to_owned(),
            signature: String::new(),
        };
        let expected = "219b8cf999dc152c9a36f8f282f24560c1468466d115dce3fc7647b36138a7bf";
        assert_eq!(request.sign("app-secret-1"), expected);
    }
}

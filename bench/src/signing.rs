//! Requests as game servers and partners sign them.

use std::time::{Duration, UNIX_EPOCH};

use aws_lc_rs::{digest, hmac};

use crate::client::Request;

/// A game server's credentials.
#[derive(Clone, Debug)]
pub struct App {
    /// The app.
    pub app_id: i64,
    /// Its secret.
    pub app_secret: String,
}

impl App {
    /// Adds the four headers. A signed read may be repeated until the clock window closes, five minutes later.
    #[must_use]
    pub fn sign(&self, request: Request) -> Request {
        let nonce = format!("bench-{:016x}", std::process::id());
        self.sign_at(request, now_millis(), &nonce)
    }

    fn sign_at(&self, request: Request, timestamp_ms: u128, nonce: &str) -> Request {
        signed(request, ("X-App-Id", self.app_id.to_string()), &self.app_secret, timestamp_ms, nonce)
    }
}

/// A partner's credentials.
#[derive(Clone, Debug)]
pub struct Partner {
    /// Its name.
    pub name: String,
    /// Its secret.
    pub secret: String,
}

impl Partner {
    /// Adds the four headers. Partners' nonces are not remembered, so it may be repeated as a signed read may.
    #[must_use]
    pub fn sign(&self, request: Request) -> Request {
        signed(request, ("X-Partner-Id", self.name.clone()), &self.secret, now_millis(), "bench-nonce")
    }
}

fn signed(mut request: Request, who: (&'static str, String), secret: &str, timestamp_ms: u128, nonce: &str) -> Request {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let body_hash = hex::encode(digest::digest(&digest::SHA256, request.body.as_bytes()));
    let text = format!("{}\n{path}\n{query}\n{timestamp_ms}\n{nonce}\n{body_hash}", request.method);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hex::encode(hmac::sign(&key, text.as_bytes()));
    request.headers.extend([
        who,
        ("X-Timestamp", timestamp_ms.to_string()),
        ("X-Nonce", nonce.to_owned()),
        ("X-Signature", signature),
    ]);
    request
}

#[expect(clippy::disallowed_methods, reason = "a game server signs with the time it is")]
fn now_millis() -> u128 {
    std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_what_the_contract_says() {
        let app = App { app_id: 7, app_secret: "secret".to_owned() };
        let request = Request { body: "{}".to_owned(), ..Request::get("/v1/server/x?a=1") };
        let signed = app.sign_at(request, 1_750_000_000_000, "nonce-1");
        // printf 'GET\n/v1/server/x\na=1\n1750000000000\nnonce-1\n%s' $(printf '{}' | sha256sum | cut -d' ' -f1) |
        //   openssl dgst -sha256 -hmac secret
        let expected = "e463883a3937330c04a03628fa1257f6313f4081513810a013c968dcd37670df";
        assert_eq!(signed.headers.last(), Some(&("X-Signature", expected.to_owned())));
    }
}

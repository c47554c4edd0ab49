//! A channel that has players of its own: it publishes the keys its ID tokens are signed with, and answers whoever asks
//! about one of its tokens, if the question is signed as a stranger would check it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
};

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::now_ms;

/// What questions are signed with.
const SECRET: &str = "a channel secret of this story";

/// A running channel; it ends with this value.
pub(crate) struct Channel {
    address: String,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

/// A key that ID tokens are signed with.
pub(crate) struct IssuerKey {
    id: &'static str,
    pair: Ed25519KeyPair,
}

#[derive(Default)]
struct State {
    /// 0: as it should.
    status: AtomicU16,
    silent: AtomicBool,
    calls: AtomicUsize,
    keys: Mutex<Value>,
}

impl Channel {
    /// One that answers as it should.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let served = Arc::clone(&state);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                connections.spawn(serve(socket, Arc::clone(&served)));
            }
        });
        Self { address, state, _serving: serving }
    }

    /// What its questions are signed with.
    pub(crate) fn secret() -> &'static str {
        SECRET
    }

    /// From now on these are the keys its ID tokens are signed with.
    pub(crate) fn publish(&self, keys: &[&IssuerKey]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public()).collect();
        *self.state.keys.lock().unwrap() = json!({ "keys": keys });
    }

    /// From now on it answers this status; 200: as it should.
    pub(crate) fn answer(&self, status: u16) {
        self.state.status.store(status, Ordering::SeqCst);
    }

    /// From now on it takes questions and answers none.
    pub(crate) fn fall_silent(&self) {
        self.state.silent.store(true, Ordering::SeqCst);
    }

    /// How often it was asked anything.
    pub(crate) fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }

    /// The document of a channel whose players have ID tokens.
    pub(crate) fn oidc(&self) -> Value {
        let jwks_uri = format!("http://{}/jwks", self.address);
        json!({ "login": {
            "kind": "oidc", "issuer": "https://channel.example", "jwks_uri": jwks_uri, "audiences": ["my-game"],
        } })
    }

    /// The document of a channel that is asked about its tokens.
    pub(crate) fn signed_http(&self) -> Value {
        json!({ "login": {
            "kind": "signed_http",
            "secrets": { "key": SECRET },
            "request": {
                "method": "POST", "url": format!("http://{}/verify", self.address), "send_as": "form",
                "parameters": [
                    { "name": "token", "value": "{credential.token}" },
                    { "name": "ts", "value": "{timestamp_s}" },
                ],
            },
            "signature": {
                "name": "sign", "algorithm": "hmac_sha256", "key": "{secrets.key}", "content": { "sorted": {} },
            },
            "answer": {
                "success": { "pointer": "/state", "equals": [1] },
                "uid": { "pointer": "/data/userID" },
                "wrong_credential": [{ "pointer": "/state", "equals": [9] }],
            },
        } })
    }
}

impl IssuerKey {
    pub(crate) fn new(id: &'static str) -> Self {
        Self { id, pair: Ed25519KeyPair::generate().unwrap() }
    }

    /// An ID token of a player, good for five minutes.
    pub(crate) fn id_token(&self, player: &str) -> String {
        let now = now_ms() / 1000;
        self.sign(
            &json!({ "alg": "EdDSA", "kid": self.id }),
            &json!({ "iss": "https://channel.example", "sub": player, "aud": "my-game", "iat": now, "exp": now + 300 }),
        )
    }

    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    fn public(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.id, "x": x })
    }
}

async fn serve(mut socket: TcpStream, state: Arc<State>) {
    let Some((head, body)) = read(&mut socket).await else { return };
    state.calls.fetch_add(1, Ordering::SeqCst);
    if state.silent.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    let answer = if head.starts_with("GET /jwks ") { state.keys.lock().unwrap().clone() } else { verify(&body) };
    let status = match state.status.load(Ordering::SeqCst) {
        0 => 200,
        status => status,
    };
    let answer = answer.to_string();
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
    let _ = socket.write_all(format!("{head}{answer}").as_bytes()).await;
}

async fn read(socket: &mut TcpStream) -> Option<(String, String)> {
    let mut seen = Vec::new();
    loop {
        if socket.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

/// `token-of-NAME` is good and belongs to NAME.
fn verify(form: &str) -> Value {
    let field = |name: &str| {
        let prefix = format!("{name}=");
        form.split('&').find_map(|pair| pair.strip_prefix(&prefix)).unwrap_or_default()
    };
    let signed = format!("token={}&ts={}", field("token"), field("ts"));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    if hex::encode(hmac::sign(&key, signed.as_bytes())) != field("sign") {
        return json!({ "state": 12 });
    }
    match field("token").strip_prefix("token-of-") {
        Some(player) => json!({ "state": 1, "data": { "userID": player } }),
        None => json!({ "state": 9 }),
    }
}

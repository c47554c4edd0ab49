//! A channel's server, as somebody else runs it, and what operators and players do with channels.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::{clock::Clock, error_code::PublicError};
use idl::{
    account::{AccountService, ChannelProof, LinkProof, LinkRequest, LinkResponse, LoginProof, LoginResponse},
    account_admin::{ChannelDetails, PutChannelRequest},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

use super::{Service, public};

/// A running server that answers everything alike.
pub(crate) struct ChannelServer {
    address: String,
    answer: Arc<Mutex<(u16, String)>>,
    calls: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

/// Someone who signs ID tokens with a key of this id.
pub(crate) struct Issuer {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl ChannelServer {
    pub(crate) async fn answering(status: u16, body: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let answer = Arc::new(Mutex::new((status, body.to_string())));
        let calls = Arc::new(AtomicUsize::new(0));
        let (answered, counted) = (Arc::clone(&answer), Arc::clone(&calls));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut seen = Vec::new();
                while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    socket.read_buf(&mut seen).await.expect("readable");
                }
                let (status, body) = answered.lock().expect("not poisoned").clone();
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                let _ = socket.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        Self { address, answer, calls, _serving: serving }
    }

    /// A server that publishes the keys of these issuers.
    pub(crate) async fn publishing(issuers: &[&Issuer]) -> Self {
        Self::answering(200, &key_set(issuers)).await
    }

    pub(crate) fn answer(&self, status: u16, body: &Value) {
        *self.answer.lock().expect("not poisoned") = (status, body.to_string());
    }

    pub(crate) fn publish(&self, issuers: &[&Issuer]) {
        self.answer(200, &key_set(issuers));
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// A document for players with ID tokens.
    pub(crate) fn oidc(&self) -> Value {
        let jwks_uri = format!("http://{}/jwks", self.address);
        json!({ "login": {
            "kind": "oidc", "issuer": "https://issuer.example", "jwks_uri": jwks_uri, "audiences": ["client"],
        } })
    }

    /// A document for players with a token that this server is asked about.
    pub(crate) fn signed_http(&self) -> Value {
        json!({ "login": {
            "kind": "signed_http",
            "secrets": { "key": "s3cret-key" },
            "request": {
                "url": format!("http://{}/verify", self.address),
                "parameters": [{ "name": "token", "value": "{credential.token}" }],
            },
            "signature": { "name": "sign", "algorithm": "md5", "content": { "sorted": { "suffix": "{secrets.key}" } } },
            "answer": {
                "success": { "pointer": "/code", "equals": [0] },
                "uid": { "pointer": "/uid" },
                "wrong_credential": [{ "pointer": "/code", "equals": [1] }],
            },
        } })
    }
}

impl Issuer {
    pub(crate) fn new(kid: &'static str) -> Self {
        Self { kid, pair: Ed25519KeyPair::generate().expect("a key") }
    }

    /// The credential of a player.
    pub(crate) fn credential(&self, service: &Service, player: &str) -> Value {
        let now = service.clock.now().as_millis() / 1000;
        let claims =
            json!({ "iss": "https://issuer.example", "sub": player, "aud": "client", "iat": now, "exp": now + 300 });
        let encode = |part: String| BASE64_URL_SAFE_NO_PAD.encode(part);
        let header = json!({ "alg": "EdDSA", "kid": self.kid });
        let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        json!({ "id_token": format!("{signed}.{signature}") })
    }
}

impl Service {
    pub(crate) async fn try_put_channel(
        &self,
        channel: &'static str,
        document: &Value,
    ) -> Result<ChannelDetails, PublicError> {
        let (app_id, document_json) = (self.app_id(), document.to_string().into());
        let request = PutChannelRequest { actor: "operator".into(), app_id, channel: channel.into(), document_json };
        public(self.account.admin_put_channel(request).await).map(|response| response.channel)
    }

    pub(crate) async fn put_channel(&self, channel: &'static str, document: &Value) -> ChannelDetails {
        self.try_put_channel(channel, document).await.expect("written")
    }

    pub(crate) async fn channel_login(
        &self,
        channel: &'static str,
        credential: &Value,
    ) -> Result<LoginResponse, PublicError> {
        self.login_by(self.app_id(), LoginProof::Channel(channel_proof(channel, credential))).await
    }

    pub(crate) async fn link_channel(
        &self,
        access_token: &str,
        channel: &'static str,
        credential: &Value,
    ) -> Result<LinkResponse, PublicError> {
        let proof = LinkProof::Channel(channel_proof(channel, credential));
        let request = LinkRequest { access_token: access_token.to_owned().into(), proof, client: None };
        public(self.account.link(request).await)
    }
}

pub(crate) fn channel_proof(channel: &'static str, credential: &Value) -> ChannelProof {
    ChannelProof { channel: channel.into(), credential_json: credential.to_string().into() }
}

fn key_set(issuers: &[&Issuer]) -> Value {
    let key = |issuer: &&Issuer| {
        let x = BASE64_URL_SAFE_NO_PAD.encode(issuer.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": issuer.kid, "x": x })
    };
    json!({ "keys": issuers.iter().map(key).collect::<Vec<_>>() })
}

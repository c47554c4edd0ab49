//! What tests of several channels need: a key that signs, and callbacks without ceremony.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use common::clock::Timestamp;
use serde_json::{Value, json};

use super::{
    callback::{CallbackRefusal, PaymentFacts, RawCallback, Verdict},
    channel::PaymentChannel,
    config::{BuildInputs, ChannelConfig},
};

/// A key that was made for this run: for callbacks that are wrong in themselves and nevertheless signed.
pub(super) struct RsaSigner(RsaKeyPair);

impl RsaSigner {
    pub(super) fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    /// The public key in base64, as consoles of channels show it.
    pub(super) fn public_key(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().expect("encoded");
        BASE64_STANDARD.encode(der.as_ref())
    }

    /// The public key as a JWK set with one key of this id.
    pub(super) fn key_set(&self, kid: &str) -> Value {
        // RFC 8017, A.1.1, in DER: at these places for every key of 2048 bits. With a zero in front of n.
        let der = self.0.public_key().as_ref();
        let (n, e) = (BASE64_URL_SAFE_NO_PAD.encode(&der[8..265]), BASE64_URL_SAFE_NO_PAD.encode(&der[267..]));
        json!({ "keys": [{ "kty": "RSA", "kid": kid, "n": n, "e": e, "alg": "RS256", "use": "sig" }] })
    }

    /// A token in its compact form.
    pub(super) fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = self.sign_with(&RSA_PKCS1_SHA256, signed.as_bytes());
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    pub(super) fn sign(&self, message: &[u8]) -> String {
        BASE64_STANDARD.encode(self.sign_with(&RSA_PKCS1_SHA256, message))
    }

    pub(super) fn sign_with(&self, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign(encoding, &SystemRandom::new(), message, &mut signature).expect("signed");
        signature
    }
}

/// The channel of a configuration, which has to be good.
pub(super) fn channel(config: &Value) -> Box<dyn PaymentChannel> {
    let config = ChannelConfig::parse(&config.to_string(), None, false).expect("a good configuration");
    config.build(&BuildInputs::default())
}

/// The problems of a configuration.
pub(super) fn problems(config: &Value) -> Vec<String> {
    let refused = ChannelConfig::parse(&config.to_string(), None, false).expect_err("refused");
    refused.problems.into_iter().map(|problem| problem.path).collect()
}

/// What a channel says to a body at the moment 0.
pub(super) fn post(channel: &dyn PaymentChannel, body: &str) -> Result<Verdict, CallbackRefusal> {
    post_at(channel, 0, &[], body)
}

/// What a channel says to headers and a body.
pub(super) fn post_at(
    channel: &dyn PaymentChannel,
    now: i64,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<Verdict, CallbackRefusal> {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let callback = RawCallback { method: "POST", path: "/", query: "", headers: &headers, body: body.as_bytes() };
    channel.verify(&callback, Timestamp::from_millis(now))
}

/// The facts of a verdict that has to have some.
pub(super) fn facts(verdict: Result<Verdict, CallbackRefusal>) -> PaymentFacts {
    match verdict {
        Ok(Verdict::Facts(facts)) => facts,
        other => panic!("no facts: {other:?}"),
    }
}

/// Where a callback is malformed.
pub(super) fn malformed(verdict: &Result<Verdict, CallbackRefusal>) -> &str {
    match verdict {
        Err(CallbackRefusal::Malformed { field, .. }) => field,
        other => panic!("not malformed: {other:?}"),
    }
}

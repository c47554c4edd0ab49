//! What tests of several channels need: a key that signs, and callbacks without ceremony.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaEncoding, RsaKeyPair},
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
pub(crate) struct RsaSigner(RsaKeyPair);

impl RsaSigner {
    pub(crate) fn new() -> Self {
        Self(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key"))
    }

    /// The public key in base64, as consoles of channels show it.
    pub(super) fn public_key(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().expect("encoded");
        BASE64_STANDARD.encode(der.as_ref())
    }

    /// The public key as a JWK set with one key of this id.
    pub(crate) fn key_set(&self, kid: &str) -> Value {
        // RFC 8017, A.1.1, in DER: at these places for every key of 2048 bits. With a zero in front of n.
        let der = self.0.public_key().as_ref();
        let (n, e) = (BASE64_URL_SAFE_NO_PAD.encode(&der[8..265]), BASE64_URL_SAFE_NO_PAD.encode(&der[267..]));
        json!({ "keys": [{ "kty": "RSA", "kid": kid, "n": n, "e": e, "alg": "RS256", "use": "sig" }] })
    }

    /// A token in its compact form.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
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

/// Apple, as far as it signs: a leaf with its key under a chain that leads to a root.
///
/// Made by Python's `cryptography`: root and intermediate (P-384, keys thrown away) and a leaf (P-256) with Apple's two
/// marker extensions, valid from 2025 to 2040.
pub(crate) struct AppleSigner {
    key: EcdsaKeyPair,
    x5c: Value,
    root: String,
}

impl AppleSigner {
    pub(crate) fn new() -> Self {
        let vectors: Value = serde_json::from_str(include_str!("vectors/apple_signer.json")).expect("JSON");
        let text = |name: &str| vectors[name].as_str().expect("a text");
        let key = BASE64_STANDARD.decode(text("leaf_key_pkcs8")).expect("base64");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).expect("a key");
        Self { key, x5c: vectors["x5c"].clone(), root: text("root").to_owned() }
    }

    /// A channel that trusts it.
    pub(crate) fn config(&self) -> Value {
        json!({ "kind": "apple", "bundle_id": "com.example.game", "root_certificates": self.root })
    }

    /// A token as Apple signs them.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let signed = format!("{}.{}", part(&json!({ "alg": "ES256", "x5c": self.x5c })), part(claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("signed");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    /// What StoreKit gives the client: a transaction with one piece of `gems60`.
    pub(crate) fn transaction(&self, now: Timestamp, id: &str, app_account_token: &str, revoked: bool) -> String {
        let mut transaction = json!({
            "transactionId": id, "bundleId": "com.example.game", "productId": "gems60", "environment": "Production",
            "type": "Consumable", "inAppOwnershipType": "PURCHASED", "signedDate": now.as_millis(),
            "purchaseDate": now.as_millis(), "quantity": 1, "appAccountToken": app_account_token,
        });
        if revoked {
            transaction["revocationDate"] = json!(now.as_millis());
        }
        self.token(&transaction)
    }

    /// The body of a notification, version 2, about a transaction.
    pub(crate) fn notification(&self, now: Timestamp, kind: &str, transaction: &str) -> String {
        let payload = json!({
            "notificationType": kind, "version": "2.0", "signedDate": now.as_millis(),
            "data": {
                "bundleId": "com.example.game", "environment": "Production", "signedTransactionInfo": transaction,
            },
        });
        json!({ "signedPayload": self.token(&payload) }).to_string()
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

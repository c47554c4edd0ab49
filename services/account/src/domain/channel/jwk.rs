//! The public keys of an issuer (RFC 7517), as far as ID tokens are signed with them.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::jws::Algorithm;

/// Keys of one issuer that are used. Protects memory; providers publish two to ten.
const MOST_KEYS: usize = 32;

/// The keys of an issuer; never empty.
#[derive(Clone, Debug)]
pub(crate) struct KeySet(Vec<VerifyingKey>);

/// A key, and the one algorithm it is good for: an attacker can't choose another.
#[derive(Clone, Debug)]
pub(crate) struct VerifyingKey {
    kid: Option<String>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed point.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct WireSet {
    keys: Vec<serde_json::Value>,
}

/// Only what is public: a private part, should there be one, is not read.
#[derive(Deserialize)]
struct WireKey {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWK set. Keys of other kinds and for other uses are left out.
    ///
    /// # Errors
    /// When it is none, or no key is left.
    pub(crate) fn parse(document: &[u8]) -> Result<Self, &'static str> {
        let set: WireSet = serde_json::from_slice(document).map_err(|_| "is not a JWK set")?;
        let keys = set.keys.into_iter().filter_map(|key| VerifyingKey::read(serde_json::from_value(key).ok()?));
        let keys: Vec<_> = keys.take(MOST_KEYS).collect();
        if keys.is_empty() { Err("has no key that ID tokens are signed with") } else { Ok(Self(keys)) }
    }

    /// The keys that may have made a signature: those of that id, or of that algorithm where the token names no id.
    pub(crate) fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &VerifyingKey> {
        let named = move |key: &&VerifyingKey| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid));
        self.0.iter().filter(named).filter(move |key| key.algorithm() == algorithm)
    }

    /// Whether there is a key of that id, of whatever kind.
    pub(crate) fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|key| key.kid.as_deref() == Some(kid))
    }
}

impl VerifyingKey {
    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            Material::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature),
            Material::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature),
        };
        verified.is_ok()
    }

    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    fn read(key: WireKey) -> Option<Self> {
        let material = match (key.kty.as_str(), key.crv.as_deref()) {
            ("RSA", _) => Material::Rsa { n: number(key.n)?, e: number(key.e)? },
            ("EC", Some("P-256")) => {
                let (x, y) = (fixed(key.x)?, fixed(key.y)?);
                Material::P256([[4].as_slice(), &x, &y].concat())
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(fixed(key.x)?),
            _ => return None,
        };
        let read = Self { kid: key.kid, material };
        let for_this = key.alg.is_none_or(|alg| alg == read.algorithm().as_str());
        (for_this && key.usage.is_none_or(|usage| usage == "sig")).then_some(read)
    }
}

fn decoded(text: Option<String>) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text?.trim_end_matches('=')).ok()
}

/// Some issuers write zeros in front.
fn number(text: Option<String>) -> Option<Vec<u8>> {
    let bytes = decoded(text)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

fn fixed(text: Option<String>) -> Option<Vec<u8>> {
    decoded(text).filter(|bytes| bytes.len() == 32)
}

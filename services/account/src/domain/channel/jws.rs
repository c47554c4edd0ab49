//! A signed token in its compact form (RFC 7515), with the three signatures ID tokens really have.
//!
//! Of the header only `alg` and `kid` are looked at. `none` and the HMACs are no algorithms here, a key is good for one
//! algorithm only, and a key that a token brings along (`jwk`, `x5c`, `jku`) is never used. Time is not read here: the claims
//! are judged by [`super::oidc`], which is handed the time.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, de::DeserializeOwned};

use super::jwk::VerifyingKey;

/// A signature algorithm (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Algorithm {
    /// RSA of at least 2048 bits, PKCS #1 v1.5, SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// A token whose signature has not been checked. Never printed.
pub(crate) struct Jws<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    /// What must be understood: nothing is.
    crit: Option<serde_json::Value>,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl<'a> Jws<'a> {
    /// `None`: not a token, or one of another kind.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        if header.crit.is_some() {
            return None;
        }
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        Some(Self { algorithm: header.alg, kid: header.kid, signed, payload, signature })
    }

    /// The claims, if this key has signed them. `None` as well when they can't be read.
    pub(crate) fn claims<T: DeserializeOwned>(&self, key: &VerifyingKey) -> Option<T> {
        key.verifies(self.signed.as_bytes(), &self.signature).then(|| serde_json::from_slice(&self.payload).ok())?
    }
}

impl std::fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jws").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

//! The public keys of an issuer of ID tokens (RFC 7517), as far as they are RSA keys for RS256.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;

/// Keys of one issuer that are used. Protects memory; Google publishes two or three.
const MOST_KEYS: usize = 32;

/// The keys of an issuer; never empty.
#[derive(Clone, Debug)]
pub struct IssuerKeys(Vec<IssuerKey>);

/// A key for RS256 (RFC 7518, 3.3), and nothing else.
#[derive(Clone, Debug)]
pub(super) struct IssuerKey {
    kid: String,
    n: Vec<u8>,
    e: Vec<u8>,
}

/// Not a set with a key that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a JWK set with an RSA key that has an id")]
pub struct IssuerKeysError;

#[derive(Deserialize)]
struct WireSet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct WireKey {
    kty: String,
    kid: String,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    n: String,
    e: String,
}

impl IssuerKeys {
    /// Reads a JWK set. Keys of other kinds and for other uses are left out.
    ///
    /// # Errors
    /// When it is none, or no key is left.
    pub fn parse(document: &[u8]) -> Result<Self, IssuerKeysError> {
        let set: WireSet = serde_json::from_slice(document).map_err(|_| IssuerKeysError)?;
        let keys = set.keys.into_iter().filter_map(|key| IssuerKey::read(serde_json::from_value(key).ok()?));
        let keys: Vec<_> = keys.take(MOST_KEYS).collect();
        if keys.is_empty() { Err(IssuerKeysError) } else { Ok(Self(keys)) }
    }

    /// The key of an id.
    pub(super) fn get(&self, kid: &str) -> Option<&IssuerKey> {
        self.0.iter().find(|key| key.kid == kid)
    }
}

impl IssuerKey {
    /// Whether `signature` is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let components = RsaPublicKeyComponents { n: &self.n, e: &self.e };
        components.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }

    fn read(key: WireKey) -> Option<Self> {
        let for_this = key.kty == "RSA"
            && key.alg.is_none_or(|alg| alg == "RS256")
            && key.usage.is_none_or(|usage| usage == "sig");
        for_this.then(|| Some(Self { kid: key.kid, n: number(&key.n)?, e: number(&key.e)? }))?
    }
}

/// Some issuers write zeros in front.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_rsa_keys_for_signatures_are_used() {
        let parse = |keys: &str| IssuerKeys::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes());
        let good = r#"{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB"}"#;
        assert!(parse(good).expect("good").get("a").is_some());
        assert!(parse(good).expect("good").get("b").is_none());
        for bad in [
            "",
            "7",
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#,
            r#"{"kty":"oct","kid":"a","k":"AQAB"}"#,
            r#"{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB","alg":"RS512"}"#,
            r#"{"kty":"RSA","kid":"a","n":"AQAB","e":"AQAB","use":"enc"}"#,
            r#"{"kty":"RSA","kid":"a","n":"!","e":"AQAB"}"#,
            r#"{"kty":"RSA","kid":"a","n":"AA","e":"AQAB"}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(document: Vec<u8>, key in ".*") {
            let _ = IssuerKeys::parse(&document);
            let _ = IssuerKeys::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes());
        }
    }
}

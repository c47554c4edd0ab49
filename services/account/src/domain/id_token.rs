//! The ID token: who signed in, readable and verifiable by anybody who has the published keys.
//!
//! A JWS in compact form (RFC 7515), signed with EdDSA (RFC 8037), with the claims of OpenID Connect Core section 2.
//! It proves a sign-in; it is no key to anything here, and nothing here reads it. Revocations do not reach it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use common::clock::Timestamp;
use serde_json::json;

use super::{
    ids::{AccountId, AppId, SessionId},
    signing_key::SigningKey,
};

/// What an ID token says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdClaims<'a> {
    /// Who says it: a URL.
    pub(crate) issuer: &'a str,
    pub(crate) account_id: AccountId,
    pub(crate) app_id: AppId,
    pub(crate) session_id: SessionId,
    /// When the player proved who they are: a refresh does not change it.
    pub(crate) signed_in_at: Timestamp,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Makes the token. Times become whole seconds, rounded down: a token never lives longer than it was given.
pub(crate) fn sign(key: &SigningKey, claims: &IdClaims<'_>) -> String {
    let header = json!({ "alg": "EdDSA", "kid": key.key_id(), "typ": "JWT" });
    let payload = json!({
        "iss": claims.issuer,
        // Identifiers are text, as in the standard; they are numbers elsewhere in the contract.
        "sub": claims.account_id.to_string(),
        "aud": claims.app_id.to_string(),
        "sid": claims.session_id.to_string(),
        "auth_time": seconds(claims.signed_in_at),
        "iat": seconds(claims.issued_at),
        "exp": seconds(claims.expires_at),
    });
    let mut token = encode(header.to_string());
    token.push('.');
    token.push_str(&encode(payload.to_string()));
    let signature = encode(key.sign(token.as_bytes()));
    token.push('.');
    token.push_str(&signature);
    token
}

fn encode(part: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(part)
}

fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;
    use crate::domain::{key_rotation::Scheduled, signing_key::SEED_LENGTH};

    fn key() -> SigningKey {
        SigningKey::new(Scheduled { number: 1, signs_from: Timestamp::from_millis(0) }, &[7; SEED_LENGTH])
    }

    fn token() -> String {
        let claims = IdClaims {
            issuer: "https://login.example/\"quoted\"",
            account_id: AccountId::parse(100_001).expect("in range"),
            app_id: AppId::parse(1001).expect("in range"),
            session_id: SessionId::from_bytes([1; 16]),
            signed_in_at: Timestamp::from_millis(1_000_999),
            issued_at: Timestamp::from_millis(2_000_999),
            expires_at: Timestamp::from_millis(3_000_999),
        };
        sign(&key(), &claims)
    }

    fn decoded(part: &str) -> Value {
        let text = URL_SAFE_NO_PAD.decode(part).expect("base64url without padding");
        serde_json::from_slice(&text).expect("JSON")
    }

    #[test]
    fn the_claims_have_the_standards_names_and_units() {
        let token = token();
        let parts: Vec<&str> = token.split('.').collect();
        assert_eq!(decoded(parts[0]), json!({ "alg": "EdDSA", "kid": key().key_id(), "typ": "JWT" }));
        assert_eq!(
            decoded(parts[1]),
            json!({
                "iss": "https://login.example/\"quoted\"", "sub": "100001", "aud": "1001",
                "sid": "01010101-0101-0101-0101-010101010101", "auth_time": 1000, "iat": 2000, "exp": 3000,
            })
        );
    }

    #[test]
    fn the_signature_covers_header_and_claims() {
        let token = token();
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        let (key, tampered) = (key(), signed.replace('.', "A."));
        let public_key = UnparsedPublicKey::new(&ED25519, key.public_key());
        assert!(public_key.verify(signed.as_bytes(), &signature).is_ok());
        assert!(public_key.verify(tampered.as_bytes(), &signature).is_err());
    }
}

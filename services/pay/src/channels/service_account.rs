//! A service account of Google: what it signs to get an access token, and what it is answered (OAuth 2.0 with a JWT as the
//! grant, RFC 7523, as Google documents it for servers).

use std::{fmt, time::Duration};

use aws_lc_rs::{
    digest,
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use common::clock::Timestamp;
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::config::ConfigProblem;

/// Where Google gives out access tokens, for keys that don't say it.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How long an assertion is good; Google takes no longer ones.
const GOOD_FOR_S: i64 = 3600;

/// The longest access token that is used, in bytes. Protects memory.
const LONGEST_TOKEN: usize = 8192;

/// The file that the console gives out, as far as it is used; what else is in it is left alone.
#[derive(Debug, Deserialize)]
pub(super) struct ServiceAccountKey {
    client_email: String,
    /// PEM, an RSA key.
    private_key: SecretString,
    private_key_id: Option<String>,
    token_uri: Option<String>,
}

/// A service account that can ask for access tokens. Not printed but for its name.
pub struct ServiceAccount {
    client_email: String,
    key: RsaKeyPair,
    key_id: Option<String>,
    audience: String,
    token_url: String,
    scope: &'static str,
    fingerprint: [u8; 32],
}

/// An access token. Not printed.
#[derive(Clone, Debug)]
pub struct AccessToken {
    /// What is sent as bearer.
    pub secret: SecretString,
    /// For how long it is good, from when it was asked for.
    pub lifetime: Duration,
}

/// Why there is no access token. Repeats nothing but the status and a code of RFC 6749.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no access token: status {status}{code}")]
pub struct TokenRefusal {
    status: u16,
    /// With a space in front; empty when there is none.
    code: String,
}

impl ServiceAccountKey {
    /// Where it asks for tokens.
    pub(super) fn token_uri(&self) -> &str {
        self.token_uri.as_deref().unwrap_or(TOKEN_URI)
    }

    /// The account with its key, asking at `token_url`.
    pub(super) fn prepare(self, token_url: String, scope: &'static str) -> Result<ServiceAccount, ConfigProblem> {
        if !self.client_email.contains('@') {
            return Err(ConfigProblem::new("client_email", "must be the e-mail address of a service account"));
        }
        let pem = self.private_key.expose_secret();
        let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()) {
            Ok(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            Ok(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
            Ok(_) | Err(_) => None,
        };
        let wrong = || ConfigProblem::new("private_key", "must be an RSA private key in PEM, of 2048 to 8192 bits");
        let key = key.ok_or_else(wrong)?;
        let audience = self.token_uri().to_owned();
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [&self.client_email, pem, &audience, &token_url] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.finish().as_ref());
        let Self { client_email, private_key_id: key_id, .. } = self;
        Ok(ServiceAccount { client_email, key, key_id, audience, token_url, scope, fingerprint })
    }
}

impl ServiceAccount {
    /// Tells accounts and their keys apart. Says nothing about the key.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Where a token is asked for, with POST and [`token_request`](Self::token_request) as a form.
    pub fn token_url(&self) -> &str {
        &self.token_url
    }

    /// The form that asks for an access token; `None`: the key can't sign.
    pub fn token_request(&self, now: Timestamp) -> Option<String> {
        let part = |json: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let mut header = json!({ "alg": "RS256", "typ": "JWT" });
        if let Some(key_id) = &self.key_id {
            header["kid"] = json!(key_id);
        }
        let issued_at = now.as_millis().div_euclid(1000);
        let claims = json!({
            "iss": self.client_email, "scope": self.scope, "aud": self.audience,
            "iat": issued_at, "exp": issued_at.saturating_add(GOOD_FOR_S),
        });
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        // PKCS #1 v1.5 signs the same the same; the random numbers only blind the computation.
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
        let assertion = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature));
        let mut form = form_urlencoded::Serializer::new(String::new());
        Some(form.append_pair("grant_type", GRANT).append_pair("assertion", &assertion).finish())
    }
}

impl AccessToken {
    /// What was answered to [`ServiceAccount::token_request`].
    ///
    /// # Errors
    /// When it is no token that can be used.
    pub fn read(status: u16, body: &[u8]) -> Result<Self, TokenRefusal> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: u64,
            token_type: String,
        }
        let granted = serde_json::from_slice::<Granted>(body).ok().filter(|granted| {
            let token = &granted.access_token;
            status == 200
                && granted.token_type.eq_ignore_ascii_case("bearer")
                && granted.expires_in > 0
                && (1..=LONGEST_TOKEN).contains(&token.len())
                && token.bytes().all(|byte| byte.is_ascii_graphic())
        });
        match granted {
            Some(granted) => {
                let lifetime = Duration::from_secs(granted.expires_in);
                Ok(Self { secret: SecretString::from(granted.access_token), lifetime })
            }
            None => Err(TokenRefusal { status, code: refusal_code(body) }),
        }
    }
}

/// `error` of RFC 6749, 5.2, such as `invalid_grant`, if it can do no harm in a log.
fn refusal_code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refused {
        error: String,
    }
    let harmless = |text: &str| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let refused = serde_json::from_slice::<Refused>(body).ok().filter(|refused| harmless(&refused.error));
    refused.map(|refused| format!(" {}", refused.error)).unwrap_or_default()
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccount").field("client_email", &self.client_email).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Made by Python's `cryptography`: a key that was made for this, in both forms of PEM, and the form that asks for a
    /// token at 1780000000 seconds, signed by `padding.PKCS1v15()` with `hashes.SHA256()`.
    static VECTORS: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("vectors/service_account.json")).expect("JSON"));

    fn prepare(change: impl FnOnce(&mut Value)) -> Result<ServiceAccount, ConfigProblem> {
        let mut key = VECTORS["key_file"].clone();
        change(&mut key);
        let key: ServiceAccountKey = serde_json::from_value(key).expect("a key file");
        let url = key.token_uri().to_owned();
        key.prepare(url, "https://www.googleapis.com/auth/androidpublisher")
    }

    #[test]
    fn an_assertion_is_what_google_documents_signed_with_the_key_of_the_file() {
        let (pkcs8, pkcs1) = (prepare(|_| {}), prepare(|key| key["private_key"] = VECTORS["pkcs1"].clone()));
        for account in [pkcs8.expect("good"), pkcs1.expect("good")] {
            let form = account.token_request(Timestamp::from_millis(1_780_000_000_999)).expect("signed");
            assert_eq!(form, VECTORS["form"].as_str().expect("a text"));
            assert_eq!(account.token_url(), "https://oauth2.googleapis.com/token");
        }
        let unnamed = prepare(|key| {
            key.as_object_mut().expect("an object").retain(|name, _| name != "private_key_id" && name != "token_uri");
        });
        let form = unnamed.expect("good").token_request(Timestamp::from_millis(1_780_000_000_999)).expect("signed");
        assert_eq!(form, VECTORS["form_without_key_id"].as_str().expect("a text"));
    }

    #[test]
    fn another_key_or_another_place_is_another_account() {
        let fingerprint = |change: &dyn Fn(&mut Value)| prepare(|key| change(key)).expect("good").fingerprint();
        let same = fingerprint(&|_| {});
        assert_eq!(fingerprint(&|key| key["project_id"] = json!("another")), same);
        for (field, value) in [
            ("client_email", json!("b@example.com")),
            ("token_uri", json!("https://x")),
            ("private_key", VECTORS["pkcs1"].clone()),
        ] {
            assert_ne!(fingerprint(&|key| key[field] = value.clone()), same, "{field}");
        }
    }

    #[test]
    fn what_is_no_rsa_key_is_refused_by_its_place() {
        let refused = |field: &str, value: &str| prepare(|key| key[field] = json!(value)).expect_err("refused").path;
        assert_eq!(refused("client_email", "nobody"), "client_email");
        for bad in ["", "key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert_eq!(refused("private_key", bad), "private_key");
        }
        assert_eq!(refused("private_key", VECTORS["ec"].as_str().expect("a text")), "private_key");
        assert_eq!(refused("private_key", VECTORS["short"].as_str().expect("a text")), "private_key");
    }

    #[test]
    fn a_token_is_taken_only_whole_and_a_refusal_says_its_code_and_nothing_else() {
        let good = r#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer","scope":"s"}"#;
        let token = AccessToken::read(200, good.as_bytes()).expect("a token");
        assert_eq!((token.secret.expose_secret(), token.lifetime), ("ya29.x", Duration::from_secs(3599)));
        assert!(!format!("{token:?}").contains("ya29"));
        let code = |status, body: &str| AccessToken::read(status, body.as_bytes()).expect_err("refused").to_string();
        assert_eq!(
            code(400, r#"{"error":"invalid_grant","error_description":"s3cret"}"#),
            "no access token: status 400 invalid_grant"
        );
        assert_eq!(code(400, r#"{"error":"s3cret\n"}"#), "no access token: status 400");
        assert_eq!(code(401, good), "no access token: status 401");
        for bad in [
            "",
            "7",
            r#"{"access_token":"","expires_in":3599,"token_type":"Bearer"}"#,
            r#"{"access_token":"a b","expires_in":3599,"token_type":"Bearer"}"#,
            r#"{"access_token":"a","expires_in":0,"token_type":"Bearer"}"#,
            r#"{"access_token":"a","expires_in":-1,"token_type":"Bearer"}"#,
            r#"{"access_token":"a","expires_in":1,"token_type":"mac"}"#,
        ] {
            assert_eq!(code(200, bad), "no access token: status 200", "{bad}");
        }
    }

    #[test]
    fn the_key_is_not_shown() {
        let key = VECTORS["key_file"]["private_key"].as_str().expect("a text");
        let file: ServiceAccountKey = serde_json::from_value(VECTORS["key_file"].clone()).expect("a key file");
        let shown = format!("{file:?} {:?}", prepare(|_| {}));
        assert!(shown.contains("client_email") && !shown.contains(&key[40..60]) && !shown.contains("BEGIN"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_text_panics(status in 100_u16..600, body: Vec<u8>, key in ".*") {
            prop_assert!(AccessToken::read(status, &body).is_err());
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
            prop_assert!(prepare(|file| file["private_key"] = json!(pem)).is_err());
        }
    }
}

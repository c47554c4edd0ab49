//! The configuration of a channel as an operator writes it: one JSON document.
//!
//! It is read as a whole or refused by the place of what is wrong. Its secrets go in and never come out again.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{oidc::OidcRules, signed_http::SignedHttpRules};

/// The longest document, in bytes. Protects the table and every instance's memory.
const LONGEST: usize = 32 * 1024;

/// What stands in the place of a secret. Written back, it keeps the secret there is.
const MASK: &str = "***";

/// How players of a channel sign in.
#[derive(Debug)]
pub(crate) enum LoginRules {
    Oidc(OidcRules),
    SignedHttp(Box<SignedHttpRules>),
}

/// A document that has been checked. Not printed: it holds secrets.
pub(crate) struct ChannelDocument {
    json: Map<String, Value>,
    /// `None`: nobody signs in through this channel.
    pub(crate) login: Option<LoginRules>,
}

/// What is wrong with a document. Safe to show: it names places and never repeats values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub(crate) struct DocumentError {
    /// Such as `login.request.parameters[0].value`.
    pub(crate) path: String,
    pub(crate) reason: String,
}

impl ChannelDocument {
    /// Reads a document. `previous` lends it the secrets that are masked. Keys over plain HTTP are for `development`.
    pub(crate) fn parse(json: &str, previous: Option<&Self>, development: bool) -> Result<Self, DocumentError> {
        if json.len() > LONGEST {
            return Err(DocumentError::new("", "is longer than 32768 bytes"));
        }
        let Ok(Value::Object(mut json)) = serde_json::from_str(json) else {
            return Err(DocumentError::new("", "must be a JSON object"));
        };
        if let Some(unknown) = json.keys().find(|key| *key != "login") {
            return Err(DocumentError::new(unknown, "is not known; there is `login`"));
        }
        lend_secrets(&mut json, previous)?;
        let login = match json.get("login") {
            Some(Value::Object(login)) => Some(login_rules(login, development)?),
            Some(Value::Null) => None,
            Some(_) => return Err(DocumentError::new("login", "must be an object or null")),
            None => return Err(DocumentError::new("login", "is required; null: nobody signs in through this channel")),
        };
        Ok(Self { json, login })
    }

    /// As it is stored.
    pub(crate) fn to_json(&self) -> String {
        Value::Object(self.json.clone()).to_string()
    }

    /// As it is answered: without its secrets.
    pub(crate) fn masked(&self) -> String {
        let mut json = self.json.clone();
        for secret in json.get_mut("login").and_then(secrets).into_iter().flat_map(|secrets| secrets.values_mut()) {
            *secret = MASK.into();
        }
        Value::Object(json).to_string()
    }

    /// The host that is asked, as it is written.
    pub(crate) fn host(&self) -> Option<&str> {
        match self.login.as_ref()? {
            LoginRules::Oidc(rules) => super::signed_http::host(&rules.jwks_uri),
            LoginRules::SignedHttp(rules) => Some(rules.host()),
        }
    }
}

impl std::fmt::Debug for ChannelDocument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelDocument").finish_non_exhaustive()
    }
}

impl DocumentError {
    pub(crate) fn new(path: impl Into<String>, reason: impl Into<String>) -> Self {
        let path = path.into();
        Self { path: if path.is_empty() { "body".to_owned() } else { path }, reason: reason.into() }
    }
}

fn secrets(login: &mut Value) -> Option<&mut Map<String, Value>> {
    login.get_mut("secrets")?.as_object_mut()
}

fn lend_secrets(json: &mut Map<String, Value>, previous: Option<&ChannelDocument>) -> Result<(), DocumentError> {
    for (name, secret) in json.get_mut("login").and_then(secrets).into_iter().flatten() {
        if secret == MASK {
            let kept = previous.and_then(|previous| previous.json.get("login")?.get("secrets")?.get(name));
            let path = || format!("login.secrets.{name}");
            *secret = kept.cloned().ok_or_else(|| DocumentError::new(path(), "there is none yet to keep"))?;
        }
    }
    Ok(())
}

fn login_rules(login: &Map<String, Value>, development: bool) -> Result<LoginRules, DocumentError> {
    let mut rules = login.clone();
    let kind = rules.remove("kind");
    match kind.as_ref().and_then(Value::as_str) {
        Some("oidc") => {
            let rules: OidcRules = read(rules)?;
            rules.validate(development).map_err(|(key, reason)| DocumentError::new(format!("login.{key}"), reason))?;
            Ok(LoginRules::Oidc(rules))
        }
        Some("signed_http") => {
            let mut rules: SignedHttpRules = read(rules)?;
            rules.prepare().map_err(|(key, reason)| DocumentError::new(format!("login.{key}"), reason))?;
            Ok(LoginRules::SignedHttp(Box::new(rules)))
        }
        _ => Err(DocumentError::new("login.kind", "must be oidc or signed_http")),
    }
}

fn read<T: DeserializeOwned>(rules: Map<String, Value>) -> Result<T, DocumentError> {
    serde_path_to_error::deserialize(Value::Object(rules)).map_err(|error| {
        let path = match error.path().to_string().as_str() {
            "." => "login".to_owned(),
            path => format!("login.{path}"),
        };
        DocumentError::new(path, reason(&error.into_inner().to_string()))
    })
}

/// What serde says without the value that it quotes, which may be a secret.
fn reason(message: &str) -> String {
    match message.split_once(": ") {
        Some(("invalid type" | "invalid value" | "invalid length", rest)) => {
            let expected = rest.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
            format!("is of another type; expected {expected}")
        }
        _ if message.starts_with("unknown variant") => {
            let expected = message.split_once("expected ").map_or("", |(_, expected)| expected);
            format!("is not known; expected {expected}")
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn signed_http(secret: &str) -> Value {
        json!({ "login": {
            "kind": "signed_http",
            "secrets": { "key": secret },
            "request": { "url": "https://a.example/verify", "parameters": [{ "name": "t", "value": "{credential.t}" }] },
            "signature": { "name": "sign", "algorithm": "md5", "content": { "sorted": { "suffix": "{secrets.key}" } } },
            "answer": { "success": { "status": [200] }, "uid": { "pointer": "/uid" } },
        } })
    }

    fn parse(document: &Value, previous: Option<&ChannelDocument>) -> Result<ChannelDocument, DocumentError> {
        ChannelDocument::parse(&document.to_string(), previous, false)
    }

    #[test]
    fn secrets_are_masked_and_a_mask_keeps_the_secret_there_is() {
        let first = parse(&signed_http("s3cret"), None).expect("valid");
        assert!(!first.masked().contains("s3cret") && first.to_json().contains("s3cret"));
        assert!(!format!("{first:?}{:?}", first.login).contains("s3cret"));
        let masked: Value = serde_json::from_str(&first.masked()).expect("JSON");
        let again = parse(&masked, Some(&first)).expect("valid");
        assert_eq!(again.to_json(), first.to_json());
        let refused = parse(&masked, None).expect_err("there is none to keep");
        assert_eq!(refused.path, "login.secrets.key");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place_and_not_repeated() {
        let with = |pointer: &str, value: Value| {
            let mut document = signed_http("s3cret");
            *document.pointer_mut(pointer).expect("there") = value;
            parse(&document, None).expect_err("refused")
        };
        for (pointer, value, path) in [
            ("/login", json!(7), "login"),
            ("/login/kind", json!("magic"), "login.kind"),
            ("/login/request/url", json!({ "s3cret": 1 }), "login.request.url"),
            ("/login/request/parameters/0/value", json!("{s3cret"), "login.request.parameters[0].value"),
            ("/login/request/parameters/0", json!({ "name": "a", "valeu": "" }), "login.request.parameters[0].valeu"),
            ("/login/signature/algorithm", json!("s3cret"), "login.signature.algorithm"),
            ("/login/signature/content/sorted/suffix", json!("{secrets.no}"), "login.signature.content.sorted.suffix"),
            ("/login/secrets/key", json!(42), "login.secrets.key"),
            ("/login/answer/success", json!({}), "login.answer.success.status"),
        ] {
            let error = with(pointer, value);
            assert!(error.path == path && !error.reason.contains("s3cret"), "{pointer}: {error:?}");
        }
        for (document, path) in [("[]", "body"), ("{}", "login"), (r#"{"login":null,"pay":{}}"#, "pay")] {
            let refused = ChannelDocument::parse(document, None, false).expect_err("refused");
            assert_eq!(refused.path, path, "{document}");
        }
        let long = format!(r#"{{"login":"{}"}}"#, "x".repeat(LONGEST));
        assert_eq!(ChannelDocument::parse(&long, None, false).expect_err("refused").path, "body");
    }

    #[test]
    fn a_channel_without_a_login_has_nobody_to_ask() {
        let none = ChannelDocument::parse(r#"{"login":null}"#, None, false).expect("valid");
        assert!(none.login.is_none() && none.host().is_none());
        let oidc = json!({ "login": {
            "kind": "oidc", "issuer": "https://i.example", "jwks_uri": "http://127.0.0.1:9/jwks", "audiences": ["a"],
        } });
        assert_eq!(parse(&oidc, None).expect_err("over plain HTTP").path, "login.jwks_uri");
        let development = ChannelDocument::parse(&oidc.to_string(), None, true).expect("valid");
        assert_eq!(development.host(), Some("127.0.0.1"));
    }
}

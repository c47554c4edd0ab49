//! Texts with places in them that are filled in for every question: `uid={credential.uid}&ts={timestamp_s}`.
//!
//! `{{` and `}}` stand for braces. `values.` and `secrets.` name constants of the document and are filled in once, when it
//! is read; what is left depends on the request.

use std::{collections::BTreeMap, fmt};

use common::clock::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::credential::ChannelCredential;
use crate::domain::ids::AppId;

/// The longest template, in bytes.
const LONGEST: usize = 2048;

/// A text with places. Not printed: a secret may have been filled in.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Place(Place),
}

/// What is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A field of what the client presents.
    Credential(String),
    /// A constant that everybody may see.
    Value(String),
    /// A constant that nobody may see.
    Secret(String),
    AppId,
    TimestampMs,
    TimestampS,
    /// 32 hexadecimal digits, new for every question.
    Nonce,
}

/// The constants of a document.
#[derive(Debug, Default)]
pub(crate) struct Constants {
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) secrets: BTreeMap<String, SecretString>,
}

/// What a question is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) credential: &'a ChannelCredential,
    pub(crate) app_id: AppId,
    pub(crate) now: Timestamp,
    pub(crate) nonce: &'a str,
}

/// The client left out a field that the channel needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("credential.{0} is required")]
pub(crate) struct MissingField(pub(crate) String);

impl Template {
    /// The text without any place.
    pub(crate) fn literal(text: impl Into<String>) -> Self {
        Self(vec![Part::Literal(text.into())])
    }

    /// What is filled in, in order.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.iter().filter_map(|part| match part {
            Part::Place(place) => Some(place),
            Part::Literal(_) => None,
        })
    }

    /// Whether the client's field of that name is filled in.
    pub(crate) fn uses_credential(&self, name: &str) -> bool {
        self.places().any(|place| matches!(place, Place::Credential(used) if used == name))
    }

    /// The text before the first place.
    pub(crate) fn prefix(&self) -> &str {
        match self.0.first() {
            Some(Part::Literal(text)) => text,
            Some(Part::Place(_)) | None => "",
        }
    }

    /// The text with a `0` in every place.
    pub(crate) fn outline(&self) -> String {
        let text = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Place(_) => "0".to_owned(),
        };
        self.0.iter().map(text).collect()
    }

    /// Fills in the constants.
    ///
    /// # Errors
    /// The name of one that there is none of.
    pub(crate) fn resolve(&mut self, constants: &Constants) -> Result<(), String> {
        for part in &mut self.0 {
            let (text, name) = match part {
                Part::Place(Place::Value(name)) => (constants.values.get(name).cloned(), format!("values.{name}")),
                Part::Place(Place::Secret(name)) => {
                    let secret = constants.secrets.get(name).map(|secret| secret.expose_secret().to_owned());
                    (secret, format!("secrets.{name}"))
                }
                Part::Literal(_) | Part::Place(_) => continue,
            };
            *part = Part::Literal(text.ok_or(name)?);
        }
        Ok(())
    }

    /// The text for one question.
    pub(crate) fn render(&self, scope: Scope<'_>) -> Result<String, MissingField> {
        self.render_with(scope, |filled_in| filled_in.to_owned())
    }

    /// The same with what is filled in encoded.
    pub(crate) fn render_with(
        &self,
        scope: Scope<'_>,
        encode: impl Fn(&str) -> String,
    ) -> Result<String, MissingField> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Place(place) => text.push_str(&encode(&place.fill(scope)?)),
            }
        }
        Ok(text)
    }
}

impl TryFrom<String> for Template {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("is longer than 2048 bytes");
        }
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text.as_str());
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..at + 1];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let (name, after) = rest.split_once('}').filter(|_| brace == "{").ok_or("has a brace without its other")?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Place(Place::parse(name)?));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self(parts))
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.places().collect::<Vec<_>>()).finish()
    }
}

impl Place {
    fn parse(name: &str) -> Result<Self, &'static str> {
        let constant = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let place = match (name, name.split_once('.')) {
            ("app_id", _) => Some(Self::AppId),
            ("timestamp_ms", _) => Some(Self::TimestampMs),
            ("timestamp_s", _) => Some(Self::TimestampS),
            ("nonce", _) => Some(Self::Nonce),
            (_, Some(("credential", field))) => constant(field).map(Self::Credential),
            (_, Some(("values", value))) => constant(value).map(Self::Value),
            (_, Some(("secrets", secret))) => constant(secret).map(Self::Secret),
            _ => None,
        };
        place.ok_or(
            "fills in something other than credential.NAME, values.NAME, secrets.NAME, app_id, timestamp_ms, \
             timestamp_s and nonce",
        )
    }

    fn fill(&self, scope: Scope<'_>) -> Result<String, MissingField> {
        Ok(match self {
            Self::Credential(name) => scope.credential.get(name).ok_or_else(|| MissingField(name.clone()))?.to_owned(),
            Self::AppId => scope.app_id.to_string(),
            Self::TimestampMs => scope.now.as_millis().to_string(),
            Self::TimestampS => (scope.now.as_millis() / 1000).to_string(),
            Self::Nonce => scope.nonce.to_owned(),
            // A document is not used before its constants are filled in.
            Self::Value(name) | Self::Secret(name) => return Err(MissingField(name.clone())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Template {
        Template::try_from(text.to_owned()).expect("a template")
    }

    #[test]
    fn places_are_filled_in_and_doubled_braces_are_braces() {
        let credential = ChannelCredential::parse(r#"{"uid":"a b"}"#).expect("flat");
        let scope = Scope {
            credential: &credential,
            app_id: AppId::parse(7).expect("in range"),
            now: Timestamp::from_millis(1_700_000_000_123),
            nonce: "n0",
        };
        let mut constants = Constants::default();
        constants.secrets.insert("key".to_owned(), "s3cret".into());
        let mut full = template("{{{app_id}}}|{credential.uid}|{timestamp_s}|{timestamp_ms}|{nonce}|{secrets.key}");
        full.resolve(&constants).expect("known");
        assert_eq!(full.render(scope).as_deref(), Ok("{7}|a b|1700000000|1700000000123|n0|s3cret"));
        assert!(!format!("{full:?}").contains("s3cret"));
        let encoded = template("a b{credential.uid}").render_with(scope, |text| text.replace(' ', "+"));
        assert_eq!(encoded.as_deref(), Ok("a ba+b"));
        assert_eq!(template("{credential.token}").render(scope), Err(MissingField("token".to_owned())));
    }

    #[test]
    fn a_template_that_means_nothing_is_refused() {
        for bad in ["{", "}", "a{b", "{}", "{credential.}", "{secret.a}", "{env.HOME}", &"x".repeat(LONGEST + 1)] {
            assert!(Template::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        let unknown = template("{values.a}").resolve(&Constants::default());
        assert_eq!(unknown, Err("values.a".to_owned()));
    }
}

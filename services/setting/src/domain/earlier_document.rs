//! A settings document: what an app declares, and what a channel overrides.
//!
//! ```json
//! {"revision": 7, "settings": {"drop_rate": {"type": "number", "value": 0.1}}}
//! {"revision": 2, "settings": {"drop_rate": 0.2}}
//! ```
//! The first is an app's document, the second a channel's. In a channel's document a value may also be written with
//! its type, as in an app's; an object counts as that only if it has exactly the members `type` and `value`.
//!
//! A document is taken whole or not at all. An unknown member is refused rather than ignored: it is either a typing
//! error or a rule this version would silently not apply.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use serde_json::Value;

const NAME_BYTES_MAX: usize = 128;

/// Revisions cross JSON like every integer of ours: below 2^53.
const REVISION_END: i64 = 1 << 53;

/// The type an app declares for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Bool,
    Number,
    String,
    /// Any JSON value, null included.
    Json,
}

impl Kind {
    pub(crate) fn admits(self, value: &Value) -> bool {
        match self {
            Self::Bool => value.is_boolean(),
            Self::Number => value.is_number(),
            Self::String => value.is_string(),
            Self::Json => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Number => "number",
            Self::String => "string",
            Self::Json => "json",
        })
    }
}

/// A value that has the type it is declared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Typed {
    pub(crate) kind: Kind,
    pub(crate) value: Value,
}

/// What a channel says about one setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Override {
    /// Takes its type from the app's declaration.
    Plain(Value),
    /// Brings its own, which must be the app's if the app declares one.
    Typed(Typed),
}

/// `apps/{app_id}/app.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct AppDocument {
    /// Counted by whoever publishes; 0 when the document has none.
    pub(crate) revision: i64,
    pub(crate) settings: BTreeMap<String, Typed>,
}

/// `apps/{app_id}/channels/{channel}.json`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ChannelDocument {
    /// Counted by whoever publishes; 0 when the document has none.
    pub(crate) revision: i64,
    pub(crate) settings: BTreeMap<String, Override>,
}

/// Why a document is refused. The texts are for operators and stay in the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("not a settings document: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("revision {revision} is negative or not below 2^53")]
    Revision { revision: i64 },
    #[error("setting name {name:?} is empty, over {NAME_BYTES_MAX} bytes or has control characters")]
    Name { name: String },
    #[error("setting {name:?}: the value is not a {declared}")]
    WrongType { name: String, declared: Kind },
    #[error("setting {name:?} is declared as {declared} by the app and as {given} by the channel")]
    Redeclared { name: String, declared: Kind, given: Kind },
    #[error("setting {name:?} has no type: the app does not declare it")]
    Undeclared { name: String },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawDocument<T> {
    #[serde(default)]
    revision: i64,
    settings: BTreeMap<String, T>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTyped {
    #[serde(rename = "type")]
    kind: Kind,
    value: Value,
}

impl AppDocument {
    /// Reads an app's document.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let raw: RawDocument<RawTyped> = serde_json::from_slice(bytes)?;
        let revision = checked_revision(raw.revision)?;
        let settings = raw.settings.into_iter().map(|(name, raw)| {
            let name = checked_name(name)?;
            let typed = checked_type(&name, raw)?;
            Ok((name, typed))
        });
        Ok(Self { revision, settings: settings.collect::<Result<_, DocumentError>>()? })
    }
}

impl ChannelDocument {
    /// Reads a channel's document. Its types are held against the app's when the two are merged.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let raw: RawDocument<Value> = serde_json::from_slice(bytes)?;
        let revision = checked_revision(raw.revision)?;
        let settings = raw.settings.into_iter().map(|(name, value)| {
            let name = checked_name(name)?;
            let said = if is_typed(&value) {
                Override::Typed(checked_type(&name, serde_json::from_value(value)?)?)
            } else {
                Override::Plain(value)
            };
            Ok((name, said))
        });
        Ok(Self { revision, settings: settings.collect::<Result<_, DocumentError>>()? })
    }
}

fn is_typed(value: &Value) -> bool {
    value.as_object().is_some_and(|members| {
        members.len() == 2 && members.get("type").is_some_and(Value::is_string) && members.contains_key("value")
    })
}

fn checked_revision(revision: i64) -> Result<i64, DocumentError> {
    if (0..REVISION_END).contains(&revision) { Ok(revision) } else { Err(DocumentError::Revision { revision }) }
}

fn checked_name(name: String) -> Result<String, DocumentError> {
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control) {
        Ok(name)
    } else {
        Err(DocumentError::Name { name })
    }
}

fn checked_type(name: &str, RawTyped { kind, value }: RawTyped) -> Result<Typed, DocumentError> {
    if kind.admits(&value) {
        Ok(Typed { kind, value })
    } else {
        Err(DocumentError::WrongType { name: name.to_owned(), declared: kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_document_declares_types_and_its_values_have_them() {
        let document = AppDocument::parse(
            br#"{"revision":3,"settings":{"a":{"type":"bool","value":true},"b":{"type":"json","value":null}}}"#,
        )
        .expect("well formed");
        assert_eq!(document.revision, 3);
        assert_eq!(document.settings["a"], Typed { kind: Kind::Bool, value: Value::Bool(true) });
        assert_eq!(document.settings["b"], Typed { kind: Kind::Json, value: Value::Null });
    }

    #[test]
    fn a_broken_app_document_is_refused_whole() {
        let long_name = format!(r#"{{"settings":{{"{}":{{"type":"bool","value":true}}}}}}"#, "n".repeat(129));
        for (bad, why) in [
            ("", "empty"),
            ("[]", "not an object"),
            ("{}", "no settings"),
            (r#"{"settings":{},"rules":[]}"#, "a member this version would not apply"),
            (r#"{"settings":{},"settings":{}}"#, "a member twice"),
            (r#"{"revision":-1,"settings":{}}"#, "a negative revision"),
            (r#"{"revision":9007199254740992,"settings":{}}"#, "a revision JavaScript can't hold"),
            (r#"{"settings":{"a":{"type":"number","value":"1"}}}"#, "a value of another type"),
            (r#"{"settings":{"a":{"type":"float","value":1}}}"#, "an unknown type"),
            (r#"{"settings":{"a":{"type":"bool"}}}"#, "no value"),
            (r#"{"settings":{"a":true}}"#, "no type"),
            (r#"{"settings":{"":{"type":"bool","value":true}}}"#, "an empty name"),
            ("{\"settings\":{\"a\\u0000\":{\"type\":\"bool\",\"value\":true}}}", "a control character"),
            (long_name.as_str(), "a long name"),
        ] {
            assert!(AppDocument::parse(bad.as_bytes()).is_err(), "{why}: {bad}");
        }
        assert!(AppDocument::parse(b"{\"settings\":{}}\xff").is_err(), "invalid UTF-8");
        let deep =
            format!(r#"{{"settings":{{"a":{{"type":"json","value":{}1{}}}}}}}"#, "[".repeat(500), "]".repeat(500));
        assert!(AppDocument::parse(deep.as_bytes()).is_err(), "nested deeper than the parser goes");
    }

    #[test]
    fn a_channel_may_write_a_value_with_or_without_its_type() {
        let document = ChannelDocument::parse(
            br#"{"settings":{"plain":1,"typed":{"type":"number","value":2},"object":{"type":"number","value":2,"x":1}}}"#,
        )
        .expect("well formed");
        assert_eq!(document.settings["plain"], Override::Plain(Value::from(1)));
        assert_eq!(document.settings["typed"], Override::Typed(Typed { kind: Kind::Number, value: Value::from(2) }));
        assert!(matches!(&document.settings["object"], Override::Plain(Value::Object(_))));
        assert!(ChannelDocument::parse(br#"{"settings":{"a":{"type":"bool","value":2}}}"#).is_err());
    }
}

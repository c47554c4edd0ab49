//! What a client presents to prove who it is to a channel.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;
use zeroize::Zeroizing;

use crate::domain::field::FieldError;

/// Bytes of the whole credential. An ID token with many claims has some 4 KiB.
const LONGEST: usize = 16 * 1024;

/// Fields of one credential.
const MOST_FIELDS: usize = 32;

/// The fields of a credential: texts, or numbers and booleans as they are written. Never printed.
pub(crate) struct ChannelCredential(BTreeMap<String, Zeroizing<String>>);

impl ChannelCredential {
    /// Reads a flat JSON object.
    pub(crate) fn parse(json: &str) -> Result<Self, FieldError> {
        let refused = |reason| Err(FieldError::new("credential", reason));
        if json.len() > LONGEST {
            return refused("is longer than 16384 bytes");
        }
        let Ok(Value::Object(fields)) = serde_json::from_str(json) else {
            return refused("must be a JSON object");
        };
        if fields.len() > MOST_FIELDS {
            return refused("has more than 32 fields");
        }
        let mut credential = BTreeMap::new();
        for (name, value) in fields {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                Value::Bool(value) => value.to_string(),
                Value::Number(value) => value.to_string(),
                Value::Array(_) | Value::Object(_) => return refused("must have texts, numbers and booleans only"),
            };
            credential.insert(name, Zeroizing::new(text));
        }
        Ok(Self(credential))
    }

    /// `None` for what is absent or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str()).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for ChannelCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelCredential(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_plain_values_and_nothing_of_them_is_printed() {
        let credential = ChannelCredential::parse(r#"{"uid":42,"token":"s3cret","new":true,"gone":null,"none":""}"#);
        let credential = credential.expect("flat");
        assert_eq!((credential.get("uid"), credential.get("token")), (Some("42"), Some("s3cret")));
        assert_eq!((credential.get("new"), credential.get("gone"), credential.get("none")), (Some("true"), None, None));
        assert!(!format!("{credential:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_not_flat_or_too_large_is_refused_by_name() {
        let many: BTreeMap<_, _> = (0..33).map(|number| (number.to_string(), number)).collect();
        let many = serde_json::to_string(&many).expect("JSON");
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(LONGEST));
        for bad in ["", "7", "[]", r#"{"a":{}}"#, r#"{"a":["b"]}"#, &many, &long] {
            assert_eq!(ChannelCredential::parse(bad).map_err(|error| error.field).err(), Some("credential"));
        }
    }
}

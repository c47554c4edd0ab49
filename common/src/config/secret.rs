//! Text from the configuration that must never be shown again.

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// All that is ever shown of a secret.
pub(super) const REDACTED: &str = "<redacted>";

/// A secret value. Reads like a string, prints as `<redacted>`.
#[derive(Clone, Debug)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(SecretString::from(value.into()))
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Refuses the redaction itself: a printed configuration that is used as a file would make it a secret that
    /// everybody knows.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = SecretString::deserialize(deserializer)?;
        if value.expose_secret() == REDACTED {
            return Err(de::Error::custom("this is the redaction of a secret, not the secret"));
        }
        Ok(Self(value))
    }
}

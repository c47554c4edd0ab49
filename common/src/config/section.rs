//! What a section of the configuration is: a struct of documented fields with defaults and a check.

use serde::{Serialize, de::DeserializeOwned};

/// One table of `playgate.toml`. Implemented by a struct with `#[serde(deny_unknown_fields, default)]` in the crate
/// that uses it; every field has a doc comment saying what it protects, its unit, and what happens beyond it.
pub trait Section: Serialize + DeserializeOwned + Default {
    /// The table's name, as in `[name]`.
    const NAME: &'static str;

    /// Checks what types cannot: relations between fields, ranges. Called once, before anything is bound or opened.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// A key with a value that can't be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Invalid {
    /// The key inside its section, dotted.
    pub key: String,
    /// What is wrong with the value and what would be right.
    pub reason: String,
}

impl Invalid {
    /// A complaint about one key.
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { key: key.into(), reason: reason.into() }
    }
}

//! What the whole configuration is: a struct whose fields are sections.

use serde::{Serialize, de::DeserializeOwned};

use super::section::{Invalid, Section};

/// The struct behind a whole `playgate.toml`, with `#[serde(deny_unknown_fields, default)]`.
pub trait Root: Serialize + DeserializeOwned + Default {
    /// Checks every section and what holds between sections. Keys of complaints are full dotted keys.
    fn validate(&self) -> Result<(), Invalid>;
}

/// Checks one section and completes the key of a complaint with the section's name.
pub fn validate_section<S: Section>(section: &S) -> Result<(), Invalid> {
    section.validate().map_err(|invalid| Invalid::new(format!("{}.{}", S::NAME, invalid.key), invalid.reason))
}

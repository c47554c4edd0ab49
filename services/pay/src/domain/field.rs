//! What is wrong with a value that somebody sent.

use std::borrow::Cow;

/// The field as the contract names it, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub(crate) struct FieldError {
    /// Which.
    pub(crate) field: &'static str,
    /// Safe to show.
    pub(crate) reason: Cow<'static, str>,
}

impl FieldError {
    pub(crate) fn new(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { field, reason: reason.into() }
    }
}

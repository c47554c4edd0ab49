//! A field the caller sent with a value that is not allowed.

/// Which field, and why. Both are safe to show to the caller and never repeat the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct FieldError {
    /// The field's name in the public contract.
    pub field: &'static str,
    /// What would be right.
    pub reason: &'static str,
}

impl FieldError {
    /// A refusal of `field`.
    pub const fn new(field: &'static str, reason: &'static str) -> Self {
        Self { field, reason }
    }
}

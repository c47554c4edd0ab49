//! From the text of a document to a checked value, or to the reason why it is refused.

use crate::config::{Invalid, Section};

/// Why a document is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("larger than {0} bytes")]
    TooLarge(usize),
    #[error("line {line}: {reason}")]
    Unreadable { line: usize, reason: String },
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// Reads a whole document. Nothing of one that is refused is used.
pub(super) fn parse<T: Section>(text: &str, max_bytes: usize) -> Result<T, Refused> {
    if text.len() > max_bytes {
        return Err(Refused::TooLarge(max_bytes));
    }
    let value: T = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
        // Only the message: the error's own text quotes the document.
        Refused::Unreadable { line, reason: error.message().replace('\n', ", ") }
    })?;
    value.validate()?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Limits {
        rate: u32,
        secret: String,
    }

    impl Section for Limits {
        const NAME: &'static str = "limits";

        fn validate(&self) -> Result<(), Invalid> {
            if self.rate > 10 { Err(Invalid::new("rate", "at most 10")) } else { Ok(()) }
        }
    }

    #[test]
    fn a_document_is_taken_as_a_whole_or_not_at_all() {
        assert_eq!(parse::<Limits>("rate = 3", 100), Ok(Limits { rate: 3, secret: String::new() }));
        let refusal = |text: &str| parse::<Limits>(text, 100).map_err(|refused| refused.to_string()).expect_err("bad");
        assert_eq!(refusal("rate = 11"), "rate: at most 10");
        assert!(refusal("rate = 3\nrates = 4").starts_with("line 2: unknown field `rates`"));
        assert!(refusal("rate = ").starts_with("line 1: "));
        assert_eq!(refusal(&" ".repeat(101)), "larger than 100 bytes");
    }

    #[test]
    fn a_refusal_does_not_quote_the_document() {
        let refusal = parse::<Limits>("secret = 'hunter2'\nrate = 'x'", 100).expect_err("no number").to_string();
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

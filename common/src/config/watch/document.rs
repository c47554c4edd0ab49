//! From the text of a document to a checked value, or to the reasons why it is refused.

use std::fmt;

use govern::problems::Problem;

use crate::config::Section;

/// How many problems of a refused document go into its log line. A long document can have thousands.
const MAX_TOLD: usize = 20;

/// What a document is read into. Every [`Section`] is one; a type with a form of its own brings its own reading.
pub trait Document: Default + Send + Sync + 'static {
    /// Reads a whole document.
    ///
    /// # Errors
    /// What is wrong with it, as far as that can be told. No problem may quote a value that could be a secret.
    fn read(text: &str) -> Result<Self, Vec<Problem>>;
}

/// A document of which nothing is used, and what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) Vec<Problem>);

/// Reads a whole document. Nothing of one that is refused is used.
pub(super) fn parse<T: Document>(text: &str, max_bytes: usize) -> Result<T, Refused> {
    if text.len() > max_bytes {
        return Err(Refused(vec![of_the_whole(format!("larger than {max_bytes} bytes"))]));
    }
    T::read(text).map_err(Refused)
}

impl<T: Section + Send + Sync + 'static> Document for T {
    /// Ends at the first problem: the types of a section know no more.
    fn read(text: &str) -> Result<Self, Vec<Problem>> {
        let value: T = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start).min(text.len());
            let line = text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
            // Only the message: the error's own text quotes the document.
            vec![of_the_whole(format!("line {line}: {}", error.message().replace('\n', ", ")))]
        })?;
        value.validate().map_err(|invalid| vec![Problem { path: invalid.key, reason: invalid.reason }])?;
        Ok(value)
    }
}

fn of_the_whole(reason: String) -> Problem {
    Problem { path: String::new(), reason }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.0.iter().take(MAX_TOLD).enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        match self.0.len().saturating_sub(MAX_TOLD) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::config::Invalid;

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

    #[test]
    fn a_line_about_a_refusal_has_an_end_however_much_is_wrong() {
        let refused = Refused((0..1000).map(|place| of_the_whole(format!("wrong {place}"))).collect());
        let line = refused.to_string();
        assert!(line.starts_with("wrong 0; wrong 1; ") && line.ends_with("wrong 19; and 980 more"), "{line}");
    }
}

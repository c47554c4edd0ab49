//! What stands in front of and behind the parameters: text with the key in it.

use md5::{Digest, Md5};
use serde::{Deserialize, Deserializer, de};

/// A text with `{key}` and `{md5(key)}` in it, parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Key,
    /// Hex digits in lower case.
    Md5OfKey,
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (literal, from_brace) = rest.split_at(start);
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let known = [("{key}", Part::Key), ("{md5(key)}", Part::Md5OfKey)];
            let found = known.into_iter().find_map(|(name, part)| Some((from_brace.strip_prefix(name)?, part)));
            let (behind, part) = found.ok_or("in braces there may be {key} and {md5(key)}")?;
            parts.push(part);
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Whether the key is in it.
    pub(super) fn has_key(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Key | Part::Md5OfKey))
    }

    pub(super) fn write(&self, key: &str, to: &mut Vec<u8>) {
        for part in &self.0 {
            match part {
                Part::Literal(text) => to.extend_from_slice(text.as_bytes()),
                Part::Key => to.extend_from_slice(key.as_bytes()),
                Part::Md5OfKey => to.extend_from_slice(hex::encode(Md5::digest(key)).as_bytes()),
            }
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(template: &str) -> String {
        let mut written = Vec::new();
        Template::parse(template).expect("a template").write("abc", &mut written);
        String::from_utf8(written).expect("text")
    }

    #[test]
    fn the_key_stands_where_it_is_named() {
        assert_eq!(written(""), "");
        assert_eq!(written("&key={key}"), "&key=abc");
        assert_eq!(written("{key}|{key}"), "abc|abc");
        // RFC 1321, A.5.
        assert_eq!(written("&{md5(key)}"), "&900150983cd24fb0d6963f7d28e17f72");
        assert!(!Template::parse("&key=").expect("a template").has_key());
        for bad in ["{", "}", "{Key}", "{secret}", "{key"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*", braces in "[{}key()md5]*") {
            let _ = Template::parse(&text);
            let _ = Template::parse(&braces);
        }
    }
}

//! Usernames: what a player may call themselves, and when two names are the same.

use unicode_normalization::UnicodeNormalization;
use unicode_security::{GeneralSecurityProfile, RestrictionLevel, RestrictionLevelDetection};

use super::field::FieldError;

const FIELD: &str = "username";
const SHORTEST: usize = 3;
const LONGEST: usize = 32;

/// Refused before anything is normalised. 32 characters are at most 128 bytes; compatibility forms that shrink under
/// NFKC may be longer.
const LONGEST_RAW_BYTES: usize = 512;

/// A username: 3-32 characters without spaces, control or invisible characters, of one script or a usual pair of them.
///
/// Two names are the same when their folded forms are: `Ann`, `ANN` and the full-width `ＡＮＮ` all fold to `ann`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Username {
    shown: String,
    folded: String,
}

impl Username {
    /// Reads what a player typed. The refusal names the field and what would be right, never the value.
    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        if raw.len() > LONGEST_RAW_BYTES {
            return Err(FieldError::new(FIELD, "longer than 32 characters"));
        }
        let shown: String = raw.nfkc().collect();
        match shown.chars().count() {
            length if length < SHORTEST => return Err(FieldError::new(FIELD, "shorter than 3 characters")),
            length if length > LONGEST => return Err(FieldError::new(FIELD, "longer than 32 characters")),
            _ => {}
        }
        if !shown.chars().all(is_allowed) {
            return Err(FieldError::new(FIELD, "has a space, a control character or a symbol that is not allowed"));
        }
        if mixes_look_alike_scripts(&shown) {
            return Err(FieldError::new(FIELD, "mixes scripts whose letters look alike"));
        }
        let folded = fold(&shown);
        // A few characters fold to several, and the column that holds the folded form is bounded.
        if folded.len() > LONGEST_RAW_BYTES {
            return Err(FieldError::new(FIELD, "longer than 32 characters"));
        }
        Ok(Self { shown, folded })
    }

    /// A name that was parsed once, out of its folded form as it is stored.
    pub(crate) fn from_stored(folded: &str) -> Self {
        Self { shown: folded.to_owned(), folded: folded.to_owned() }
    }

    /// As the player wrote it, normalised.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// As it is compared.
    pub(crate) fn folded(&self) -> &str {
        &self.folded
    }
}

/// Printable ASCII, so that addresses and tags work as names; beyond it what UTS 39 (General Security Profile) allows
/// in identifiers, which leaves out spaces, controls, invisible and obsolete characters.
fn is_allowed(c: char) -> bool {
    c.is_ascii_graphic() || (!c.is_ascii() && c.identifier_allowed())
}

/// UTS 39 restriction level above "highly restrictive": for example Latin with Cyrillic. Latin with Chinese, Japanese
/// or Korean writing is usual and stays allowed. ASCII punctuation belongs to every script.
fn mixes_look_alike_scripts(name: &str) -> bool {
    let letters: String = name.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    !letters.as_str().check_restriction_level(RestrictionLevel::HighlyRestrictive)
}

/// Case folding through upper case and back, character by character: `ß` and `SS` become `ss`, both sigmas `σ`. That is
/// Unicode's full case folding except that it also joins a few letters the folding keeps apart (dotless `ı` and `i`);
/// joining more names is the safe direction for look-alikes.
pub(super) fn folded(characters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    characters.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc()
}

fn fold(name: &str) -> String {
    folded(name.chars()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded_name(raw: &str) -> String {
        Username::parse(raw).expect(raw).folded().to_owned()
    }

    #[test]
    fn names_that_differ_only_in_case_or_width_are_the_same() {
        for (one, other) in
            [("Ann", "ＡＮＮ"), ("Ann", "ann"), ("STRASSE", "straße"), ("ΣΊΣΥΦΟΣ", "σίσυφος"), ("ﬁne", "FINE")]
        {
            assert_eq!(folded_name(one), folded_name(other), "{one} {other}");
        }
        assert_ne!(folded_name("Ann"), folded_name("Anna"));
    }

    #[test]
    fn the_name_is_shown_as_it_was_written() {
        assert_eq!(Username::parse("Ann").map(|name| name.shown().to_owned()), Ok("Ann".to_owned()));
    }

    #[test]
    fn names_of_many_writings_are_welcome() {
        for good in [
            "ann",
            "ann_b-1",
            "ann@example.com",
            "玩家一号",
            "玩家Ann",
            "プレイヤー",
            "Игрок7",
            "abcdefghijklmnopqrstuvwxyz012345",
        ] {
            assert!(Username::parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn bad_names_are_refused_and_the_field_is_named() {
        for bad in [
            "",
            "ab",
            "ann bee",
            "ann\tbee",
            "ann\u{0}bee",
            "ann\u{200b}bee",
            "ann\u{202e}bee",
            "\u{3000}annbee",
            "аnn-bee", // a Cyrillic а
            "abcdefghijklmnopqrstuvwxyz0123456",
        ] {
            assert_eq!(Username::parse(bad).map_err(|error| error.field), Err("username"), "{bad:?}");
        }
        assert!(Username::parse(&"a".repeat(1 << 20)).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused_and_folding_twice_changes_nothing(raw in "\\PC{0,40}") {
            if let Ok(name) = Username::parse(&raw) {
                prop_assert_eq!(fold(name.folded()), name.folded());
                prop_assert!(name.shown().chars().count() <= 32);
            }
        }
    }
}

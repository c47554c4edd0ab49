//! Passwords: what is accepted and in which form it is hashed. Hashing itself is in `hash_pool`.
//!
//! The rules are those of NIST SP 800-63B (section 5.1.1.2): a length, no demands on which characters, and a list of
//! what everybody tries first. They hold when a password is set, never at a sign-in.
//!
//! - `rules`: what may not be chosen.
//! - `common`: the passwords that everybody tries first.

mod common;
mod rules;

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::field::FieldError;
pub(crate) use rules::Surroundings;

const FIELD: &str = "password";
const SHORTEST_CHARACTERS: usize = 8;
const LONGEST_CHARACTERS: usize = 128;

/// Bounds what is normalised and hashed. 128 characters are at most 512 bytes; compatibility forms that shrink under
/// NFKC may be longer.
const LONGEST_RAW_BYTES: usize = 1024;

/// NFKC makes at most 18 characters of one (Unicode Standard Annex 15).
const NFKC_GROWTH: usize = 18;

/// A password in the form that is hashed (NFKC, so that two keyboards that write one character differently agree).
/// Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub(crate) struct Password {
    normalised: Zeroizing<String>,
    /// Where it is not the same: other platforms hashed what was typed.
    as_typed: Option<Zeroizing<String>>,
}

impl Password {
    /// A password that a player chooses now: 8 to 128 characters after normalisation, not one that everybody tries, and
    /// not made of what `surroundings` everybody knows.
    pub(crate) fn choose(raw: &str, surroundings: Surroundings<'_>) -> Result<Self, FieldError> {
        // Longer in bytes than any allowed password: not worth normalising.
        let password = Self::present(raw).map_err(|_| FieldError::new(FIELD, "longer than 128 characters"))?;
        match password.normalised.chars().count() {
            length if length < SHORTEST_CHARACTERS => return Err(FieldError::new(FIELD, "shorter than 8 characters")),
            length if length > LONGEST_CHARACTERS => return Err(FieldError::new(FIELD, "longer than 128 characters")),
            _ => {}
        }
        rules::check(&password.normalised, surroundings).map_err(|reason| FieldError::new(FIELD, reason))?;
        Ok(password)
    }

    /// A password that is presented to sign in. Only the limit on bytes applies: a short one is simply wrong, whatever
    /// the rules were when it was set.
    pub(crate) fn present(raw: &str) -> Result<Self, FieldError> {
        if raw.len() > LONGEST_RAW_BYTES {
            return Err(FieldError::new(FIELD, "longer than 1024 bytes"));
        }
        let mut normalised = wiped_buffer(raw.len());
        normalised.extend(raw.nfkc());
        let as_typed = (*normalised != raw).then(|| Zeroizing::new(raw.to_owned()));
        Ok(Self { normalised, as_typed })
    }

    /// What is hashed here.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.normalised.as_bytes()
    }

    /// What was typed, in UTF-8: what other platforms hashed.
    pub(crate) fn as_typed(&self) -> &[u8] {
        self.as_typed.as_ref().unwrap_or(&self.normalised).as_bytes()
    }
}

/// One allocation that normalising `length` bytes never outgrows: growing a String would leave unwiped copies behind.
fn wiped_buffer(length: usize) -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(length * NFKC_GROWTH))
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(<redacted>)")
    }
}

#[cfg(test)]
impl Password {
    /// As `choose`, for an app and a player whose names are not in it.
    pub(crate) fn of_nobody(raw: &str) -> Result<Self, FieldError> {
        Self::choose(raw, Surroundings { username: "nobody", app_name: "Nowhere" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reason(raw: &str) -> Option<&'static str> {
        Password::of_nobody(raw).map_err(|error| error.reason).err()
    }

    #[test]
    fn a_chosen_password_has_8_to_128_characters_whatever_they_are() {
        for good in ["nonsense", "密码密语山高水长", &"to be or ".repeat(14), "        x", "💎🚀🎲🎯🧩🎻🪁🧊"]
        {
            assert_eq!(reason(good), None, "{good}");
        }
        for short in ["", "1234567", "密码密语山高水", "e\u{301}xample"] {
            assert_eq!(reason(short), Some("shorter than 8 characters"), "{short}");
        }
        let words = "to be or not ".repeat(10);
        assert_eq!(reason(&words[..128]), None);
        for long in [&words[..129], &"密码".repeat(70), &"x".repeat(1 << 20)] {
            assert_eq!(reason(long), Some("longer than 128 characters"));
        }
    }

    #[test]
    fn characters_are_counted_after_normalisation() {
        // One ligature is 18 characters.
        assert_eq!(reason("\u{fdfa}"), None);
        assert_eq!(reason(&"\u{fdfa}".repeat(8)), Some("longer than 128 characters"));
    }

    #[test]
    fn a_short_or_common_password_can_be_presented_but_a_huge_one_cannot() {
        assert!(Password::present("").is_ok());
        assert!(Password::present("password").is_ok());
        assert!(Password::present(&"x".repeat(1024)).is_ok());
        assert!(Password::present(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn two_ways_to_write_one_character_are_one_password_and_what_was_typed_is_kept() {
        let composed = Password::of_nobody("caf\u{e9} au lait").expect("valid");
        let decomposed = Password::of_nobody("cafe\u{301} au lait").expect("valid");
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
        assert_eq!(composed.as_typed(), "caf\u{e9} au lait".as_bytes());
        assert_eq!(decomposed.as_typed(), "cafe\u{301} au lait".as_bytes());
    }

    #[test]
    fn a_password_never_prints() {
        for typed in ["correct horse", "correct hors\u{65}\u{301}"] {
            let password = Password::of_nobody(typed).expect("valid");
            assert!(!format!("{password:?}").contains("hors"));
        }
    }

    proptest! {
        #[test]
        fn normalising_never_outgrows_its_buffer(raw in "\\PC{0,64}") {
            if let Ok(password) = Password::present(&raw) {
                prop_assert!(password.as_bytes().len() <= raw.len() * NFKC_GROWTH);
            }
        }
    }
}

//! Passwords: what is accepted and in which form it is hashed. Hashing itself is in `hash_pool`.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::field::FieldError;

const FIELD: &str = "password";
const SHORTEST_CHARACTERS: usize = 8;

/// More than any person types, little enough that normalising and hashing it costs nothing extra.
const LONGEST_BYTES: usize = 256;

/// A password in the form that is hashed (NFKC, so that two keyboards that write one character differently agree).
/// Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// A password that a player chooses now: at least 8 characters after normalisation, at most 256 bytes before it.
    pub(crate) fn choose(raw: &str) -> Result<Self, FieldError> {
        let password = Self::present(raw)?;
        if password.0.chars().count() < SHORTEST_CHARACTERS {
            return Err(FieldError::new(FIELD, "shorter than 8 characters"));
        }
        Ok(password)
    }

    /// A password that is presented to sign in. Only the upper limit applies: a short one is simply wrong, whatever the
    /// rules were when the account was made.
    pub(crate) fn present(raw: &str) -> Result<Self, FieldError> {
        if raw.len() > LONGEST_BYTES {
            return Err(FieldError::new(FIELD, "longer than 256 bytes"));
        }
        // One allocation that is wiped: NFKC makes at most 18 characters of one (Unicode Standard Annex 15), and growing
        // a String would leave unwiped copies behind.
        let mut normalised = Zeroizing::new(String::with_capacity(raw.len() * 18));
        normalised.extend(raw.nfkc());
        Ok(Self(normalised))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_chosen_password_has_8_characters_and_at_most_256_bytes() {
        assert!(Password::choose("12345678").is_ok());
        assert!(Password::choose("密码密码密码密码").is_ok());
        assert!(Password::choose(&"x".repeat(256)).is_ok());
        for bad in ["", "1234567", "密码密码密码密", "e\u{301}234567", &"x".repeat(257), &"密".repeat(86)] {
            assert_eq!(Password::choose(bad).map_err(|error| error.field).err(), Some("password"), "{bad}");
        }
    }

    #[test]
    fn a_short_password_can_be_presented_but_a_huge_one_cannot() {
        assert!(Password::present("short").is_ok());
        assert!(Password::present(&"x".repeat(257)).is_err());
    }

    #[test]
    fn two_ways_to_write_one_character_are_one_password() {
        let composed = Password::choose("caf\u{e9} au lait").expect("valid");
        let decomposed = Password::choose("cafe\u{301} au lait").expect("valid");
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
    }

    #[test]
    fn a_password_never_prints() {
        let password = Password::choose("correct horse").expect("valid");
        assert!(!format!("{password:?}").contains("horse"));
    }

    proptest! {
        #[test]
        fn normalising_never_outgrows_its_buffer(raw in "\\PC{0,64}") {
            if let Ok(password) = Password::present(&raw) {
                prop_assert!(password.as_bytes().len() <= raw.len() * 18);
            }
        }
    }
}

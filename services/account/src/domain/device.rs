//! Devices: what names one, and the secret that proves a later sign-in comes from the same one.

use std::fmt;

use aws_lc_rs::digest;
use common::clock::{Random, random_bytes};
use subtle::ConstantTimeEq;

use super::{access_token, field::FieldError};

/// A device as the game client names it: opaque text, 1-128 bytes, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceId(String);

impl DeviceId {
    /// What a token holds.
    pub(crate) const LONGEST_BYTES: usize = access_token::LONGEST_DEVICE_ID_BYTES;

    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        match raw.len() {
            0 => Err(FieldError::new("device_id", "empty")),
            length if length > Self::LONGEST_BYTES => Err(FieldError::new("device_id", "longer than 128 bytes")),
            _ if raw.chars().any(char::is_control) => Err(FieldError::new("device_id", "has a control character")),
            _ => Ok(Self(raw.to_owned())),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// 256 random bits, ours or the client's own; only its hash is kept.
pub(crate) struct DeviceSecret([u8; 32]);

impl DeviceSecret {
    pub(crate) fn generate(random: &dyn Random) -> Self {
        Self(random_bytes(random))
    }

    /// One that the client made. It has one spelling, the one of those we make.
    pub(crate) fn parse_new(raw: &str) -> Result<Self, FieldError> {
        const REFUSED: FieldError = FieldError::new("new_device_secret", "must be 64 lower-case hexadecimal digits");
        let mut secret = [0; 32];
        hex::decode_to_slice(raw, &mut secret).map_err(|_| REFUSED)?;
        let secret = Self(secret);
        // Few different bytes are no 256 random bits, whatever the client thinks it drew from.
        let different: std::collections::BTreeSet<u8> = secret.0.into_iter().collect();
        if secret.reveal() != raw || different.len() < 16 { Err(REFUSED) } else { Ok(secret) }
    }

    /// As the client keeps it: 64 hex digits.
    pub(crate) fn reveal(&self) -> String {
        hex::encode(self.0)
    }

    /// What is stored: a plain SHA-256, in hex, is enough, because 256 random bits cannot be guessed.
    pub(crate) fn hash(&self) -> String {
        hash(&self.reveal())
    }

    /// Is what a client presents the secret that was stored as `stored`? Any text is hashed, so that nothing about its
    /// form is told apart; compares in constant time.
    pub(crate) fn matches(presented: &str, stored: &str) -> bool {
        hash(presented).as_bytes().ct_eq(stored.as_bytes()).into()
    }
}

impl fmt::Debug for DeviceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceSecret(<redacted>)")
    }
}

fn hash(text: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;

    use super::*;

    #[test]
    fn a_device_id_is_1_to_128_bytes_without_control_characters() {
        assert!(DeviceId::parse("x").is_ok());
        assert!(DeviceId::parse(&"x".repeat(128)).is_ok());
        for bad in ["", "a\nb", "a\u{7f}", &"x".repeat(129)] {
            assert_eq!(DeviceId::parse(bad).map_err(|error| error.field), Err("device_id"), "{bad}");
        }
    }

    #[test]
    fn a_secret_of_the_clients_own_has_the_form_of_ours_and_is_no_pattern() {
        let secret = DeviceSecret::generate(&SeededRandom::new(1)).reveal();
        assert_eq!(DeviceSecret::parse_new(&secret).map(|parsed| parsed.reveal()), Ok(secret.clone()));
        for bad in ["", "secret", &secret[1..], &secret.to_uppercase(), &"00".repeat(32), &"0123456789abcdef".repeat(4)]
        {
            assert_eq!(
                DeviceSecret::parse_new(bad).map_err(|error| error.field).err(),
                Some("new_device_secret"),
                "{bad}"
            );
        }
    }

    #[test]
    fn only_the_secret_that_was_answered_matches_its_hash() {
        let random = SeededRandom::new(1);
        let (secret, other) = (DeviceSecret::generate(&random), DeviceSecret::generate(&random));
        let stored = secret.hash();
        assert!(DeviceSecret::matches(&secret.reveal(), &stored));
        for wrong in [other.reveal(), secret.reveal().to_uppercase(), String::new(), stored.clone()] {
            assert!(!DeviceSecret::matches(&wrong, &stored), "{wrong}");
        }
    }
}

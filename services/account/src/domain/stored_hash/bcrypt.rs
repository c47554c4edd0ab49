//! bcrypt (Provos and Mazières, 1999), as `$2a$`, `$2b$` and `$2y$` name it: they differ by bugs of implementations that
//! are not the ones that are compared with here. It sees the first 72 bytes of a password, and no zero byte.

use base64::{
    Engine,
    engine::{GeneralPurpose, GeneralPurposeConfig, general_purpose::NO_PAD},
};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::HashFormError;

const NAME: &str = "bcrypt";

/// Two to the power of 15 rounds take about 2 s.
const MOST_COST: u32 = 15;
const LEAST_COST: u32 = 4;

/// bcrypt sees no more of a password.
const LONGEST_PASSWORD: usize = 72;
const SALT_CHARACTERS: usize = 22;
const SALT_LENGTH: usize = 16;
/// One byte less than the cipher yields: it never was written out.
const OUTPUT_LENGTH: usize = 23;

/// Its own order of the 64 characters. What stands in the unused bits of the last character differs between
/// implementations.
const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD_ANY_TRAIL);
const NO_PAD_ANY_TRAIL: GeneralPurposeConfig = NO_PAD.with_decode_allow_trailing_bits(true);

/// What it takes to compare a password with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BcryptHash {
    cost: u32,
    salt: [u8; SALT_LENGTH],
    output: [u8; OUTPUT_LENGTH],
}

impl BcryptHash {
    /// `$2y$10$` and 53 characters.
    pub(super) fn parse(text: &str) -> Result<Self, HashFormError> {
        let damaged = HashFormError::Damaged(NAME);
        let (cost, rest) = text.get(4..).and_then(|text| text.split_once('$')).ok_or(damaged)?;
        let (salt, output) = rest.split_at_checked(SALT_CHARACTERS).ok_or(damaged)?;
        let cost = match cost.as_bytes() {
            [b'0'..=b'9', b'0'..=b'9'] => cost.parse().map_err(|_| damaged)?,
            _ => return Err(damaged),
        };
        if cost < LEAST_COST {
            return Err(damaged);
        }
        if cost > MOST_COST {
            return Err(HashFormError::TooCostly(NAME));
        }
        Ok(Self { cost, salt: decode(salt).ok_or(damaged)?, output: decode(output).ok_or(damaged)? })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        // As C sees it: up to its first zero byte, and with one behind it if there is room.
        let seen = password.split(|byte| *byte == 0).next().unwrap_or_default();
        let mut key = Zeroizing::new([0; LONGEST_PASSWORD]);
        let length = seen.len().min(LONGEST_PASSWORD);
        key[..length].copy_from_slice(&seen[..length]);
        let output = bcrypt::bcrypt(self.cost, self.salt, &key[..LONGEST_PASSWORD.min(length + 1)]);
        output[..OUTPUT_LENGTH].ct_eq(&self.output).into()
    }
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stored_hash::StoredHash;

    #[test]
    fn published_vectors_match_and_nothing_else_does() {
        for (hash, password) in [
            // crypt_blowfish 1.3 (Openwall), wrapper.c.
            ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
            ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"),
            ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", ""),
            ("$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U"),
            // The hashcat wiki, "Example hashes", mode 3200.
            ("$2a$05$LhayLxezLhK1LhWvKxCyLOj0j1u.Kj0jZ0pEmm134uzrQlFvQJLF6", "hashcat"),
        ] {
            assert!(StoredHash::legacy_matches(hash, password), "{hash}");
            for prefix in ["$2b$", "$2y$"] {
                assert!(StoredHash::legacy_matches(&hash.replacen("$2a$", prefix, 1), password), "{prefix} {hash}");
            }
            assert!(!StoredHash::legacy_matches(hash, &format!("{password}x")), "{hash}");
        }
    }

    #[test]
    fn the_first_72_bytes_count_as_they_did_where_it_was_made() {
        // crypt_blowfish 1.3 (Openwall), wrapper.c: 72 characters and what is "ignored".
        let hash = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
        let long = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789chars after 72 are ignored";
        assert!(StoredHash::legacy_matches(hash, long));
        assert!(StoredHash::legacy_matches(hash, &long[..72]));
        assert!(!StoredHash::legacy_matches(hash, &long[..71]));
    }

    #[test]
    fn what_cannot_be_or_costs_too_much_is_refused() {
        let tail = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
        for damaged in [
            "$2a$",
            "$2a$05$",
            &format!("$2a$5${tail}"),
            &format!("$2a$05${tail}x"),
            &format!("$2a$03${tail}"),
            &format!("$2a$05${}", &tail[1..]),
            &format!("$2a$05$!{}", &tail[1..]),
            &format!("$2a$+5${tail}"),
            "$2a$05$密密密密密密密密密密",
        ] {
            assert_eq!(BcryptHash::parse(damaged), Err(HashFormError::Damaged(NAME)), "{damaged}");
        }
        assert_eq!(BcryptHash::parse(&format!("$2a$31${tail}")), Err(HashFormError::TooCostly(NAME)));
    }
}

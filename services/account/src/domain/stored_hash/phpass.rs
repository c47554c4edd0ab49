//! phpass "portable" hashes (Openwall): WordPress until 6.7 as `$P$`, phpBB 3.0 as `$H$`. MD5, many times over.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::HashFormError;

const NAME: &str = "phpass";

/// phpass's own order of the 64 characters; the least significant six bits come first.
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `$P$`, one character of cost, eight of salt, 22 of output.
const LENGTH: usize = 34;
const LEAST_COST: usize = 7;
/// Two to the power of 20 rounds take about 0.2 s; phpass itself goes to 30, WordPress and phpBB wrote 13 at most.
const MOST_COST: usize = 20;

/// What it takes to compare a password with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhpassHash {
    rounds: u32,
    salt: [u8; 8],
    output: [u8; 22],
}

impl PhpassHash {
    pub(super) fn parse(text: &str) -> Result<Self, HashFormError> {
        let damaged = HashFormError::Damaged(NAME);
        let text: &[u8; LENGTH] = text.as_bytes().try_into().map_err(|_| damaged)?;
        let value = |character: &u8| ALPHABET.iter().position(|known| known == character);
        let cost = value(&text[3]).ok_or(damaged)?;
        if cost < LEAST_COST || text[12..].iter().any(|character| value(character).is_none()) {
            return Err(damaged);
        }
        if cost > MOST_COST {
            return Err(HashFormError::TooCostly(NAME));
        }
        let (salt, output) = (text[4..12].try_into(), text[12..].try_into());
        Ok(Self { rounds: 1 << cost, salt: salt.map_err(|_| damaged)?, output: output.map_err(|_| damaged)? })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut state =
            Zeroizing::new(<[u8; 16]>::from(Md5::new().chain_update(self.salt).chain_update(password).finalize()));
        for _ in 0..self.rounds {
            *state = Md5::new().chain_update(*state).chain_update(password).finalize().into();
        }
        encode(&state).ct_eq(&self.output).into()
    }
}

/// Three bytes, the lowest first, are four characters, the lowest six bits first.
fn encode(digest: &[u8; 16]) -> [u8; 22] {
    let mut output = [0; 22];
    for (bytes, characters) in digest.chunks(3).zip(output.chunks_mut(4)) {
        let bits = bytes.iter().rev().fold(0, |bits, byte| (bits << 8) | usize::from(*byte));
        for (place, character) in characters.iter_mut().enumerate() {
            *character = ALPHABET[(bits >> (6 * place)) & 63];
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stored_hash::StoredHash;

    #[test]
    fn published_vectors_match_and_nothing_else_does() {
        for (hash, password) in [
            // phpass 0.3 (Openwall), test.php.
            ("$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0", "test12345"),
            // The hashcat wiki, "Example hashes", mode 400.
            ("$P$984478476IagS59wHZvyQMArzfx58u.", "hashcat"),
            ("$H$984478476IagS59wHZvyQMArzfx58u.", "hashcat"),
        ] {
            assert!(StoredHash::legacy_matches(hash, password), "{hash}");
            assert!(!StoredHash::legacy_matches(hash, &format!("{password}x")), "{hash}");
        }
    }

    #[test]
    fn what_cannot_be_or_costs_too_much_is_refused() {
        let damaged = [
            "$P$",
            "$P$984478476IagS59wHZvyQMArzfx58u",
            "$P$984478476IagS59wHZvyQMArzfx58u!",
            "$P$.84478476IagS59wHZvyQMArzfx58u.",
        ];
        for damaged in damaged {
            assert_eq!(PhpassHash::parse(damaged), Err(HashFormError::Damaged(NAME)), "{damaged}");
        }
        let costly = "$P$S84478476IagS59wHZvyQMArzfx58u.";
        assert_eq!(PhpassHash::parse(costly), Err(HashFormError::TooCostly(NAME)));
    }
}

//! PBKDF2 (RFC 8018) with HMAC-SHA-1, -256 and -512, in three notations:
//! - the PHC string format: `$pbkdf2-sha256$i=600000$salt$hash`, Base64 without padding;
//! - passlib's: `$pbkdf2-sha256$29000$salt$hash`, where `.` stands for `+`;
//! - Django's: `pbkdf2_sha256$600000$salt$hash`, where the salt is text and the hash has its padding.

use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD},
};

use super::HashFormError;

const NAME: &str = "PBKDF2";

/// Django 6 takes 1.2 million; this many take about 2 s.
const MOST_ITERATIONS: u32 = 5_000_000;

/// Lengths of the output. Fewer bytes would be guessed; more than the hash function yields cost the defender only.
const SHORTEST_OUTPUT: usize = 16;
const LONGEST_OUTPUT: usize = 64;

/// What it takes to compare a password with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pbkdf2Hash {
    digest: Digest,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

impl Digest {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "sha1" => Some(Self::Sha1),
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }

    fn algorithm(self) -> pbkdf2::Algorithm {
        match self {
            Self::Sha1 => PBKDF2_HMAC_SHA1,
            Self::Sha256 => PBKDF2_HMAC_SHA256,
            Self::Sha512 => PBKDF2_HMAC_SHA512,
        }
    }
}

impl Pbkdf2Hash {
    /// The PHC format's and passlib's, which differ in how they write the iterations.
    pub(super) fn parse(text: &str) -> Result<Self, HashFormError> {
        let damaged = HashFormError::Damaged(NAME);
        let mut parts = text.strip_prefix("$pbkdf2-").ok_or(damaged)?.split('$');
        let (Some(digest), Some(costs), Some(salt), Some(output), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(damaged);
        };
        // `i=600000,l=32`: the length is that of the output, which is there.
        let iterations = costs.split(',').find_map(|cost| cost.strip_prefix("i=")).unwrap_or(costs);
        let decode = |text: &str| STANDARD_NO_PAD.decode(text.replace('.', "+")).ok();
        Self::new(digest, iterations, decode(salt), decode(output))
    }

    pub(super) fn parse_django(text: &str) -> Result<Self, HashFormError> {
        let damaged = HashFormError::Damaged(NAME);
        let mut parts = text.strip_prefix("pbkdf2_").ok_or(damaged)?.split('$');
        let (Some(digest), Some(iterations), Some(salt), Some(output), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(damaged);
        };
        Self::new(digest, iterations, Some(salt.as_bytes().to_vec()), STANDARD.decode(output).ok())
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        // Compares in constant time.
        pbkdf2::verify(self.digest.algorithm(), self.iterations, &self.salt, password, &self.output).is_ok()
    }

    fn new(
        digest: &str,
        iterations: &str,
        salt: Option<Vec<u8>>,
        output: Option<Vec<u8>>,
    ) -> Result<Self, HashFormError> {
        let damaged = HashFormError::Damaged(NAME);
        let digest = Digest::parse(digest).ok_or(damaged)?;
        let iterations: NonZeroU32 = iterations.parse().map_err(|_| damaged)?;
        if iterations.get() > MOST_ITERATIONS {
            return Err(HashFormError::TooCostly(NAME));
        }
        let (salt, output) = salt.zip(output).ok_or(damaged)?;
        if !(SHORTEST_OUTPUT..=LONGEST_OUTPUT).contains(&output.len()) {
            return Err(damaged);
        }
        Ok(Self { digest, iterations, salt, output })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stored_hash::StoredHash;

    fn phc(digest: &str, iterations: u32, salt: &[u8], output: &str) -> String {
        let output = STANDARD_NO_PAD.encode(hex::decode(output).expect("hex"));
        format!("$pbkdf2-{digest}$i={iterations}${}${output}", STANDARD_NO_PAD.encode(salt))
    }

    #[test]
    fn published_vectors_match_and_nothing_else_does() {
        for (hash, password) in [
            // RFC 6070.
            (phc("sha1", 2, b"salt", "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"), "password"),
            (phc("sha1", 4096, b"salt", "4b007901b765489abead49d926f721d065a429c1"), "password"),
            // RFC 7914, section 11.
            (
                phc(
                    "sha256",
                    1,
                    b"salt",
                    "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
                     49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
                ),
                "passwd",
            ),
            // Django, tests/auth_tests/test_hashers.py.
            ("pbkdf2_sha256$30000$seasalt$VrX+V8drCGo68wlvy6rfu8i1d1pfkdeXA4LJkRGJodY=".to_owned(), "l\u{e8}tmein"),
            // The hashcat wiki, "Example hashes", mode 12100, in the PHC format.
            ("$pbkdf2-sha512$i=1000$ODQyMDEwNjQyODY$MKaHNWXUsuJB3IEwBHbm3w".to_owned(), "hashcat"),
        ] {
            assert!(StoredHash::legacy_matches(&hash, password), "{hash}");
            assert!(!StoredHash::legacy_matches(&hash, &format!("{password}x")), "{hash}");
        }
    }

    #[test]
    fn the_notations_say_the_same() {
        let phc = "$pbkdf2-sha256$i=30000,l=32$c2Vhc2FsdA$VrX+V8drCGo68wlvy6rfu8i1d1pfkdeXA4LJkRGJodY";
        let passlib = "$pbkdf2-sha256$30000$c2Vhc2FsdA$VrX.V8drCGo68wlvy6rfu8i1d1pfkdeXA4LJkRGJodY";
        let django = "pbkdf2_sha256$30000$seasalt$VrX+V8drCGo68wlvy6rfu8i1d1pfkdeXA4LJkRGJodY=";
        let parsed = StoredHash::parse(phc).expect("parses");
        assert_eq!(StoredHash::parse(passlib), Ok(parsed.clone()));
        assert_eq!(StoredHash::parse(django), Ok(parsed));
    }

    #[test]
    fn what_cannot_be_or_costs_too_much_is_refused() {
        let output = "VrX+V8drCGo68wlvy6rfu8i1d1pfkdeXA4LJkRGJodY";
        for damaged in [
            "$pbkdf2-sha256$".to_owned(),
            format!("$pbkdf2-md5$i=10$c2Vhc2FsdA${output}"),
            format!("$pbkdf2-sha256$i=0$c2Vhc2FsdA${output}"),
            format!("$pbkdf2-sha256$i=-1$c2Vhc2FsdA${output}"),
            format!("$pbkdf2-sha256$i=10$c2Vhc2FsdA${output}$more"),
            "$pbkdf2-sha256$i=10$c2Vhc2FsdA$AAAA".to_owned(),
            format!("pbkdf2_sha256$10$seasalt${output}"),
        ] {
            assert_eq!(StoredHash::parse(&damaged), Err(HashFormError::Damaged(NAME)), "{damaged}");
        }
        let costly = format!("$pbkdf2-sha256$i=4000000000$c2Vhc2FsdA${output}");
        assert_eq!(StoredHash::parse(&costly), Err(HashFormError::TooCostly(NAME)));
    }
}

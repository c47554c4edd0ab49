//! A password hash as it is stored: ours, and those of the platforms that accounts were imported from.
//!
//! | text | what it is |
//! |---|---|
//! | `$argon2id$v=19$m=…,t=…,p=…$salt$hash` | Argon2id (RFC 9106) in the PHC form: what is written here |
//! | `$2a$`, `$2b$`, `$2y$` | bcrypt |
//! | `$pbkdf2-sha1\|sha256\|sha512$i=…$salt$hash`, `pbkdf2_sha256$…` | PBKDF2, in the PHC form, passlib's and Django's |
//! | `$P$`, `$H$` | phpass: WordPress, phpBB 3 |
//! | `$md5$f=…$salt$hex` | the ways PHP sites salted MD5; the notation is ours |
//!
//! Parsing bounds the price: a text that would keep a thread busy for seconds is refused. Everything but Argon2id is
//! replaced at the next sign-in, so nothing here ever makes one.

mod argon2id;
mod bcrypt;
mod pbkdf2;
mod phpass;
mod salted_md5;

pub(crate) use self::argon2id::{Argon2idHash, LARGEST_PASSES_OF_MEMORY_KIB, MOST_MEMORY_KIB};
use self::{bcrypt::BcryptHash, pbkdf2::Pbkdf2Hash, phpass::PhpassHash, salted_md5::SaltedMd5Hash};

/// A stored hash that can be compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoredHash {
    /// Of this platform, with the parameters of now or of earlier.
    Argon2id(Argon2idHash),
    /// Of another platform.
    Legacy(LegacyHash),
}

/// A hash of another platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LegacyHash {
    Bcrypt(BcryptHash),
    Pbkdf2(Pbkdf2Hash),
    Phpass(PhpassHash),
    SaltedMd5(SaltedMd5Hash),
}

/// Why a text is no hash that can be compared with. Never repeats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HashFormError {
    #[error("not a form of password hash that is known here")]
    Unknown,
    #[error("a damaged {0} hash")]
    Damaged(&'static str),
    #[error("a {0} hash that would take too long to compare with")]
    TooCostly(&'static str),
}

impl StoredHash {
    /// What the column that holds it takes.
    pub(crate) const LONGEST_BYTES: usize = 255;

    pub(crate) fn parse(text: &str) -> Result<Self, HashFormError> {
        if text.len() > Self::LONGEST_BYTES {
            return Err(HashFormError::Unknown);
        }
        if text.starts_with("$argon2id$") {
            return Argon2idHash::parse(text).map(Self::Argon2id);
        }
        let legacy = match text.as_bytes() {
            [b'$', b'2', b'a' | b'b' | b'y', b'$', ..] => LegacyHash::Bcrypt(BcryptHash::parse(text)?),
            [b'$', b'P' | b'H', b'$', ..] => LegacyHash::Phpass(PhpassHash::parse(text)?),
            _ if text.starts_with("$md5$") => LegacyHash::SaltedMd5(SaltedMd5Hash::parse(text)?),
            _ if text.starts_with("$pbkdf2-") => LegacyHash::Pbkdf2(Pbkdf2Hash::parse(text)?),
            _ if text.starts_with("pbkdf2_") => LegacyHash::Pbkdf2(Pbkdf2Hash::parse_django(text)?),
            _ => return Err(HashFormError::Unknown),
        };
        Ok(Self::Legacy(legacy))
    }
}

impl LegacyHash {
    /// Is it the hash of `password`? Blocks for as long as it takes, up to about a second; compares in constant time.
    pub(crate) fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Bcrypt(hash) => hash.matches(password),
            Self::Pbkdf2(hash) => hash.matches(password),
            Self::Phpass(hash) => hash.matches(password),
            Self::SaltedMd5(hash) => hash.matches(password),
        }
    }
}

#[cfg(test)]
impl StoredHash {
    /// Whether a text is a legacy hash of `password`.
    pub(crate) fn legacy_matches(text: &str, password: &str) -> bool {
        match Self::parse(text) {
            Ok(Self::Legacy(hash)) => hash.matches(password.as_bytes()),
            other => panic!("{text} is {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_known_is_refused_without_being_repeated() {
        for unknown in
            ["", "plain text", "5f4dcc3b5aa765d61d8327deb882cf99", "$1$salt$abc", "$2x$05$abc", "{SSHA}abc", "$6$a$b"]
        {
            assert_eq!(StoredHash::parse(unknown), Err(HashFormError::Unknown), "{unknown}");
        }
        assert_eq!(StoredHash::parse(&format!("$md5$f=pass$$md5{}", "0".repeat(255))), Err(HashFormError::Unknown));
    }

    proptest! {
        #[test]
        fn any_text_behind_a_known_beginning_is_parsed_or_refused(
            beginning in "\\$2y\\$|\\$P\\$|\\$md5\\$f=pass|\\$pbkdf2-sha256\\$|pbkdf2_sha1\\$|\\$argon2id\\$", rest in "\\PC{0,80}"
        ) {
            let _ = StoredHash::parse(&format!("{beginning}{rest}"));
        }
    }
}

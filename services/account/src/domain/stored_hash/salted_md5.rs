//! The ways PHP sites hashed passwords with MD5. They never wrote down which one they used, so the notation is ours:
//! `$md5$f=FORM$SALT$HEX`. The salt stands as it is, and may hold a `$`: the 32 hexadecimal digits are behind the last.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::HashFormError;

const NAME: &str = "MD5";

/// What it takes to compare a password with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SaltedMd5Hash {
    form: Form,
    salt: String,
    output: [u8; 16],
}

/// In which order password and salt were hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `pass`: `md5($password)`; the salt is empty.
    Password,
    /// `pass-salt`: `md5($password.$salt)`.
    PasswordSalt,
    /// `salt-pass`: `md5($salt.$password)`.
    SaltPassword,
    /// `md5pass-salt`: `md5(md5($password).$salt)`, the inner one in lower-case hexadecimal digits: UCenter, Discuz!,
    /// vBulletin.
    HashedPasswordSalt,
}

impl Form {
    fn parse(name: &str) -> Option<Self> {
        match name {
            "pass" => Some(Self::Password),
            "pass-salt" => Some(Self::PasswordSalt),
            "salt-pass" => Some(Self::SaltPassword),
            "md5pass-salt" => Some(Self::HashedPasswordSalt),
            _ => None,
        }
    }
}

impl SaltedMd5Hash {
    pub(super) fn parse(text: &str) -> Result<Self, HashFormError> {
        let damaged = HashFormError::Damaged(NAME);
        let (form, rest) = text.strip_prefix("$md5$f=").and_then(|text| text.split_once('$')).ok_or(damaged)?;
        let (salt, digits) = rest.rsplit_once('$').ok_or(damaged)?;
        let form = Form::parse(form).ok_or(damaged)?;
        if (form == Form::Password) != salt.is_empty() {
            return Err(damaged);
        }
        let mut output = [0; 16];
        hex::decode_to_slice(digits, &mut output).map_err(|_| damaged)?;
        Ok(Self { form, salt: salt.to_owned(), output })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let salt = self.salt.as_bytes();
        let output: [u8; 16] = match self.form {
            Form::Password => Md5::digest(password),
            Form::PasswordSalt => Md5::new().chain_update(password).chain_update(salt).finalize(),
            Form::SaltPassword => Md5::new().chain_update(salt).chain_update(password).finalize(),
            Form::HashedPasswordSalt => {
                Md5::new().chain_update(hex::encode(Md5::digest(password))).chain_update(salt).finalize()
            }
        }
        .into();
        output.ct_eq(&self.output).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stored_hash::StoredHash;

    #[test]
    fn published_vectors_match_and_nothing_else_does() {
        for (hash, password) in [
            // RFC 1321, appendix A.5.
            ("$md5$f=pass$$f96b697d7cb7938d525a2f31aaf161d0", "message digest"),
            // The hashcat wiki, "Example hashes", modes 0, 10, 20 and 2611 (vBulletin).
            ("$md5$f=pass$$8743b52063cd84097a65d1633f5c74f5", "hashcat"),
            ("$md5$f=pass-salt$7050461$01dfae6e5d4d90d9892622325959afbe", "hashcat"),
            ("$md5$f=salt-pass$4225637426$F0FDA58630310A6DD91A7D8F0A4CEDA2", "hashcat"),
            ("$md5$f=md5pass-salt$568$16780ba78d2d5f02f3202901c1b6d975", "hashcat"),
        ] {
            assert!(StoredHash::legacy_matches(hash, password), "{hash}");
            assert!(!StoredHash::legacy_matches(hash, &format!("{password}x")), "{hash}");
        }
    }

    #[test]
    fn a_salt_may_hold_anything() {
        let output = hex::encode(Md5::digest("a$b$ 盐secret"));
        assert!(StoredHash::legacy_matches(&format!("$md5$f=salt-pass$a$b$ 盐${output}"), "secret"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let digits = "8743b52063cd84097a65d1633f5c74f5";
        for damaged in [
            "$md5$".to_owned(),
            format!("$md5$f=pass${digits}"),
            format!("$md5$f=pass$salt${digits}"),
            format!("$md5$f=pass-salt$${digits}"),
            format!("$md5$f=twice$salt${digits}"),
            format!("$md5$f=pass$${}", &digits[1..]),
            format!("$md5$f=pass$$x{}", &digits[1..]),
        ] {
            assert_eq!(StoredHash::parse(&damaged), Err(HashFormError::Damaged(NAME)), "{damaged}");
        }
    }
}

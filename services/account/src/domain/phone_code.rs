//! Codes that are sent to phones: six digits, good for one purpose.

use std::fmt;

use common::clock::{Random, random_bytes};

/// Codes there are.
const CODES: u32 = 1_000_000;

/// The largest multiple of [`CODES`] that 32 bits hold: what is drawn beyond it would favour the first codes.
const EVEN: u32 = u32::MAX - u32::MAX % CODES;

/// What a code is good for. Its text is stored and part of the public contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scene {
    /// To sign in.
    Login,
    /// To add the phone to an account.
    Link,
    /// To choose a new password without the old one.
    PasswordReset,
}

/// Six decimal digits. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Code(String);

impl Scene {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Link => "link",
            Self::PasswordReset => "password_reset",
        }
    }
}

impl Code {
    /// A new one, every one as likely as any other.
    pub(crate) fn draw(random: &dyn Random) -> Self {
        loop {
            let drawn = u32::from_le_bytes(random_bytes(random));
            if drawn < EVEN {
                return Self(format!("{:06}", drawn % CODES));
            }
        }
    }

    /// What a player typed; `None` when it can't be any code.
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        let well_formed = raw.len() == 6 && raw.bytes().all(|byte| byte.is_ascii_digit());
        well_formed.then(|| Self(raw.to_owned()))
    }

    /// The digits, for the one message that carries them and for their digest.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;

    use super::*;

    #[test]
    fn a_code_is_six_digits_with_its_leading_zeros() {
        let random = SeededRandom::new(1);
        let codes: Vec<Code> = (0..1000).map(|_| Code::draw(&random)).collect();
        assert!(codes.iter().all(|code| Code::parse(code.expose()).as_ref() == Some(code)));
        assert!(codes.iter().any(|code| code.expose().starts_with('0')));
        assert!(codes.iter().any(|code| code.expose().starts_with('9')));
    }

    #[test]
    fn what_no_code_can_be_is_not_looked_up() {
        for bad in ["", "12345", "1234567", "12345a", " 12345", "１２３４５６"] {
            assert_eq!(Code::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_code_never_prints() {
        assert_eq!(format!("{:?}", Code::parse("123456").expect("valid")), "Code(<redacted>)");
    }
}

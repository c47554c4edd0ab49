//! Identifiers. A value of one of these types is in range; which thing it names is checked by the store.

use std::fmt;

use uuid::{Uuid, fmt::Hyphenated};

use crate::field::FieldError;

/// Identifiers stay below 2^53, so that they survive JavaScript and Lua.
const FIRST_TOO_LARGE: i64 = 1 << 53;

/// Names an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(i64);

impl AccountId {
    /// An id in range, or the refusal of the field.
    pub fn parse(raw: i64) -> Result<Self, FieldError> {
        in_range(raw).map(Self).ok_or(FieldError::new("account_id", "no such account"))
    }

    /// As a number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names an app: a game that signs players in through the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(i64);

impl AppId {
    /// An id in range, or the refusal of the field.
    pub fn parse(raw: i64) -> Result<Self, FieldError> {
        in_range(raw).map(Self).ok_or(FieldError::new("app_id", "no such app"))
    }

    /// As a number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names a session: one sign-in of one account to one app. A UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Reads the form in which it is answered.
    pub fn parse(raw: &str) -> Result<Self, FieldError> {
        let id = Uuid::try_parse(raw).map_err(|_| FieldError::new("session_id", "not a session id"))?;
        Ok(Self(id.into_bytes()))
    }

    /// From its bytes, which may be any.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// As it is answered, written into `buffer`.
    pub fn encode(self, buffer: &mut [u8; Hyphenated::LENGTH]) -> &str {
        Uuid::from_bytes(self.0).hyphenated().encode_lower(buffer)
    }
}

impl From<Uuid> for SessionId {
    fn from(id: Uuid) -> Self {
        Self(id.into_bytes())
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

fn in_range(raw: i64) -> Option<i64> {
    (1..FIRST_TOO_LARGE).contains(&raw).then_some(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_positive_and_survive_javascript() {
        assert!(AppId::parse(1).is_ok());
        assert!(AccountId::parse((1 << 53) - 1).is_ok());
        for bad in [0, -1, 1 << 53, i64::MIN, i64::MAX] {
            assert!(AppId::parse(bad).is_err(), "{bad}");
            assert!(AccountId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_session_id_reads_back_what_it_shows() {
        let id = SessionId::from_bytes([7; 16]);
        assert_eq!(SessionId::parse(&id.to_string()), Ok(id));
        assert!(SessionId::parse("seven").is_err());
    }
}

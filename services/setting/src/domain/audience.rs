//! Whose settings are asked for: an app and one of its channels.
//!
//! Both become part of a path in the store, so a value that exists is a value that is safe there.

use std::fmt;

use pilota::FastStr;

/// Identifiers stay below 2^53, so that JavaScript and Lua clients can hold them.
const APP_ID_END: i64 = 1 << 53;

const CHANNEL_BYTES_MAX: usize = 32;

/// The channel of a build that names none.
const OFFICIAL: &str = "official";

/// An app's number: positive and below 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AppId(i64);

impl AppId {
    pub(crate) fn parse(raw: i64) -> Result<Self, AudienceError> {
        if (1..APP_ID_END).contains(&raw) { Ok(Self(raw)) } else { Err(AudienceError::AppId) }
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A channel's name: 1-32 of `a-z`, `0-9`, `_`, `-`. It can't name a parent directory or hide a separator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Channel(FastStr);

impl Channel {
    pub(crate) fn parse(raw: Option<FastStr>) -> Result<Self, AudienceError> {
        let Some(name) = raw else { return Ok(Self(FastStr::from_static_str(OFFICIAL))) };
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if (1..=CHANNEL_BYTES_MAX).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(name))
        } else {
            Err(AudienceError::Channel)
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An audience that can't exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AudienceError {
    #[error("must be a positive integer below 2^53")]
    AppId,
    #[error("must be 1-32 of a-z, 0-9, _ and -")]
    Channel,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_that_could_leave_its_directory_is_refused() {
        let long = "a".repeat(33);
        for bad in ["", ".", "..", "../x", "a/b", "a\\b", "A", "a b", "a\0", "ü", "a.json", long.as_str()] {
            assert_eq!(Channel::parse(Some(FastStr::new(bad))), Err(AudienceError::Channel), "{bad:?}");
        }
        for good in ["official", "app-store_2", "0", &"a".repeat(32)] {
            assert_eq!(Channel::parse(Some(FastStr::new(good))).expect(good).to_string(), good);
        }
    }

    #[test]
    fn a_build_that_names_no_channel_is_on_the_official_one() {
        assert_eq!(Channel::parse(None).expect("has a default").to_string(), "official");
    }

    #[test]
    fn an_app_id_is_positive_and_fits_a_javascript_number() {
        for bad in [i64::MIN, -1, 0, 1 << 53, i64::MAX] {
            assert_eq!(AppId::parse(bad), Err(AudienceError::AppId), "{bad}");
        }
        assert_eq!(AppId::parse((1 << 53) - 1).expect("in range").to_string(), "9007199254740991");
    }
}

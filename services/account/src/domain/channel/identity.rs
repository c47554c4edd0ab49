//! Who a player is to a channel.
//!
//! The identity is app, channel and uid together. A uid alone is none: two channels give out the same numbers. Neither is
//! channel and uid: the same channel configured for another app may be another game to it, with other players.

use std::fmt;

use crate::domain::field::FieldError;

/// The longest uid that is stored, in bytes. OpenID Connect allows 255 for `sub`.
const LONGEST_UID: usize = 255;

/// A channel as its app calls it: 1-32 of `a-z`, `0-9`, `_` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ChannelName(String);

/// A player as the channel calls them: 1-255 bytes without control characters. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ChannelUid(String);

/// A player of a channel, within one app.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ChannelIdentity {
    compared: String,
    shown: String,
}

impl ChannelName {
    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        if (1..=32).contains(&raw.len()) && raw.bytes().all(allowed) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(FieldError::new("channel", "must be 1-32 of a-z, 0-9, _ and -"))
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ChannelUid {
    /// `None`: nothing that could be stored.
    pub(crate) fn parse(raw: &str) -> Option<Self> {
        let fits = (1..=LONGEST_UID).contains(&raw.len()) && !raw.chars().any(char::is_control);
        fits.then(|| Self(raw.to_owned()))
    }
}

impl fmt::Debug for ChannelUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelUid(<redacted>)")
    }
}

impl ChannelIdentity {
    pub(crate) fn new(channel: &ChannelName, uid: &ChannelUid) -> Self {
        // A channel's name has no colon, so no two pairs are written alike.
        let compared = format!("{channel}:{}", uid.0);
        let shown = format!("{channel}:{}", crate::domain::credential::masked(&uid.0));
        Self { compared, shown }
    }

    /// Equal for the same player only. At most 288 bytes.
    pub(crate) fn compared(&self) -> &str {
        &self.compared
    }

    /// Enough for its owner to recognise it, such as `taptap:4***2`.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }
}

impl fmt::Debug for ChannelIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelIdentity({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(ChannelName::parse("app_store-2").is_ok());
        for bad in ["", "Taptap", "a:b", "a/b", "渠道", &"a".repeat(33)] {
            assert_eq!(ChannelName::parse(bad).map_err(|error| error.field), Err("channel"), "{bad}");
        }
    }

    #[test]
    fn an_identity_is_channel_and_uid_and_shows_no_whole_uid() {
        let identity = |channel: &str, uid: &str| {
            ChannelIdentity::new(&ChannelName::parse(channel).expect("valid"), &ChannelUid::parse(uid).expect("valid"))
        };
        assert_ne!(identity("a", "42"), identity("b", "42"));
        assert_ne!(identity("a", "b:42"), identity("a", "42"));
        let one = identity("taptap", "4711-s3cret-2");
        assert_eq!((one.compared(), one.shown()), ("taptap:4711-s3cret-2", "taptap:4***2"));
        assert!(!format!("{one:?} {:?}", ChannelUid::parse("s3cret")).contains("s3cret"));
    }

    #[test]
    fn what_could_not_be_stored_is_no_uid() {
        assert!(ChannelUid::parse(&"x".repeat(255)).is_some());
        for bad in ["", "a\nb", &"x".repeat(256)] {
            assert_eq!(ChannelUid::parse(bad), None);
        }
    }
}

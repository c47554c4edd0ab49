//! Who pushes, and how much of everything is theirs.

use std::{
    fmt,
    num::{NonZeroU32, NonZeroU64},
    sync::Arc,
};

/// The longest name of a partner, in bytes.
pub const PARTNER_NAME_MAX: usize = 64;

/// The name of a partner: 1 to 64 of `A-Z a-z 0-9 . _ -`, beginning with a letter or digit. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartnerName(Arc<str>);

/// Not a name a partner can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a partner's name has 1 to 64 letters, digits, dots, underscores and hyphens, and begins with a letter or digit"
)]
pub struct PartnerNameError;

impl PartnerName {
    /// The name that `raw` is, if it is one.
    ///
    /// # Errors
    /// [`PartnerNameError`] when it is too long, empty, or has other characters.
    pub fn parse(raw: &str) -> Result<Self, PartnerNameError> {
        let begins_well = raw.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        let is_plain = raw.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if begins_well && is_plain && raw.len() <= PARTNER_NAME_MAX {
            Ok(Self(raw.into()))
        } else {
            Err(PartnerNameError)
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PartnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PartnerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a partner may take of what all of them share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartnerLimits {
    /// Events a second in the long run. Duplicates and refused events count: they cost the same work.
    pub events_per_second: NonZeroU32,
    /// Events at one moment after a pause. A push of more than this waits for a full allowance and then owes the rest.
    pub burst_events: NonZeroU32,
    /// Bytes of events a second in the long run.
    pub bytes_per_second: NonZeroU64,
    /// Bytes of events at one moment after a pause.
    pub burst_bytes: NonZeroU64,
    /// Of the queue's memory, and of the disk when several wait for it.
    pub share: Share,
}

impl Default for PartnerLimits {
    /// Twice the peak of a large partner, and a quarter of the queue.
    fn default() -> Self {
        Self {
            events_per_second: NonZeroU32::MIN.saturating_add(14_999),
            burst_events: NonZeroU32::MIN.saturating_add(29_999),
            bytes_per_second: NonZeroU64::MIN.saturating_add((16 << 20) - 1),
            burst_bytes: NonZeroU64::MIN.saturating_add((32 << 20) - 1),
            share: Share::default(),
        }
    }
}

/// A part of the queue, in percent: 1 to 100. The parts of all partners may add up to more than 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u8);

impl Share {
    /// `percent` of the queue, if it is between 1 and 100.
    pub fn percent(percent: u8) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    /// This part of `whole`, at least one.
    pub(crate) fn of(self, whole: u64) -> u64 {
        (whole / 100 * u64::from(self.0)).max(1)
    }
}

impl Default for Share {
    fn default() -> Self {
        Self(25)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        for good in ["a", "Adjust", "apps-flyer_2.cn", &"x".repeat(64)] {
            assert_eq!(PartnerName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".a", "a/b", "a b", "ä", "a\n", "a\"", &"x".repeat(65)] {
            assert_eq!(PartnerName::parse(bad), Err(PartnerNameError), "{bad:?}");
        }
    }

    #[test]
    fn a_share_is_a_percentage_and_never_nothing() {
        assert_eq!((Share::percent(0), Share::percent(101)), (None, None));
        assert_eq!(Share::percent(1).unwrap().of(50), 1);
        assert_eq!(Share::percent(100).unwrap().of(1000), 1000);
    }
}

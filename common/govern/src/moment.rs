//! [`Moment`]: a point on a monotonic clock that the caller reads.
//!
//! Nothing in this crate reads a clock. Whoever wires it takes one `Instant` at start and passes
//! `Moment::from(start.elapsed())`; tests pass whatever they like.

use std::{ops::Add, time::Duration};

/// Nanoseconds since an origin that is the caller's choice, and the same for all calls to one value of this crate.
/// It fits an atomic, lasts for 584 years, and its arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

impl Moment {
    /// The origin.
    pub const START: Self = Self(0);

    /// A moment so many nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this; zero when `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Moment {
    fn from(since_origin: Duration) -> Self {
        Self(nanos(since_origin))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

/// A duration in nanoseconds; the longest that fits for those that do not.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(Moment::START.since(Moment::from_nanos(5)), Duration::ZERO);
        assert_eq!(Moment::from_nanos(1) + Duration::MAX, Moment::from_nanos(u64::MAX));
        assert_eq!((Moment::START + Duration::from_secs(2)).since(Moment::START), Duration::from_secs(2));
    }
}

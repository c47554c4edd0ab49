//! Token buckets: how fast a partner may push.

use std::time::Duration;

use tokio::time::Instant;

use crate::partner::PartnerLimits;

/// What a partner has used of its rates.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    events: Bucket,
    bytes: Bucket,
}

/// An allowance that refills. It may be overdrawn by something larger than all of it.
#[derive(Clone, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// Of a partner that has not pushed for long.
    pub(crate) fn new(limits: &PartnerLimits, now: Instant) -> Self {
        Self {
            events: Bucket { left: f64::from(limits.burst_events.get()), at: now },
            bytes: Bucket { left: as_float(limits.burst_bytes.get()), at: now },
        }
    }

    /// Takes a push out of the allowance. What does not go through takes nothing.
    ///
    /// # Errors
    /// How long it takes until it would go through.
    pub(crate) fn take(
        &mut self,
        limits: &PartnerLimits,
        events: u64,
        bytes: u64,
        now: Instant,
    ) -> Result<(), Duration> {
        let (events, bytes) = (as_float(events), as_float(bytes));
        let (event_rate, event_burst) =
            (f64::from(limits.events_per_second.get()), f64::from(limits.burst_events.get()));
        let (byte_rate, byte_burst) = (as_float(limits.bytes_per_second.get()), as_float(limits.burst_bytes.get()));
        self.events.refill(event_rate, event_burst, now);
        self.bytes.refill(byte_rate, byte_burst, now);
        let wait = self.events.wait(events, event_rate, event_burst).max(self.bytes.wait(bytes, byte_rate, byte_burst));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.events.left -= events;
        self.bytes.left -= bytes;
        Ok(())
    }

    /// Whether a push would go through now. Takes nothing.
    ///
    /// # Errors
    /// As with [`take`](Self::take).
    pub(crate) fn would_take(
        &self,
        limits: &PartnerLimits,
        events: u64,
        bytes: u64,
        now: Instant,
    ) -> Result<(), Duration> {
        self.clone().take(limits, events, bytes, now)
    }

    /// Whether forgetting them changes nothing.
    pub(crate) fn is_full(&self, limits: &PartnerLimits, now: Instant) -> bool {
        let full = |bucket: &Bucket, rate: f64, burst: f64| {
            bucket.left + now.saturating_duration_since(bucket.at).as_secs_f64() * rate >= burst
        };
        full(&self.events, f64::from(limits.events_per_second.get()), f64::from(limits.burst_events.get()))
            && full(&self.bytes, as_float(limits.bytes_per_second.get()), as_float(limits.burst_bytes.get()))
    }
}

impl Bucket {
    fn refill(&mut self, rate: f64, burst: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * rate).min(burst);
        self.at = self.at.max(now);
    }

    /// How long until `cost`, or all there can be, is left.
    fn wait(&self, cost: f64, rate: f64, burst: f64) -> Duration {
        let lacking = cost.min(burst) - self.left;
        if lacking <= 0.0 { Duration::ZERO } else { Duration::from_secs_f64((lacking / rate).max(0.001)) }
    }
}

/// Exact below 2^53, which no push reaches.
#[expect(clippy::cast_precision_loss, reason = "allowances need no last digit")]
fn as_float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limits() -> PartnerLimits {
        PartnerLimits {
            events_per_second: NonZeroU32::new(10).unwrap(),
            burst_events: NonZeroU32::new(20).unwrap(),
            bytes_per_second: NonZeroU64::new(1000).unwrap(),
            burst_bytes: NonZeroU64::new(5000).unwrap(),
            ..PartnerLimits::default()
        }
    }

    #[test]
    fn a_burst_goes_through_and_then_the_rate_decides() {
        let start = Instant::now();
        let mut rates = Rates::new(&limits(), start);
        for _ in 0..20 {
            assert_eq!(rates.take(&limits(), 1, 1, start), Ok(()));
        }
        assert_eq!(rates.take(&limits(), 1, 1, start), Err(SECOND / 10));
        for _ in 0..2 {
            assert_eq!(rates.would_take(&limits(), 1, 1, start), Err(SECOND / 10));
            assert_eq!(rates.would_take(&limits(), 1, 1, start + SECOND / 10), Ok(()), "asking takes nothing");
        }
        assert_eq!(rates.take(&limits(), 1, 1, start + SECOND / 10), Ok(()));
        assert_eq!(rates.take(&limits(), 5, 1, start + SECOND / 10), Err(SECOND / 2));
        assert!(!rates.is_full(&limits(), start + SECOND));
        assert!(rates.is_full(&limits(), start + 3 * SECOND));
    }

    #[test]
    fn bytes_count_as_well_and_what_is_refused_takes_nothing() {
        let start = Instant::now();
        let mut rates = Rates::new(&limits(), start);
        assert_eq!(rates.take(&limits(), 1, 4500, start), Ok(()));
        assert_eq!(rates.take(&limits(), 1, 1000, start), Err(SECOND / 2));
        assert_eq!(rates.take(&limits(), 19, 500, start), Ok(()), "the refused push took no event");
    }

    #[test]
    fn a_push_larger_than_the_burst_goes_through_when_all_is_there_and_is_paid_for_afterwards() {
        let start = Instant::now();
        let mut rates = Rates::new(&limits(), start);
        assert_eq!(rates.take(&limits(), 120, 1, start), Ok(()));
        assert_eq!(rates.take(&limits(), 1, 1, start), Err(101 * SECOND / 10));
        assert_eq!(rates.take(&limits(), 1, 1, start + 11 * SECOND), Ok(()));
    }
}

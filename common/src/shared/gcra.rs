//! The generic cell rate algorithm: one number per key says everything about its past.
//!
//! Source: ITU-T Recommendation I.371 (03/2004), Annex A, "virtual scheduling algorithm". The number is the
//! *theoretical arrival time*: when the key would have used up all it was charged, were it served evenly. A request
//! conforms unless that time would run ahead of the clock by more than the tolerance. Compared with counters per
//! window there is no edge at which twice the rate passes, and compared with a token bucket no second number.
//!
//! Pure: time and the stored number come in, the decision and the number to store go out. Times are microseconds
//! since the Unix epoch, which stay exact in the doubles of a Lua script until the year 2255.

use std::{num::NonZeroU32, time::Duration};

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many units come back in [`Self::per`].
    pub limit: NonZeroU32,
    /// The time in which [`Self::limit`] units come back. At least a microsecond per unit; faster rates are limited
    /// to that.
    pub per: Duration,
    /// How many units may be used at one moment by a key that was quiet.
    pub burst: NonZeroU32,
}

/// What a limit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may happen, and was charged.
    Allowed {
        /// Units that could be used at this same moment.
        remaining: u32,
    },
    /// It may not, and nothing was charged.
    Refused {
        /// When the same request would conform. For a cost above the burst, which never conforms: the time to a full
        /// burst.
        retry_after: Duration,
    },
}

/// A decision and what to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The theoretical arrival time to store instead of the old one, in microseconds since the Unix epoch. It may be
    /// forgotten as soon as it is in the past.
    pub arrival_us: u64,
}

impl Rate {
    /// `limit` units per `per`, all of which may come at once.
    pub const fn new(limit: NonZeroU32, per: Duration) -> Self {
        Self { limit, per, burst: limit }
    }

    /// The same rate with another burst.
    #[must_use]
    pub const fn burst(self, burst: NonZeroU32) -> Self {
        Self { burst, ..self }
    }

    /// Microseconds in which one unit comes back (T in I.371). Rounded up, so that a rate is never exceeded.
    pub(super) fn interval_us(&self) -> u64 {
        let per = u64::try_from(self.per.as_micros()).unwrap_or(u64::MAX);
        per.div_ceil(u64::from(self.limit.get())).max(1)
    }
}

/// Decides on a request of weight `cost` at `now_us`, for a key whose stored time is `arrival_us` (anything in the
/// past, such as 0, for a key without one).
pub fn decide(rate: &Rate, arrival_us: u64, now_us: u64, cost: u32) -> Verdict {
    let interval = rate.interval_us();
    let capacity = interval.saturating_mul(u64::from(rate.burst.get()));
    let arrival = arrival_us.max(now_us);
    let charged = arrival.saturating_add(interval.saturating_mul(u64::from(cost)));
    let ahead = charged - now_us;
    if ahead <= capacity {
        let remaining = u32::try_from((capacity - ahead) / interval).unwrap_or(u32::MAX);
        return Verdict { decision: Decision::Allowed { remaining }, arrival_us: charged };
    }
    let wait = if cost > rate.burst.get() { arrival - now_us } else { ahead - capacity };
    let retry_after = Duration::from_micros(wait.max(1));
    Verdict { decision: Decision::Refused { retry_after }, arrival_us: arrival }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START_US: u64 = 1_750_000_000_000_000;

    fn rate(limit: u32, per: Duration, burst: u32) -> Rate {
        let positive = |number| NonZeroU32::new(number).expect("positive");
        Rate::new(positive(limit), per).burst(positive(burst))
    }

    #[test]
    fn a_quiet_key_may_burst_and_then_gets_its_even_rate() {
        let rate = rate(10, Duration::from_secs(1), 3);
        let mut arrival = 0;
        for expected in [2, 1, 0] {
            let verdict = decide(&rate, arrival, START_US, 1);
            assert_eq!(verdict.decision, Decision::Allowed { remaining: expected });
            arrival = verdict.arrival_us;
        }
        let refused = decide(&rate, arrival, START_US, 1);
        assert_eq!(refused.decision, Decision::Refused { retry_after: Duration::from_millis(100) });
        let later = decide(&rate, refused.arrival_us, START_US + 100_000, 1);
        assert_eq!(later.decision, Decision::Allowed { remaining: 0 });
    }

    #[test]
    fn a_cost_above_the_burst_never_passes_and_says_when_the_burst_is_whole() {
        let rate = rate(1, Duration::from_secs(1), 5);
        let used = decide(&rate, 0, START_US, 2);
        let refused = decide(&rate, used.arrival_us, START_US, 6);
        assert_eq!(refused.decision, Decision::Refused { retry_after: Duration::from_secs(2) });
    }

    #[test]
    fn extreme_rates_and_times_do_not_overflow() {
        let slow = rate(1, Duration::MAX, u32::MAX);
        decide(&slow, u64::MAX, START_US, u32::MAX);
        let fast = rate(u32::MAX, Duration::ZERO, 1);
        assert!(matches!(decide(&fast, 0, START_US, 1).decision, Decision::Allowed { .. }));
    }

    proptest! {
        /// Whatever the arrivals: no window of any length sees more than the burst plus what comes back in it.
        #[test]
        fn no_window_ever_passes_more_than_burst_and_rate(
            limit in 1_u32..50, burst in 1_u32..20, gaps in prop::collection::vec((0_u64..300_000, 1_u32..4), 1..200),
        ) {
            let rate = rate(limit, Duration::from_secs(1), burst);
            let (mut now, mut arrival, mut passed) = (START_US, 0, Vec::new());
            for (gap, cost) in gaps {
                now += gap;
                let verdict = decide(&rate, arrival, now, cost);
                if let Decision::Allowed { .. } = verdict.decision {
                    passed.push((now, u64::from(cost)));
                }
                arrival = verdict.arrival_us;
            }
            for (index, (from, _)) in passed.iter().enumerate() {
                let mut units = 0;
                for (until, cost) in &passed[index..] {
                    units += cost;
                    prop_assert!(units <= u64::from(burst) + (until - from) * u64::from(limit) / 1_000_000);
                }
            }
        }

        /// The hint is exact: one microsecond earlier is refused, at the time it passes.
        #[test]
        fn a_refused_request_passes_exactly_when_it_was_told(
            limit in 1_u32..1000, burst in 1_u32..20, cost in 1_u32..20, spent in 1_u32..20,
        ) {
            prop_assume!(cost <= burst && spent <= burst);
            let rate = rate(limit, Duration::from_secs(7), burst);
            let arrival = decide(&rate, 0, START_US, spent).arrival_us;
            if let Decision::Refused { retry_after } = decide(&rate, arrival, START_US, cost).decision {
                let told = START_US + u64::try_from(retry_after.as_micros()).expect("small");
                let early = decide(&rate, arrival, told - 1, cost).decision;
                let on_time = decide(&rate, arrival, told, cost).decision;
                prop_assert!(matches!(early, Decision::Refused { .. }), "{early:?}");
                prop_assert!(matches!(on_time, Decision::Allowed { .. }), "{on_time:?}");
            }
        }

        /// Against a model: a bucket that refills one unit per interval.
        #[test]
        fn it_decides_as_a_leaky_bucket_does(
            burst in 1_u32..10, gaps in prop::collection::vec((0_u64..3, 1_u32..4), 1..100),
        ) {
            let rate = rate(1, Duration::from_secs(1), burst);
            let (mut now, mut arrival, mut level) = (START_US, 0, 0_u64);
            for (seconds, cost) in gaps {
                now += seconds * 1_000_000;
                level = level.saturating_sub(seconds);
                let fits = level + u64::from(cost) <= u64::from(burst);
                let verdict = decide(&rate, arrival, now, cost);
                prop_assert_eq!(matches!(verdict.decision, Decision::Allowed { .. }), fits);
                level += if fits { u64::from(cost) } else { 0 };
                arrival = verdict.arrival_us;
            }
        }
    }
}

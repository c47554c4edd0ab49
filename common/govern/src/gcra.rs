//! The generic cell rate algorithm: one number per key says everything about its past.
//!
//! Protects: whatever may happen only so often, per address, account, app, partner or route.
//!
//! Formula (ITU-T I.371 (03/2004), Annex A, virtual scheduling): with `T = per / limit` and the stored *theoretical
//! arrival time* `a`, a request of weight `n` at `now` conforms iff `max(a, now) + n·T − now ≤ burst·T`; then
//! `a := max(a, now) + n·T`. There is no edge at which twice the rate passes, and no second number to store.
//!
//! State that replicas share stores the same time in microseconds of a wall clock, and decides by [`Rate::in_micros`], so
//! that whoever keeps it comes to the same decision.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::moment::{Moment, nanos};

/// How often something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many units come back in [`Self::per`].
    pub limit: NonZeroU32,
    /// The time in which [`Self::limit`] units come back. At least a nanosecond per unit; faster rates are limited to
    /// that.
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
        /// When the whole burst is there again, if nothing more is used.
        full_in: Duration,
    },
    /// It may not, and nothing was charged.
    Refused {
        /// When the same request would conform. For a weight above the burst, which never conforms: the time to a full
        /// burst.
        retry_after: Duration,
    },
}

/// A decision and what to remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The decision.
    pub decision: Decision,
    /// The theoretical arrival time to store instead of the old one. It may be forgotten as soon as it is in the past.
    pub arrival: Moment,
}

/// As much of what was wanted as there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Units that were charged: from none to all that were wanted.
    pub granted: u32,
    /// When the next unit would be there, if none is left for another one now; zero otherwise.
    pub next_in: Duration,
    /// The theoretical arrival time to store.
    pub arrival: Moment,
}

/// The state of one key, shared by threads: eight bytes.
#[derive(Debug, Default)]
pub struct Cell(AtomicU64);

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

    /// Microseconds in which one unit comes back, rounded up: for state that counts in those.
    pub fn interval_us(&self) -> u64 {
        self.interval_ns().div_ceil(1000).max(1)
    }

    /// The rate as it holds where times are whole microseconds: never faster than this one.
    #[must_use]
    pub fn in_micros(&self) -> Self {
        Self { limit: NonZeroU32::MIN, per: Duration::from_micros(self.interval_us()), burst: self.burst }
    }

    /// Nanoseconds in which one unit comes back (T). Rounded up, so that a rate is never exceeded.
    pub(crate) fn interval_ns(&self) -> u64 {
        nanos(self.per).div_ceil(u64::from(self.limit.get())).max(1)
    }

    /// The time in which the whole burst comes back.
    pub fn time_to_full(&self) -> Duration {
        Duration::from_nanos(self.capacity_ns())
    }

    /// Nanoseconds in which the whole burst comes back.
    fn capacity_ns(&self) -> u64 {
        self.interval_ns().saturating_mul(u64::from(self.burst.get()))
    }
}

impl Decision {
    /// Whether it may happen.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed { .. })
    }
}

/// Decides on a request of weight `cost` at `now`, for a key whose stored time is `arrival` (anything in the past, such
/// as [`Moment::START`], for a key without one).
pub fn decide(rate: &Rate, arrival: Moment, now: Moment, cost: u32) -> Verdict {
    let (interval, capacity, now_ns) = (rate.interval_ns(), rate.capacity_ns(), now.as_nanos());
    let arrival_ns = arrival.max(now).as_nanos();
    let charged = arrival_ns.saturating_add(interval.saturating_mul(u64::from(cost)));
    let ahead = charged - now_ns;
    if ahead <= capacity {
        let remaining = u32::try_from((capacity - ahead) / interval).unwrap_or(u32::MAX);
        let decision = Decision::Allowed { remaining, full_in: Duration::from_nanos(ahead) };
        return Verdict { decision, arrival: Moment::from_nanos(charged) };
    }
    let wait = if cost > rate.burst.get() { arrival_ns - now_ns } else { ahead - capacity };
    let decision = Decision::Refused { retry_after: Duration::from_nanos(wait.max(1)) };
    Verdict { decision, arrival: Moment::from_nanos(arrival_ns) }
}

/// Charges as many of `wanted` units as conform. What [`crate::lease::SCRIPT`] does in Redis.
pub fn take_up_to(rate: &Rate, arrival: Moment, now: Moment, wanted: u32) -> Grant {
    let (interval, capacity, now_ns) = (rate.interval_ns(), rate.capacity_ns(), now.as_nanos());
    let arrival_ns = arrival.max(now).as_nanos();
    let free = capacity.saturating_sub(arrival_ns - now_ns);
    let granted = u32::try_from(free / interval).unwrap_or(u32::MAX).min(wanted);
    let charged = arrival_ns.saturating_add(interval.saturating_mul(u64::from(granted)));
    let next_in = (charged - now_ns).saturating_add(interval).saturating_sub(capacity);
    Grant { granted, next_in: Duration::from_nanos(next_in), arrival: Moment::from_nanos(charged) }
}

impl Cell {
    /// Decides on a request of weight `cost` and charges it. Lock-free; threads that meet decide one after the other.
    pub fn check(&self, rate: &Rate, now: Moment, cost: u32) -> Decision {
        let mut arrival = self.0.load(Ordering::Relaxed);
        loop {
            let verdict = decide(rate, Moment::from_nanos(arrival), now, cost);
            if !verdict.decision.is_allowed() {
                return verdict.decision;
            }
            let charged = verdict.arrival.as_nanos();
            match self.0.compare_exchange_weak(arrival, charged, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return verdict.decision,
                Err(newer) => arrival = newer,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: Moment = Moment::from_nanos(43_200_000_000_000);

    fn rate(limit: u32, per: Duration, burst: u32) -> Rate {
        let positive = |number| NonZeroU32::new(number).expect("positive");
        Rate::new(positive(limit), per).burst(positive(burst))
    }

    #[test]
    fn a_quiet_key_may_burst_and_then_gets_its_even_rate() {
        let (rate, cell) = (rate(10, Duration::from_secs(1), 3), Cell::default());
        for expected in [2, 1, 0] {
            let full_in = Duration::from_millis(100 * u64::from(3 - expected));
            assert_eq!(cell.check(&rate, NOON, 1), Decision::Allowed { remaining: expected, full_in });
        }
        let retry_after = Duration::from_millis(100);
        assert_eq!(cell.check(&rate, NOON, 1), Decision::Refused { retry_after });
        assert!(cell.check(&rate, NOON + retry_after, 1).is_allowed());
    }

    #[test]
    fn a_weight_above_the_burst_never_passes_and_says_when_the_burst_is_whole() {
        let (rate, cell) = (rate(1, Duration::from_secs(1), 5), Cell::default());
        cell.check(&rate, NOON, 2);
        assert_eq!(cell.check(&rate, NOON, 6), Decision::Refused { retry_after: Duration::from_secs(2) });
    }

    #[test]
    fn extreme_rates_and_times_do_not_overflow() {
        let end = Moment::from_nanos(u64::MAX);
        let slow = rate(1, Duration::MAX, u32::MAX);
        decide(&slow, end, NOON, u32::MAX);
        take_up_to(&slow, end, NOON, u32::MAX);
        let fast = rate(u32::MAX, Duration::ZERO, 1);
        assert!(decide(&fast, Moment::START, NOON, 1).decision.is_allowed());
        take_up_to(&fast, Moment::START, end, u32::MAX);
    }

    #[test]
    fn in_whole_microseconds_a_rate_is_the_same_or_slower() {
        let even = rate(50, Duration::from_millis(1), 7);
        assert_eq!(
            (even.interval_us(), even.in_micros().interval_ns(), even.in_micros().burst),
            (20, 20_000, even.burst)
        );
        let odd = rate(3, Duration::from_micros(10), 1);
        assert_eq!((odd.interval_us(), odd.in_micros().interval_ns()), (4, 4000));
        assert_eq!(rate(u32::MAX, Duration::ZERO, 1).interval_us(), 1);
    }

    #[test]
    fn threads_that_meet_never_pass_more_than_the_burst() {
        let (rate, cell) = (rate(1, Duration::from_secs(3600), 500), Cell::default());
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| (0..1000).filter(|_| cell.check(&rate, NOON, 1).is_allowed()).count()))
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        assert_eq!(passed, 500);
    }

    proptest! {
        /// Whatever the arrivals: no window of any length sees more than the burst plus what comes back in it.
        #[test]
        fn no_window_ever_passes_more_than_burst_and_rate(
            limit in 1_u32..50, burst in 1_u32..20,
            gaps in prop::collection::vec((0_u64..300_000_000, 1_u32..4), 1..200),
        ) {
            let rate = rate(limit, Duration::from_secs(1), burst);
            let (mut now, cell, mut passed) = (NOON, Cell::default(), Vec::new());
            for (gap, cost) in gaps {
                now = now + Duration::from_nanos(gap);
                if cell.check(&rate, now, cost).is_allowed() {
                    passed.push((now, u64::from(cost)));
                }
            }
            for (index, (from, _)) in passed.iter().enumerate() {
                let mut units = 0;
                for (until, cost) in &passed[index..] {
                    units += cost;
                    let came_back = nanos(until.since(*from)) * u64::from(limit) / 1_000_000_000;
                    prop_assert!(units <= u64::from(burst) + came_back);
                }
            }
        }

        /// The hint is exact: one nanosecond earlier is refused, at the time it passes.
        #[test]
        fn a_refused_request_passes_exactly_when_it_was_told(
            limit in 1_u32..1000, burst in 1_u32..20, cost in 1_u32..20, spent in 1_u32..20,
        ) {
            let (cost, spent) = (1 + cost % burst, 1 + spent % burst);
            let rate = rate(limit, Duration::from_secs(7), burst);
            let arrival = decide(&rate, Moment::START, NOON, spent).arrival;
            if let Decision::Refused { retry_after } = decide(&rate, arrival, NOON, cost).decision {
                let told = NOON + retry_after;
                let early = Moment::from_nanos(told.as_nanos() - 1);
                prop_assert!(!decide(&rate, arrival, early, cost).decision.is_allowed());
                prop_assert!(decide(&rate, arrival, told, cost).decision.is_allowed());
            }
        }

        /// Taking what there is comes to the same as asking for one unit until it is refused.
        #[test]
        fn as_many_are_granted_as_would_have_passed_one_by_one(
            limit in 1_u32..50, burst in 1_u32..20, spent in 0_u32..20, gap in 0_u64..3_000_000_000, wanted in 0_u32..30,
        ) {
            let rate = rate(limit, Duration::from_secs(1), burst);
            let spent = take_up_to(&rate, Moment::START, NOON, spent).arrival;
            let now = NOON + Duration::from_nanos(gap);
            let grant = take_up_to(&rate, spent, now, wanted);
            let (mut arrival, mut passed) = (spent.max(now), 0);
            while passed < wanted {
                let verdict = decide(&rate, arrival, now, 1);
                if !verdict.decision.is_allowed() {
                    break;
                }
                (arrival, passed) = (verdict.arrival, passed + 1);
            }
            prop_assert_eq!((grant.granted, grant.arrival), (passed, arrival));
            match decide(&rate, grant.arrival, now, 1).decision {
                Decision::Allowed { .. } => prop_assert_eq!(grant.next_in, Duration::ZERO),
                Decision::Refused { retry_after } => prop_assert_eq!(grant.next_in, retry_after),
            }
        }
    }
}

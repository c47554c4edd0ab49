//! The failure ladder: the more often something failed, the longer it has to wait before it may be tried again.
//!
//! Nobody is made to wait inside a request: while a key is locked its attempts are refused, and are told for how long.
//! A refused attempt is not counted, so that impatience makes nothing worse.
//!
//! Pure: time and the stored number come in, the outcome and the number to store go out. Everything about a key is one
//! number, `locked_until_ms * 1000 + failures`, which stays exact in the doubles of a Lua script until the year 2255.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

/// Failures are counted up to here. A rung can't be higher.
pub const MOST_FAILURES: u32 = 999;

/// What the lock's end is multiplied with to make room for the failures.
const SCALE: u64 = MOST_FAILURES as u64 + 1;

/// How long a key is locked after how many failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// From the lowest to the highest. Without any nothing is ever locked.
    pub rungs: Vec<Rung>,
    /// Failures are forgotten this long after the first of them, or when the last lock ends if that is later.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
}

/// One step of a [`Ladder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// From this many failures on, ...
    pub failures: u32,
    /// ... each further failure locks for so long.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
}

/// Where a key stands on its ladder. The default is the ground.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Failures that are not forgotten yet.
    pub failures: u32,
    /// For how long it is locked; zero when it is not.
    pub locked_for: Duration,
}

/// What a failure led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Climb {
    /// It was counted.
    Climbed(Standing),
    /// The key was locked already, so the attempt should not have been judged, and was not counted.
    Locked(Duration),
}

/// An outcome and what to remember. All times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) climb: Climb,
    /// Stored instead of the old number.
    pub(super) stored: u64,
    /// When it may be forgotten.
    pub(super) expires_ms: u64,
}

impl Ladder {
    /// How long a key is locked by the last of so many failures.
    pub fn wait_after(&self, failures: u32) -> Option<Duration> {
        self.rungs.iter().rev().find(|rung| rung.failures <= failures).map(|rung| rung.wait)
    }

    /// The same ladder for whoever sees only a part of the failures: each rung is reached so many times sooner.
    #[must_use]
    pub fn divided_by(&self, divisor: NonZeroU32) -> Self {
        let divided = |rung: &Rung| Rung { failures: rung.failures.div_ceil(divisor.get()), ..*rung };
        Self { rungs: self.rungs.iter().map(divided).collect(), window: self.window }
    }

    /// Whether the rungs lead upwards and can be reached.
    ///
    /// # Errors
    /// What would be right.
    pub fn check(&self) -> Result<(), &'static str> {
        let millisecond = Duration::from_millis(1);
        if self.window < millisecond || self.rungs.iter().any(|rung| rung.wait < millisecond) {
            return Err("times must be at least 1ms");
        }
        if self.rungs.iter().any(|rung| rung.failures == 0 || rung.failures > MOST_FAILURES) {
            return Err("failures must be from 1 to 999");
        }
        let rises = |pair: &[Rung]| pair[0].failures < pair[1].failures && pair[0].wait <= pair[1].wait;
        if !self.rungs.windows(2).all(rises) {
            return Err("each rung must have more failures than the one before, and no shorter wait");
        }
        Ok(())
    }
}

/// A failure at `now_ms` of a key whose number is `stored` until `expires_ms` (zero and anything for a key without one).
pub(super) fn climb(ladder: &Ladder, stored: u64, expires_ms: u64, now_ms: u64) -> Step {
    let Standing { failures, locked_for } = standing(stored, now_ms);
    if !locked_for.is_zero() {
        return Step { climb: Climb::Locked(locked_for), stored, expires_ms };
    }
    let failures = (failures + 1).min(MOST_FAILURES);
    let wait = ladder.wait_after(failures);
    let locked_until_ms = wait.map_or(0, |wait| now_ms.saturating_add(millis(wait)));
    let window_ends_ms = if stored == 0 { now_ms.saturating_add(millis(ladder.window)) } else { expires_ms };
    Step {
        climb: Climb::Climbed(Standing { failures, locked_for: wait.unwrap_or_default() }),
        stored: number(failures, locked_until_ms),
        expires_ms: window_ends_ms.max(locked_until_ms),
    }
}

/// What a stored number says at `now_ms`.
pub(super) fn standing(stored: u64, now_ms: u64) -> Standing {
    let failures = u32::try_from(stored % SCALE).unwrap_or(MOST_FAILURES);
    Standing { failures, locked_for: Duration::from_millis((stored / SCALE).saturating_sub(now_ms)) }
}

/// What is stored of a key.
pub(super) fn number(failures: u32, locked_until_ms: u64) -> u64 {
    locked_until_ms.saturating_mul(SCALE).saturating_add(u64::from(failures.min(MOST_FAILURES)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START_MS: u64 = 1_750_000_000_000;

    fn ladder(rungs: &[(u32, u64)], window: u64) -> Ladder {
        let rung = |&(failures, seconds)| Rung { failures, wait: Duration::from_secs(seconds) };
        Ladder { rungs: rungs.iter().map(rung).collect(), window: Duration::from_secs(window) }
    }

    /// A key that lives through time: what a store does with the rule.
    #[derive(Default)]
    struct Key {
        stored: u64,
        expires_ms: u64,
    }

    impl Key {
        fn fail(&mut self, ladder: &Ladder, now_ms: u64) -> Climb {
            if self.expires_ms <= now_ms {
                *self = Self::default();
            }
            let step = climb(ladder, self.stored, self.expires_ms, now_ms);
            (self.stored, self.expires_ms) = (step.stored, step.expires_ms);
            step.climb
        }
    }

    #[test]
    fn each_rung_locks_for_longer_and_the_lock_ends_to_the_millisecond() {
        let ladder = ladder(&[(3, 60), (5, 600)], 86_400);
        let (mut key, mut now) = (Key::default(), START_MS);
        for (failures, seconds) in [(1, 0), (2, 0), (3, 60), (4, 60), (5, 600), (6, 600)] {
            let locked_for = Duration::from_secs(seconds);
            assert_eq!(key.fail(&ladder, now), Climb::Climbed(Standing { failures, locked_for }));
            if seconds > 0 {
                now += seconds * 1000;
                assert_eq!(key.fail(&ladder, now - 1), Climb::Locked(Duration::from_millis(1)));
            }
        }
    }

    #[test]
    fn failures_are_forgotten_with_the_window_but_a_lock_is_not() {
        let short = ladder(&[(2, 100)], 10);
        let mut key = Key::default();
        key.fail(&short, START_MS);
        assert!(matches!(key.fail(&short, START_MS + 10_000), Climb::Climbed(Standing { failures: 1, .. })));
        assert!(matches!(key.fail(&short, START_MS + 11_000), Climb::Climbed(Standing { failures: 2, .. })));
        assert_eq!(key.fail(&short, START_MS + 30_000), Climb::Locked(Duration::from_secs(81)));
        assert!(matches!(key.fail(&short, START_MS + 111_000), Climb::Climbed(Standing { failures: 1, .. })));
    }

    #[test]
    fn who_sees_half_the_failures_locks_after_half_of_them() {
        let half = ladder(&[(1, 1), (7, 60), (10, 600)], 1).divided_by(NonZeroU32::MIN.saturating_add(1));
        assert_eq!(half.rungs.iter().map(|rung| rung.failures).collect::<Vec<_>>(), [1, 4, 5]);
    }

    #[test]
    fn a_ladder_that_leads_nowhere_is_refused() {
        assert_eq!(ladder(&[(7, 60), (10, 60), (15, 900)], 1).check(), Ok(()));
        assert_eq!(ladder(&[], 1).check(), Ok(()));
        for bad in [
            ladder(&[(0, 60)], 1),
            ladder(&[(1000, 60)], 1),
            ladder(&[(7, 0)], 1),
            ladder(&[(7, 60), (7, 70)], 1),
            ladder(&[(7, 60), (8, 50)], 1),
            ladder(&[(7, 60)], 0),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let mut endless = ladder(&[(1, 1)], 1);
        endless.rungs[0].wait = Duration::MAX;
        assert!(matches!(climb(&endless, 0, 0, START_MS).climb, Climb::Climbed(_)));
        climb(&endless, number(MOST_FAILURES, 0), u64::MAX, START_MS);
    }

    proptest! {
        /// Whatever the pace of an attacker: between two attempts that are judged lies the wait of the rung that the
        /// first of them reached.
        #[test]
        fn no_pace_gets_an_attempt_judged_before_its_time(gaps in prop::collection::vec(0_u64..90_000, 1..300)) {
            let ladder = ladder(&[(3, 10), (5, 60)], 3600);
            let (mut key, mut now, mut free_at) = (Key::default(), START_MS, START_MS);
            for gap in gaps {
                now += gap;
                match key.fail(&ladder, now) {
                    Climb::Climbed(Standing { locked_for, .. }) => {
                        prop_assert!(now >= free_at);
                        free_at = now + millis(locked_for);
                    }
                    Climb::Locked(left) => prop_assert_eq!(now + millis(left), free_at),
                }
            }
        }

        /// Against a model that keeps every failure.
        #[test]
        fn it_counts_the_failures_since_the_first_that_is_remembered(
            gaps in prop::collection::vec(0_u64..4_000, 1..200),
        ) {
            let ladder = ladder(&[], 10);
            let (mut key, mut now, mut first, mut count) = (Key::default(), START_MS, 0, 0);
            for gap in gaps {
                now += gap;
                if now >= first + 10_000 {
                    (first, count) = (now, 0);
                }
                count += 1;
                let expected = Standing { failures: count, locked_for: Duration::ZERO };
                prop_assert_eq!(key.fail(&ladder, now), Climb::Climbed(expected));
            }
        }

        #[test]
        fn a_stored_number_says_what_was_stored(failures in 0..=MOST_FAILURES, ahead in 0_u64..1_000_000_000) {
            let read = standing(number(failures, START_MS + ahead), START_MS);
            prop_assert_eq!(read, Standing { failures, locked_for: Duration::from_millis(ahead) });
            // Exact in the doubles of a Lua script.
            prop_assert!(number(failures, START_MS + ahead) < 1 << 53);
        }
    }
}

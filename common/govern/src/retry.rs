//! Whether and when to try again: [`RetryBudget`], [`may_retry`], [`backoff`].
//!
//! Protects: a callee in trouble from getting every question several times, and the platform from retries of retries.
//!
//! - *Budget* (Finagle and Linkerd `RetryBudget`: a ratio of the requests plus a floor, over a sliding `window`):
//!   retries in the window may be at most `ratio` (10 %) of its requests, plus `floor_per_second` (3) for each of its
//!   seconds, so that a quiet caller may retry too. Backups ([`crate::backup`]) are paid from the same budget.
//! - *Chain stop* (Kitex `pkg/retry`, the flag `RetryReq`): who was called by a retry does not retry. Otherwise three
//!   layers that try three times make 27 calls of one.
//! - *Back-off* (AWS Architecture Blog, "Exponential Backoff And Jitter", full jitter):
//!   `random · min(longest, shortest · 2^n)`.
//! - Never past the deadline: what is left must hold the pause and the time that an answer usually takes.
//! - Only what is safe to do twice.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    moment::Moment,
    problems::{Check, Problems},
    window::Window,
};

const REQUESTS: usize = 0;
const RETRIES: usize = 1;

/// Whether and when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Further attempts of one call. 0: none.
    pub attempts: u32,
    /// Retries per request, over the window.
    pub ratio: f64,
    /// Retries per second that are always allowed.
    pub floor_per_second: u32,
    /// Over which time the two are counted.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// The longest pause before the first retry. The pause is drawn between 0 and this.
    #[serde(with = "humantime_serde")]
    pub shortest: Duration,
    /// The longest pause before any.
    #[serde(with = "humantime_serde")]
    pub longest: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 1,
            ratio: 0.1,
            floor_per_second: 3,
            window: Duration::from_secs(10),
            shortest: Duration::from_millis(10),
            longest: Duration::from_millis(500),
        }
    }
}

impl Check for RetryConfig {
    fn check(&self, problems: &mut Problems) {
        problems.number("attempts", self.attempts, 0..=5);
        problems.number("ratio", self.ratio, 0.0..=0.5);
        problems.number("floor_per_second", self.floor_per_second, 0..=1000);
        problems.duration("window", self.window, Duration::from_secs(1)..=Duration::from_secs(60));
        problems.duration("shortest", self.shortest, Duration::ZERO..=Duration::from_secs(10));
        problems.duration("longest", self.longest, Duration::ZERO..=Duration::from_secs(60));
        if self.shortest > self.longest {
            problems.add("shortest", "is longer than `longest`");
        }
    }
}

/// What retries and backups to one callee are paid from.
#[derive(Debug)]
pub struct RetryBudget {
    config: RetryConfig,
    window: Mutex<Window<10, 2>>,
}

impl RetryBudget {
    /// A budget that holds its floor.
    pub fn new(config: RetryConfig) -> Self {
        Self { config, window: Mutex::new(Window::new(config.window)) }
    }

    /// Counts a request: a first attempt.
    pub fn request(&self, now: Moment) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.advance(now);
        window.add(REQUESTS, 1);
    }

    /// Pays for a retry or a backup, if there is enough.
    pub fn withdraw(&self, now: Moment) -> bool {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        window.advance(now);
        let paid = (window.sum(RETRIES) as f64) + 1.0 <= self.allowance(window.sum(REQUESTS));
        if paid {
            window.add(RETRIES, 1);
        }
        paid
    }

    fn allowance(&self, requests: u64) -> f64 {
        let floor = f64::from(self.config.floor_per_second) * self.config.window.as_secs_f64();
        self.config.ratio * requests as f64 + floor
    }
}

/// What is known when a call has failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempted {
    /// Retries that were made of it already.
    pub retries: u32,
    /// Whether carrying it out twice does no harm: declared by the method, or certain not to have been sent.
    pub repeatable: bool,
    /// Whether this process was itself called by a retry.
    pub called_by_retry: bool,
    /// What is left until its deadline.
    pub left: Duration,
    /// How long an answer usually takes.
    pub usual: Duration,
}

/// What to do about a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Try again after this pause.
    After(Duration),
    /// Answer with the failure.
    No(WhyNot),
}

/// Why a call is not tried again; a label for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// It may have been carried out, and must not be twice.
    NotRepeatable,
    /// Whoever called retries already.
    ChainStop,
    /// It was tried often enough.
    Attempts,
    /// No answer could come in time.
    Deadline,
    /// Too many calls are being retried.
    Budget,
}

impl WhyNot {
    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotRepeatable => "not_repeatable",
            Self::ChainStop => "chain_stop",
            Self::Attempts => "attempts",
            Self::Deadline => "deadline",
            Self::Budget => "budget",
        }
    }
}

/// Whether a call that failed is tried again, and when. The budget is asked last, so that only a retry that is made is
/// paid for. `fraction` is a random number of `0.0..1.0`.
pub fn may_retry(config: &RetryConfig, budget: &RetryBudget, call: &Attempted, now: Moment, fraction: f64) -> Retry {
    if !call.repeatable {
        return Retry::No(WhyNot::NotRepeatable);
    }
    if call.called_by_retry {
        return Retry::No(WhyNot::ChainStop);
    }
    if call.retries >= config.attempts {
        return Retry::No(WhyNot::Attempts);
    }
    let pause = backoff(config, call.retries, fraction);
    if pause.saturating_add(call.usual) >= call.left {
        return Retry::No(WhyNot::Deadline);
    }
    if budget.withdraw(now) { Retry::After(pause) } else { Retry::No(WhyNot::Budget) }
}

/// The pause before retry number `retries` (from 0): anything up to a bound that doubles.
pub fn backoff(config: &RetryConfig, retries: u32, fraction: f64) -> Duration {
    let bound = config.shortest.saturating_mul(1 << retries.min(20)).min(config.longest);
    bound.mul_f64(fraction.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment::from_nanos(1_000_000_000_000);
    const MS: Duration = Duration::from_millis(1);
    const CALL: Attempted = Attempted {
        retries: 0,
        repeatable: true,
        called_by_retry: false,
        left: Duration::from_secs(1),
        usual: Duration::from_millis(5),
    };

    #[test]
    fn a_quiet_caller_has_its_floor_and_a_busy_one_a_tenth() {
        let budget = RetryBudget::new(RetryConfig::default());
        assert_eq!((0..100).filter(|_| budget.withdraw(NOW)).count(), 30, "3 a second for 10 s");
        (0..1000).for_each(|_| budget.request(NOW));
        assert_eq!((0..1000).filter(|_| budget.withdraw(NOW)).count(), 100);
        let later = NOW + Duration::from_secs(10);
        assert_eq!((0..100).filter(|_| budget.withdraw(later)).count(), 30, "the window has passed");
    }

    #[test]
    fn each_reason_against_a_retry_is_named() {
        let config = RetryConfig { floor_per_second: 0, ..RetryConfig::default() };
        let budget = RetryBudget::new(config);
        for (call, why) in [
            (Attempted { repeatable: false, ..CALL }, WhyNot::NotRepeatable),
            (Attempted { called_by_retry: true, ..CALL }, WhyNot::ChainStop),
            (Attempted { retries: 1, ..CALL }, WhyNot::Attempts),
            (Attempted { left: 9 * MS, ..CALL }, WhyNot::Deadline),
            (CALL, WhyNot::Budget),
        ] {
            assert_eq!(may_retry(&config, &budget, &call, NOW, 0.5), Retry::No(why));
        }
        (0..10).for_each(|_| budget.request(NOW));
        assert_eq!(may_retry(&config, &budget, &CALL, NOW, 0.5), Retry::After(5 * MS));
    }

    #[test]
    fn the_bound_of_the_pause_doubles_up_to_the_longest() {
        let config = RetryConfig::default();
        let bounds: Vec<_> = (0..8).map(|retries| backoff(&config, retries, 1.0).as_millis()).collect();
        assert_eq!(bounds, [10, 20, 40, 80, 160, 320, 500, 500]);
        assert_eq!(backoff(&config, u32::MAX, 0.0), Duration::ZERO);
    }

    proptest! {
        /// In every ten seconds: no more retries than a tenth of the requests of the window, and the floor.
        #[test]
        fn no_window_sees_more_retries_than_its_budget(
            steps in prop::collection::vec((0_u64..300, 0_u32..20, 0_u32..20), 1..200),
        ) {
            let budget = RetryBudget::new(RetryConfig::default());
            let (mut now, mut requests, mut retries) = (NOW, Vec::new(), Vec::new());
            for (gap, asked, retried) in steps {
                now = now + MS * u32::try_from(gap).expect("small");
                for _ in 0..asked {
                    budget.request(now);
                    requests.push(now);
                }
                retries.extend((0..retried).filter(|_| budget.withdraw(now)).map(|_| now));
                let recent = |all: &[Moment], time: u64| {
                    all.iter().filter(|at| now.since(**at) < Duration::from_secs(time)).count()
                };
                // The newest bucket is being filled: nine whole ones are always seen.
                let (seen, paid) = (recent(&requests, 10), recent(&retries, 9));
                prop_assert!(paid as f64 <= 0.1 * seen as f64 + 30.0 + 1e-9, "{paid} of {seen}");
            }
        }

        #[test]
        fn no_retry_ends_past_the_deadline(left in 0_u64..2000, usual in 0_u64..500, fraction in 0.0_f64..1.0) {
            let config = RetryConfig::default();
            let budget = RetryBudget::new(config);
            let call = Attempted { left: MS * u32::try_from(left).expect("small"), usual: MS * u32::try_from(usual).expect("small"), ..CALL };
            if let Retry::After(pause) = may_retry(&config, &budget, &call, NOW, fraction) {
                prop_assert!(pause + call.usual < call.left);
            }
        }
    }
}

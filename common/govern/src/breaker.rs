//! [`Breaker`]: stops asking a callee that does not answer, in proportion, and finds out quickly when it does again.
//!
//! Protects: a callee that is down from being kept down by its callers, and the callers from waiting for it.
//!
//! Formula (Google SRE, "Handling Overload", client-side adaptive throttling), over the last `window` (10 s in 40
//! buckets, go-zero `core/breaker/googlebreaker.go`):
//! ```text
//! P(reject) = max(0, (requests − protection − k · accepts) / (requests + 1))
//! ```
//! `requests` counts what was answered, what failed and what was rejected here; `accepts` what was answered. With k = 1.5
//! up to a third may fail before anything is rejected. `protection` (5) keeps a few failures of a quiet callee from
//! meaning anything. Business errors are answers: the callee works.
//!
//! The formula alone closes slowly: after a long outage a window full of rejected requests has to be outgrown, which
//! takes minutes (go-zero issue 4101: 15 minutes after an outage of one). Two additions bound that:
//! - *probes*: while rejecting, one request per `probe_interval` (250 ms) passes in any case;
//! - *healed*: `heal_answers` (3) answers in a row over at least `heal_time` (1 s), without a failure of a call that
//!   began after the first of them did, forget all that was before. So with a request a second it closes within 5 s of
//!   the recovery. Failures of calls from before (timeouts that are still running) do not open it again.
//!
//! Calls count when they end and not when they begin: otherwise a slow but healthy callee looks dead while its first
//! calls run. How many run at once is the business of [`crate::bulkhead`].

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    moment::Moment,
    problems::{Check, Problems},
    window::Window,
};

const REQUESTS: usize = 0;
const ACCEPTS: usize = 1;

/// When to reject.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// How far back it looks.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How many requests one answer pays for.
    pub k: f64,
    /// Requests per window that may fail without meaning anything.
    pub protection: u32,
    /// While rejecting, one request in this time passes in any case.
    #[serde(with = "humantime_serde")]
    pub probe_interval: Duration,
    /// How many answers in a row end the rejecting.
    pub heal_answers: u32,
    /// Over how long those answers must have come.
    #[serde(with = "humantime_serde")]
    pub heal_time: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            k: 1.5,
            protection: 5,
            probe_interval: Duration::from_millis(250),
            heal_answers: 3,
            heal_time: Duration::from_secs(1),
        }
    }
}

impl Check for BreakerConfig {
    fn check(&self, problems: &mut Problems) {
        problems.duration("window", self.window, Duration::from_secs(1)..=Duration::from_secs(60));
        problems.number("k", self.k, 1.01..=10.0);
        problems.number("protection", self.protection, 0..=10_000);
        problems.duration("probe_interval", self.probe_interval, Duration::from_millis(1)..=Duration::from_secs(1));
        problems.number("heal_answers", self.heal_answers, 1..=10);
        problems.duration("heal_time", self.heal_time, Duration::ZERO..=Duration::from_secs(3));
        // The first probe, then answers at the pace of probes for as long as they have to come.
        let answers = self.probe_interval.saturating_mul(self.heal_answers.saturating_sub(1));
        if self.probe_interval + answers.max(self.heal_time) + self.probe_interval > Duration::from_secs(4) {
            problems
                .add("heal_answers", "with `probe_interval` and `heal_time` it closes later than 4 s after a recovery");
        }
    }
}

/// How a call ended, as far as the callee's health goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered: with a result, or with an error that is the caller's business.
    Answered,
    /// It was not: no connection, a timeout, an internal error, an overload.
    Failed,
}

/// A call that may be made. Give it back to [`Breaker::ended`]; one that is cancelled is just dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    began: Moment,
}

/// The callee is not asked now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rejected {
    /// The share of requests that are rejected at present.
    pub probability: f64,
    /// When the next request passes in any case.
    pub probe_in: Duration,
}

/// One method of one callee.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    /// Whether the probability may be above zero. While not, a check is one load.
    rejecting: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window: Window<40, 2>,
    last_pass: Moment,
    run: Option<Run>,
    /// Failures of calls that began before this are forgotten.
    healed_since: Moment,
}

/// Answers in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// When the call began that was answered first.
    began: Moment,
    first: Moment,
    answers: u32,
}

impl Breaker {
    /// A breaker of which nothing is known against its callee.
    pub fn new(config: BreakerConfig) -> Self {
        let state = State {
            window: Window::new(config.window),
            last_pass: Moment::START,
            run: None,
            healed_since: Moment::START,
        };
        Self { config, rejecting: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// Whether a call may be made at `now`; `fraction` is a random number of `0.0..1.0`.
    ///
    /// # Errors
    /// When it is rejected. That has been counted.
    pub fn check(&self, now: Moment, fraction: f64) -> Result<Call, Rejected> {
        if !self.rejecting.load(Relaxed) {
            return Ok(Call { began: now });
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let probability = self.probability_of(&mut state, now);
        let since_last = now.since(state.last_pass);
        if fraction < probability && since_last < self.config.probe_interval {
            state.window.add(REQUESTS, 1);
            return Err(Rejected { probability, probe_in: self.config.probe_interval.saturating_sub(since_last) });
        }
        state.last_pass = now;
        Ok(Call { began: now })
    }

    /// Counts how a call ended.
    pub fn ended(&self, call: Call, now: Moment, outcome: Outcome) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.window.advance(now);
        match outcome {
            Outcome::Answered => {
                state.window.add(REQUESTS, 1);
                state.window.add(ACCEPTS, 1);
                if self.rejecting.load(Relaxed) {
                    self.answered_while_rejecting(&mut state, call, now);
                }
            }
            Outcome::Failed if call.began < state.healed_since => return,
            Outcome::Failed => {
                state.window.add(REQUESTS, 1);
                // A call from before the first answer says nothing about the time since.
                state.run = state.run.filter(|run| call.began < run.began);
            }
        }
        self.probability_of(&mut state, now);
    }

    /// The share of requests that are rejected at `now`, for showing.
    pub fn probability(&self, now: Moment) -> f64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.probability_of(&mut state, now)
    }

    fn answered_while_rejecting(&self, state: &mut State, call: Call, now: Moment) {
        let run = state.run.get_or_insert(Run { began: call.began, first: now, answers: 0 });
        run.answers = run.answers.saturating_add(1);
        let Run { began, first, answers } = *run;
        if answers >= self.config.heal_answers && now.since(first) >= self.config.heal_time {
            state.window.clear();
            state.healed_since = began;
        }
    }

    fn probability_of(&self, state: &mut State, now: Moment) -> f64 {
        state.window.advance(now);
        let (requests, accepts) = (state.window.sum(REQUESTS), state.window.sum(ACCEPTS));
        let probability = rejection_probability(&self.config, requests, accepts);
        let rejecting = probability > 0.0;
        if self.rejecting.swap(rejecting, Relaxed) != rejecting {
            state.run = None;
        }
        probability
    }
}

/// The formula.
pub fn rejection_probability(config: &BreakerConfig, requests: u64, accepts: u64) -> f64 {
    let unpaid = requests as f64 - f64::from(config.protection) - config.k * accepts as f64;
    (unpaid / (requests as f64 + 1.0)).max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Moment = Moment::from_nanos(1_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    fn breaker() -> Breaker {
        Breaker::new(BreakerConfig::default())
    }

    /// Calls at `rate` per second from `from` until `until`, each answered or failed after `latency`, in the order of
    /// time. Returns how many were passed.
    fn calls(
        breaker: &Breaker,
        random: &mut fastrand::Rng,
        (from, until): (Moment, Moment),
        rate: u32,
        latency: Duration,
        outcome: impl Fn(Moment) -> Outcome,
    ) -> u32 {
        let (mut now, mut passed) = (from, 0);
        let mut running: std::collections::VecDeque<(Moment, Call)> = std::collections::VecDeque::new();
        while now < until {
            while let Some((ends, call)) = running.pop_front_if(|(ends, _)| *ends <= now) {
                breaker.ended(call, ends, outcome(call.began));
            }
            if let Ok(call) = breaker.check(now, random.f64()) {
                passed += 1;
                running.push_back((now + latency, call));
            }
            now = now + SECOND / rate;
        }
        for (ends, call) in running {
            breaker.ended(call, ends, outcome(call.began));
        }
        passed
    }

    #[test]
    fn the_formula_is_the_published_one() {
        let config = BreakerConfig { protection: 0, ..BreakerConfig::default() };
        for (requests, accepts, expected) in
            [(0, 0, 0.0), (100, 100, 0.0), (99, 66, 0.0), (99, 33, 0.495), (99, 0, 0.99)]
        {
            assert!((rejection_probability(&config, requests, accepts) - expected).abs() < 1e-9);
        }
    }

    #[test]
    fn a_few_failures_of_a_quiet_callee_mean_nothing() {
        let breaker = breaker();
        for second in 0..5 {
            let now = START + SECOND * second;
            let call = breaker.check(now, 0.0).expect("passes");
            breaker.ended(call, now, Outcome::Failed);
        }
        assert!(breaker.check(START + 5 * SECOND, 0.0).is_ok());
    }

    #[test]
    fn of_a_callee_that_is_down_only_probes_are_asked() {
        let (breaker, mut random) = (breaker(), fastrand::Rng::with_seed(1));
        calls(&breaker, &mut random, (START, START + 20 * SECOND), 1000, MS, |_| Outcome::Failed);
        let now = START + 20 * SECOND;
        let passed = calls(&breaker, &mut random, (now, now + 10 * SECOND), 1000, MS, |_| Outcome::Failed);
        // Four probes a second, and hardly any by chance.
        assert!((40..60).contains(&passed), "{passed}");
        let rejected = breaker.check(now + 10 * SECOND, 0.0).expect_err("down");
        assert!(rejected.probability > 0.99 && rejected.probe_in <= 250 * MS);
    }

    #[test]
    fn a_third_may_fail_before_anything_is_rejected() {
        let breaker = breaker();
        for n in 0..3000_u32 {
            let now = START + MS * n;
            let call = breaker.check(now, 0.0).expect("passes");
            breaker.ended(call, now, if n % 3 == 0 { Outcome::Failed } else { Outcome::Answered });
        }
        assert!(breaker.probability(START + 3 * SECOND).abs() < f64::EPSILON);
    }

    #[test]
    fn of_a_callee_that_answers_half_a_quarter_is_rejected() {
        let breaker = Breaker::new(BreakerConfig { protection: 0, ..BreakerConfig::default() });
        for n in 0..1000_u32 {
            let now = START + MS * n;
            let outcome = if n % 2 == 0 { Outcome::Failed } else { Outcome::Answered };
            breaker.ended(Call { began: now }, now, outcome);
        }
        assert!((breaker.probability(START + SECOND) - 0.25).abs() < 0.01);
    }

    #[test]
    fn timeouts_from_before_the_recovery_do_not_open_it_again() {
        let (breaker, mut random) = (breaker(), fastrand::Rng::with_seed(2));
        calls(&breaker, &mut random, (START, START + 10 * SECOND), 100, MS, |_| Outcome::Failed);
        let recovered = START + 10 * SECOND;
        let stuck: Vec<_> = (0..5000).map(|_| Call { began: recovered }).collect();
        calls(&breaker, &mut random, (recovered + MS, recovered + 5 * SECOND), 100, MS, |_| Outcome::Answered);
        let now = recovered + 5 * SECOND;
        assert!(breaker.probability(now).abs() < f64::EPSILON);
        for call in stuck {
            breaker.ended(call, now, Outcome::Failed);
        }
        assert!(breaker.probability(now).abs() < f64::EPSILON);
    }

    #[test]
    fn a_callee_that_fails_again_is_rejected_again_at_once() {
        let (breaker, mut random) = (breaker(), fastrand::Rng::with_seed(3));
        calls(&breaker, &mut random, (START, START + 10 * SECOND), 100, MS, |_| Outcome::Failed);
        let up = START + 10 * SECOND;
        calls(&breaker, &mut random, (up, up + 5 * SECOND), 100, MS, |_| Outcome::Answered);
        let down = up + 20 * SECOND;
        calls(&breaker, &mut random, (down, down + SECOND), 100, MS, |_| Outcome::Failed);
        assert!(breaker.probability(down + SECOND) > 0.8);
    }

    #[test]
    fn it_closes_although_every_tenth_call_goes_on_failing() {
        for seed in 0..20 {
            let (breaker, mut random) = (breaker(), fastrand::Rng::with_seed(seed));
            let up = START + 60 * SECOND;
            calls(&breaker, &mut random, (START, up), 500, MS, |_| Outcome::Failed);
            let tenth = |began: Moment| match began.as_nanos() / 2_000_000 % 10 {
                0 => Outcome::Failed,
                _ => Outcome::Answered,
            };
            calls(&breaker, &mut random, (up, up + 15 * SECOND), 500, MS, tenth);
            assert!(breaker.probability(up + 15 * SECOND) < 0.01, "seed {seed}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

        /// However long the outage, however many requests: 5 s after the recovery nothing is rejected.
        #[test]
        fn it_closes_within_five_seconds_of_the_recovery(
            outage in 1_u32..900, rate in 1_u32..200, latency_ms in 1_u32..500, seed in any::<u64>(),
            healthy_before in 0_u32..20,
        ) {
            let (breaker, mut random) = (breaker(), fastrand::Rng::with_seed(seed));
            let down = START + SECOND * healthy_before;
            let up = down + SECOND * outage;
            let end = up + 5 * SECOND;
            let answers = |began: Moment| {
                if began >= down && began < up { Outcome::Failed } else { Outcome::Answered }
            };
            calls(&breaker, &mut random, (START, end), rate, MS * latency_ms, answers);
            prop_assert!(breaker.probability(end).abs() < f64::EPSILON);
        }

        /// While rejecting, whoever asks often enough finds a probe passed in every interval.
        #[test]
        fn probes_always_pass(seed in any::<u64>(), seconds in 5_u32..60) {
            let (breaker, mut random) = (breaker(), fastrand::Rng::with_seed(seed));
            let until = START + SECOND * seconds;
            calls(&breaker, &mut random, (START, until), 100, MS, |_| Outcome::Failed);
            let passes = (0..26_u32).any(|n| breaker.check(until + 10 * MS * n, 0.0).is_ok());
            prop_assert!(passes);
        }
    }
}

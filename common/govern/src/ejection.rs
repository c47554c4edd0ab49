//! [`Ejection`]: an instance that fails several calls in a row gets none for a while.
//!
//! Protects: callers from the one of several instances that hangs or refuses while discovery still lists it.
//!
//! Source: Linkerd failure accrual (`balancer.linkerd.io/failure-accrual=consecutive`): 7 consecutive failures, then
//! left out for 1 s, doubling to 60 s, jitter 0.5, one probe on return; Envoy's rule that at most half of the instances
//! are left out, because driving the rest down next helps nobody.
//! What counts as a failure is the caller's: no connection, a timeout, an internal error; never a business error.
//!
//! The standing of an instance is a few atomics: asking costs two loads, a success of a healthy one too.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    moment::Moment,
    problems::{Check, Problems},
};

/// When an instance is left out, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EjectionConfig {
    /// Failures in a row.
    pub failures: u32,
    /// For how long the first time.
    #[serde(with = "humantime_serde")]
    pub shortest: Duration,
    /// However often it has been.
    #[serde(with = "humantime_serde")]
    pub longest: Duration,
    /// By which share that time is lengthened at most, at random, so that callers do not come back together.
    pub jitter: f64,
    /// How long one caller may try an instance whose time is over, before the next one does.
    #[serde(with = "humantime_serde")]
    pub trial: Duration,
    /// The largest share of the instances that is left out at once.
    pub at_most: f64,
}

impl Default for EjectionConfig {
    fn default() -> Self {
        Self {
            failures: 7,
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            jitter: 0.5,
            trial: Duration::from_secs(1),
            at_most: 0.5,
        }
    }
}

impl Check for EjectionConfig {
    fn check(&self, problems: &mut Problems) {
        let (ms, hour) = (Duration::from_millis(1), Duration::from_secs(3600));
        problems.number("failures", self.failures, 1..=1000);
        problems.duration("shortest", self.shortest, ms..=hour);
        problems.duration("longest", self.longest, ms..=hour);
        problems.duration("trial", self.trial, ms..=Duration::from_secs(60));
        problems.number("jitter", self.jitter, 0.0..=1.0);
        problems.number("at_most", self.at_most, 0.0..=0.5);
        if self.shortest > self.longest {
            problems.add("shortest", "is longer than `longest`");
        }
    }
}

/// How an instance has done lately.
#[derive(Debug, Default)]
pub struct Standing {
    failures: AtomicU32,
    /// How often in a row it was left out; 0: it is not.
    times: AtomicU32,
    /// Until when; then one probe at a time.
    until: AtomicU64,
    /// Whether a probe has not told yet how it went.
    probing: AtomicBool,
}

/// What an instance may get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Any call.
    Open,
    /// Its time is over: one call, to see. Take it with [`Standing::try_probe`].
    ProbeDue,
    /// Nothing.
    Out,
}

impl Standing {
    /// What the instance may get now.
    pub fn admission(&self, now: Moment) -> Admission {
        if self.times.load(Relaxed) == 0 {
            Admission::Open
        } else if self.until.load(Relaxed) <= now.as_nanos() {
            Admission::ProbeDue
        } else {
            Admission::Out
        }
    }

    /// For how long a probe has been due.
    pub fn overdue(&self, now: Moment) -> Duration {
        now.since(Moment::from_nanos(self.until.load(Relaxed)))
    }

    /// Takes the probe of an instance whose time is over. Of callers that try at once one gets it; the next one is due
    /// after `trial`, in case the first never tells.
    pub fn try_probe(&self, config: &EjectionConfig, now: Moment) -> bool {
        let until = self.until.load(Relaxed);
        let next = (now + config.trial).as_nanos();
        let taken = until <= now.as_nanos() && self.until.compare_exchange(until, next, Relaxed, Relaxed).is_ok();
        if taken {
            self.probing.store(true, Relaxed);
        }
        taken
    }

    /// A call was answered: all is forgotten.
    pub fn succeeded(&self) {
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
        if self.times.load(Relaxed) != 0 {
            self.times.store(0, Relaxed);
            self.until.store(0, Relaxed);
            self.probing.store(false, Relaxed);
        }
    }

    /// Whether it is left out, or on probation after it was.
    pub fn is_ejected(&self) -> bool {
        self.times.load(Relaxed) != 0
    }
}

/// Leaves instances of one callee out. One at a time decides, so that never too many are out.
#[derive(Debug)]
pub struct Ejection {
    config: EjectionConfig,
    deciding: Mutex<()>,
}

impl Ejection {
    /// The rules for one callee.
    pub fn new(config: EjectionConfig) -> Self {
        Self { config, deciding: Mutex::new(()) }
    }

    /// The rules.
    pub fn config(&self) -> &EjectionConfig {
        &self.config
    }

    /// A call of the instance `of` failed. `all` are the standings of all its callee's instances, `of` among them;
    /// `fraction` is a random number of `0.0..1.0`. Returns for how long it is left out, if it is now.
    pub fn failed<'a>(
        &self,
        of: &Standing,
        all: impl Iterator<Item = &'a Standing>,
        now: Moment,
        fraction: f64,
    ) -> Option<Duration> {
        let failures = of.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures < self.config.failures && !of.is_ejected() {
            return None;
        }
        let _deciding = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let times = of.times.load(Relaxed);
        if times == 0 {
            let (out, known) =
                all.fold((0_u32, 0_u32), |(out, known), standing| (out + u32::from(standing.is_ejected()), known + 1));
            if f64::from(out + 1) > self.config.at_most * f64::from(known) {
                return None;
            }
        } else if !of.probing.swap(false, Relaxed) {
            // Others were on their way when it was left out: they saw the same.
            return None;
        }
        let longer = 1.0 + self.config.jitter * fraction.clamp(0.0, 1.0);
        let doubled = self.config.shortest.saturating_mul(1 << times.min(16)).min(self.config.longest);
        let time = doubled.mul_f64(longer).min(self.config.longest);
        of.until.store((now + time).as_nanos(), Relaxed);
        of.times.store(times.saturating_add(1), Relaxed);
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment::from_nanos(1_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    struct Fleet {
        ejection: Ejection,
        all: Vec<Standing>,
    }

    impl Fleet {
        fn of(instances: usize) -> Self {
            let all = (0..instances).map(|_| Standing::default()).collect();
            Self { ejection: Ejection::new(EjectionConfig::default()), all }
        }

        fn fail(&self, index: usize, now: Moment) -> Option<Duration> {
            self.ejection.failed(&self.all[index], self.all.iter(), now, 0.0)
        }

        fn fail_times(&self, index: usize, times: u32, now: Moment) -> Option<Duration> {
            (0..times).filter_map(|_| self.fail(index, now)).last()
        }

        fn probe(&self, index: usize, now: Moment) -> bool {
            self.all[index].admission(now) == Admission::ProbeDue
                && self.all[index].try_probe(self.ejection.config(), now)
        }
    }

    #[test]
    fn seven_failures_in_a_row_leave_an_instance_out_and_six_do_not() {
        let fleet = Fleet::of(2);
        assert_eq!(fleet.fail_times(0, 6, NOW), None);
        fleet.all[0].succeeded();
        assert_eq!(fleet.fail_times(0, 6, NOW), None);
        assert_eq!(fleet.fail(0, NOW), Some(SECOND));
        assert_eq!(fleet.all[0].admission(NOW), Admission::Out);
    }

    #[test]
    fn each_failed_probe_leaves_it_out_twice_as_long_up_to_a_minute() {
        let (fleet, mut now) = (Fleet::of(2), NOW);
        let mut out = fleet.fail_times(0, 7, now).expect("left out");
        let mut times = vec![out.as_secs()];
        for _ in 0..7 {
            assert!(!fleet.probe(0, now + (out - Duration::from_millis(1))));
            now = now + out;
            assert!(fleet.probe(0, now));
            out = fleet.fail(0, now).expect("left out again");
            times.push(out.as_secs());
        }
        assert_eq!(times, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn one_caller_at_a_time_probes_and_a_lost_probe_is_followed_by_another() {
        let fleet = Fleet::of(2);
        fleet.fail_times(0, 7, NOW);
        let over = NOW + SECOND;
        assert!(fleet.probe(0, over) && !fleet.probe(0, over));
        assert!(fleet.probe(0, over + SECOND));
    }

    #[test]
    fn an_answered_probe_brings_it_back_as_good_as_any() {
        let fleet = Fleet::of(2);
        fleet.fail_times(0, 7, NOW);
        assert!(fleet.probe(0, NOW + SECOND));
        fleet.all[0].succeeded();
        assert_eq!(fleet.all[0].admission(NOW + SECOND), Admission::Open);
        assert_eq!(fleet.fail_times(0, 6, NOW + SECOND), None);
        assert_eq!(fleet.fail(0, NOW + SECOND), Some(SECOND));
    }

    #[test]
    fn calls_that_were_on_their_way_when_it_was_left_out_count_once() {
        let fleet = Fleet::of(2);
        assert_eq!((0..64).filter_map(|_| fleet.fail(0, NOW)).count(), 1);
    }

    #[test]
    fn jitter_only_lengthens() {
        let fleet = Fleet::of(2);
        fleet.fail_times(0, 6, NOW);
        let out = fleet.ejection.failed(&fleet.all[0], fleet.all.iter(), NOW, 1.0);
        assert_eq!(out, Some(SECOND * 3 / 2));
        let mut longest = SECOND;
        for minute in 1..10 {
            let over = NOW + 120 * SECOND * minute;
            assert!(fleet.probe(0, over));
            longest = fleet.ejection.failed(&fleet.all[0], fleet.all.iter(), over, 1.0).expect("left out again");
        }
        assert_eq!(longest, 60 * SECOND, "up to the longest");
    }

    proptest! {
        /// Whatever fails, succeeds and is probed: never more than half are out, and a single one never is.
        #[test]
        fn never_more_than_half_are_left_out(
            instances in 1_usize..9, steps in prop::collection::vec((0_usize..9, 0_u32..3, 0_u64..800), 1..400),
        ) {
            let (fleet, mut now) = (Fleet::of(instances), NOW);
            for (index, what, gap) in steps {
                now = now + Duration::from_millis(gap);
                let index = index % instances;
                match what {
                    0 => fleet.all[index].succeeded(),
                    1 => { fleet.fail_times(index, 7, now); }
                    _ => { fleet.probe(index, now); }
                }
                let out = fleet.all.iter().filter(|standing| standing.is_ejected()).count();
                prop_assert!(2 * out <= instances, "{out} of {instances}");
            }
        }
    }
}

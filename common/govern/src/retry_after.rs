//! When a refused caller is told to come back.
//!
//! Protects: the moment after a flood from the flood of those who were all told the same second.
//!
//! Formula: `base(class) · clamp(load, 1, growth) · (1 + spread · random)`, at most `longest`, where `load` is how many
//! times more comes than is let in ([`LoadEstimate`]). At five times the load callers are told to stay away five times
//! as long, so that those who come again are about as many as can be served. Bases follow what a class can wait for: a
//! verification is asked by a machine that holds a player up; an event can be sent in a minute.
//!
//! Sources: playgate's contract (429 and 503 always with a jittered `Retry-After`); retry storms in "Metastable Failures
//! in Distributed Systems" (HotOS 2021).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    moment::Moment,
    priority::Class,
    problems::{Check, Problems},
};

/// Pauses by class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryAfterConfig {
    /// Events and clicks.
    #[serde(with = "humantime_serde")]
    pub ingest: Duration,
    /// Settings.
    #[serde(with = "humantime_serde")]
    pub settings: Duration,
    /// Logins.
    #[serde(with = "humantime_serde")]
    pub login: Duration,
    /// Refreshes.
    #[serde(with = "humantime_serde")]
    pub refresh: Duration,
    /// Verifications.
    #[serde(with = "humantime_serde")]
    pub verify: Duration,
    /// Pay callbacks. Channels have schedules of their own; few look at this.
    #[serde(with = "humantime_serde")]
    pub pay_callback: Duration,
    /// By which share a pause is lengthened at most, at random.
    pub spread: f64,
    /// How many times a base is lengthened at most as the load grows.
    pub growth: f64,
    /// No pause is longer.
    #[serde(with = "humantime_serde")]
    pub longest: Duration,
}

impl Default for RetryAfterConfig {
    fn default() -> Self {
        Self {
            ingest: Duration::from_secs(5),
            settings: Duration::from_secs(3),
            login: Duration::from_secs(2),
            refresh: Duration::from_secs(1),
            verify: Duration::from_millis(250),
            pay_callback: Duration::from_secs(1),
            spread: 0.5,
            growth: 10.0,
            longest: Duration::from_secs(60),
        }
    }
}

impl Check for RetryAfterConfig {
    fn check(&self, problems: &mut Problems) {
        for class in Class::SHED_ORDER {
            problems.duration(class.name(), self.base(class), Duration::from_millis(1)..=Duration::from_secs(300));
        }
        problems.number("spread", self.spread, 0.0..=10.0);
        problems.number("growth", self.growth, 1.0..=100.0);
        problems.duration("longest", self.longest, Duration::from_millis(1)..=Duration::from_secs(3600));
    }
}

impl RetryAfterConfig {
    /// The pause of a class while there is no more load than can be served.
    pub fn base(&self, class: Class) -> Duration {
        match class {
            Class::Ingest => self.ingest,
            Class::Settings => self.settings,
            Class::Login => self.login,
            Class::Refresh => self.refresh,
            Class::Verify => self.verify,
            Class::PayCallback => self.pay_callback,
        }
    }

    /// The pause to tell now. `load` is that of [`LoadEstimate`], `fraction` a random number of `0.0..1.0`.
    pub fn pause(&self, class: Class, load: f64, fraction: f64) -> Duration {
        let times = load.max(1.0).min(self.growth) * (1.0 + self.spread * fraction.clamp(0.0, 1.0));
        self.base(class).mul_f64(times).min(self.longest)
    }

    /// The pause for who has used up a limit: when that says, spread so that those who were refused together do not
    /// come back together, and never earlier than it says.
    pub fn pause_of_limit(&self, retry_after: Duration, fraction: f64) -> Duration {
        let spread = retry_after.mul_f64(self.spread * fraction.clamp(0.0, 1.0)).min(self.longest);
        retry_after.saturating_add(spread)
    }
}

/// How many times more comes than is let in: a mean of about ten seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadEstimate {
    came: f64,
    admitted: f64,
    at: Moment,
}

impl LoadEstimate {
    /// After which time what came counts by 1/e.
    const MEMORY_S: f64 = 10.0;

    /// Counts requests since the last call: all that came, and those that were let in.
    pub fn count(&mut self, now: Moment, came: u32, admitted: u32) {
        let stays = (-now.since(self.at).as_secs_f64() / Self::MEMORY_S).exp();
        self.came = self.came * stays + f64::from(came);
        self.admitted = self.admitted * stays + f64::from(admitted.min(came));
        self.at = now;
    }

    /// 1: all are let in. 5: one of five.
    pub fn load(&self) -> f64 {
        // As if one more had come and been let in: nothing is divided by zero, and little means little.
        (self.came + 1.0) / (self.admitted + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_pause_grows_with_the_load_up_to_its_bounds() {
        let config = RetryAfterConfig::default();
        let pause = |class, load, fraction| config.pause(class, load, fraction).as_millis();
        assert_eq!(pause(Class::Verify, 0.3, 0.0), 250);
        assert_eq!(pause(Class::Verify, 5.0, 0.0), 1250);
        assert_eq!(pause(Class::Verify, 5.0, 1.0), 1875);
        assert_eq!(pause(Class::Login, 1e9, 0.0), 20_000);
        assert_eq!(pause(Class::Ingest, 1e9, 1.0), 60_000);
        assert_eq!(pause(Class::Verify, f64::NAN, 0.0), 250);
    }

    #[test]
    fn who_matters_more_is_told_to_come_back_sooner() {
        let config = RetryAfterConfig::default();
        let bases: Vec<_> = Class::SHED_ORDER[..5].iter().map(|class| config.base(*class)).collect();
        assert!(bases.windows(2).all(|pair| pair[0] > pair[1]), "{bases:?}");
    }

    #[test]
    fn the_load_is_what_came_by_what_was_let_in() {
        let mut load = LoadEstimate::default();
        assert!((load.load() - 1.0).abs() < f64::EPSILON);
        for second in 1..=60 {
            load.count(Moment::START + Duration::from_secs(second), 5000, 1000);
        }
        assert!((load.load() - 5.0).abs() < 0.01, "{}", load.load());
        for second in 61..=120 {
            load.count(Moment::START + Duration::from_secs(second), 1000, 1000);
        }
        assert!(load.load() < 1.05, "{}", load.load());
    }

    proptest! {
        #[test]
        fn nobody_is_told_to_come_before_a_limit_lets_them_in(ms in 0_u64..100_000, fraction in 0.0_f64..1.0) {
            let told = Duration::from_millis(ms);
            prop_assert!(RetryAfterConfig::default().pause_of_limit(told, fraction) >= told);
        }
    }
}

//! The section `lifecycle`: how long each step of an end may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{Environment, Invalid, Section};

/// `drain_delay` in production when none is chosen: discovery and load balancers need a second or two to look away.
pub const PRODUCTION_DRAIN_DELAY: Duration = Duration::from_secs(5);

/// `drain_delay` in development when none is chosen: nobody has to look away from a laptop.
pub const DEVELOPMENT_DRAIN_DELAY: Duration = Duration::ZERO;

/// More than any orchestrator waits; a longer time is a slip of the unit.
const LONGEST: Duration = Duration::from_secs(3600);

/// How a process ends. The orchestrator's grace period (Kubernetes: `terminationGracePeriodSeconds`) has to be longer
/// than the sum of the three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LifecycleConfig {
    /// How long the process goes on serving, no longer ready, after the first signal. Protects requests of callers
    /// that have not yet learnt that it leaves. Absent: 5 s in production, none in development.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Option<Duration>,
    /// How long requests in flight may take to finish after that. Beyond it they are cut off.
    #[serde(with = "humantime_serde")]
    pub drain_timeout: Duration,
    /// How long each flush (logs, buffers) may take at the very end. Beyond it what is left is lost.
    #[serde(with = "humantime_serde")]
    pub flush_timeout: Duration,
}

/// The times of one process, with nothing left open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the first signal until nothing new is accepted.
    pub drain_delay: Duration,
    /// From then until what is in flight is cut off.
    pub drain_timeout: Duration,
    /// For each flush.
    pub flush_timeout: Duration,
}

impl LifecycleConfig {
    /// The times that hold in `environment`.
    pub fn timing(&self, environment: Environment) -> Timing {
        let drain_delay = self.drain_delay.unwrap_or(match environment {
            Environment::Development => DEVELOPMENT_DRAIN_DELAY,
            Environment::Production => PRODUCTION_DRAIN_DELAY,
        });
        Timing { drain_delay, drain_timeout: self.drain_timeout, flush_timeout: self.flush_timeout }
    }
}

impl Default for LifecycleConfig {
    fn default() -> Self {
        Self { drain_delay: None, drain_timeout: Duration::from_secs(25), flush_timeout: Duration::from_secs(2) }
    }
}

impl Section for LifecycleConfig {
    const NAME: &'static str = "lifecycle";

    fn validate(&self) -> Result<(), Invalid> {
        let times = [
            ("drain_delay", self.drain_delay.unwrap_or_default()),
            ("drain_timeout", self.drain_timeout),
            ("flush_timeout", self.flush_timeout),
        ];
        match times.into_iter().find(|(_, time)| *time > LONGEST) {
            Some((key, _)) => Err(Invalid::new(key, "at most 1h")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_laptop_ends_at_once_and_production_waits_for_its_callers_unless_told_otherwise() {
        let mut config = LifecycleConfig::default();
        assert_eq!(config.timing(Environment::Development).drain_delay, Duration::ZERO);
        assert_eq!(config.timing(Environment::Production).drain_delay, Duration::from_secs(5));
        config.drain_delay = Some(Duration::from_secs(2));
        assert_eq!(config.timing(Environment::Development).drain_delay, Duration::from_secs(2));
        assert_eq!(config.timing(Environment::Production).drain_delay, Duration::from_secs(2));
    }

    #[test]
    fn a_time_beyond_every_grace_period_is_refused_by_its_key() {
        assert_eq!(LifecycleConfig::default().validate(), Ok(()));
        let config = LifecycleConfig { drain_timeout: LONGEST * 2, ..LifecycleConfig::default() };
        assert_eq!(config.validate().map_err(|invalid| invalid.key), Err("drain_timeout".to_owned()));
    }
}

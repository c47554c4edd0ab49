//! `pay.delivery`.

use std::{num::NonZeroU32, time::Duration};

use common::config::Invalid;
use humantime_serde::Serde;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// How game servers are told of paid orders.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeliveryConfig {
    /// Deliveries under way at once, of one instance. Protects its sockets and the database.
    pub concurrency: NonZeroU32,
    /// Of them those to one app, and never more than half of what the others leave. Protects a game server, and the other
    /// apps from those that hang.
    pub per_app: NonZeroU32,
    /// How long one attempt may take, from the connection to the last byte of the answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The longest answer that is read, in bytes; a longer one is no acknowledgement. Protects memory.
    pub longest_answer: usize,
    /// How long a worker may hold a delivery before another one takes it for dead. Longer than `timeout`, or an order that is
    /// still being sent is sent twice.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How often the outbox is looked into for what has become due, or was left by a worker that died. A payment does not
    /// wait for it.
    #[serde(with = "humantime_serde")]
    pub look_every: Duration,
    /// The pauses after each failure. After the last one the delivery is a dead letter, which somebody has to send again.
    pub schedule: Vec<Serde<Duration>>,
    /// The share of a pause that is added to it at random, so that what failed together does not come back together.
    pub jitter: f64,
    /// Failures of an app in a row after which nothing is sent to it for `pause`; then one delivery finds out whether it
    /// is back. Keeps a dead game from using up attempts and sockets.
    pub failures_before_pause: NonZeroU32,
    /// How long.
    #[serde(with = "humantime_serde")]
    pub pause: Duration,
    /// Networks besides the public internet that deliveries may go to: an operator's own. In development this machine may
    /// be called besides.
    pub allowed_networks: Vec<IpNet>,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        let seconds = |seconds| Serde::from(Duration::from_secs(seconds));
        let (minutes, hours) = (|minutes: u64| seconds(60 * minutes), |hours: u64| seconds(3600 * hours));
        Self {
            concurrency: NonZeroU32::new(64).unwrap_or(NonZeroU32::MIN),
            per_app: NonZeroU32::new(8).unwrap_or(NonZeroU32::MIN),
            timeout: Duration::from_secs(5),
            longest_answer: 64 * 1024,
            lease: Duration::from_secs(30),
            look_every: Duration::from_millis(500),
            schedule: vec![
                seconds(15),
                seconds(15),
                seconds(30),
                minutes(3),
                minutes(10),
                minutes(20),
                minutes(30),
                minutes(30),
                minutes(30),
                minutes(60),
                hours(3),
                hours(3),
                hours(3),
                hours(6),
                hours(6),
            ],
            jitter: 0.1,
            failures_before_pause: NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN),
            pause: Duration::from_secs(10),
            allowed_networks: Vec::new(),
        }
    }
}

impl DeliveryConfig {
    /// The pauses.
    pub(crate) fn pauses(&self) -> Vec<Duration> {
        self.schedule.iter().map(|pause| **pause).collect()
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        for (key, duration) in [("timeout", self.timeout), ("look_every", self.look_every), ("pause", self.pause)] {
            if duration.is_zero() {
                return Err(Invalid::new(format!("delivery.{key}"), "must be longer than zero"));
            }
        }
        if self.lease < self.timeout * 2 {
            return Err(Invalid::new(
                "delivery.lease",
                "must be at least twice `pay.delivery.timeout`, or what is still being sent is sent twice",
            ));
        }
        if self.longest_answer < 16 {
            return Err(Invalid::new("delivery.longest_answer", "must be at least 16 bytes"));
        }
        if self.schedule.is_empty() || self.schedule.len() > 100 {
            return Err(Invalid::new("delivery.schedule", "must have 1-100 pauses"));
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(Invalid::new("delivery.jitter", "must be between 0 and 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: &DeliveryConfig) -> Option<String> {
        config.validate().err().map(|invalid| invalid.key)
    }

    #[test]
    fn the_schedule_is_a_day_and_what_can_not_work_is_refused_by_its_key() {
        let good = DeliveryConfig::default;
        assert_eq!(refused(&good()), None);
        assert_eq!(good().pauses().iter().sum::<Duration>(), Duration::from_secs(24 * 3600 + 4 * 60));
        for (config, key) in [
            (DeliveryConfig { timeout: Duration::from_secs(20), ..good() }, "delivery.lease"),
            (DeliveryConfig { timeout: Duration::ZERO, ..good() }, "delivery.timeout"),
            (DeliveryConfig { schedule: Vec::new(), ..good() }, "delivery.schedule"),
            (DeliveryConfig { jitter: 1.5, ..good() }, "delivery.jitter"),
            (DeliveryConfig { jitter: f64::NAN, ..good() }, "delivery.jitter"),
            (DeliveryConfig { longest_answer: 3, ..good() }, "delivery.longest_answer"),
        ] {
            assert_eq!(refused(&config).as_deref(), Some(key));
        }
    }
}

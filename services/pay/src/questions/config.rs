//! `pay.queries`.

use std::{num::NonZeroU32, time::Duration};

use common::config::Invalid;
use humantime_serde::Serde;
use serde::{Deserialize, Serialize};

use crate::domain::QuestionPlan;

/// When and how payment channels are asked about orders, and for money back. Only channels that have the keys for it are.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueriesConfig {
    /// When an order that is being paid is asked about: after it was made, and then after each question.
    pub pauses: Vec<Serde<Duration>>,
    /// How long before it expires it is asked about once more, whatever the pauses say.
    #[serde(with = "humantime_serde")]
    pub before_expiry: Duration,
    /// How long after it has expired it is asked about for the last time: a payment that was on its way still counts.
    #[serde(with = "humantime_serde")]
    pub after_expiry: Duration,
    /// How long after it has expired a question that keeps failing is given up. Protects channels from old questions.
    #[serde(with = "humantime_serde")]
    pub latest: Duration,
    /// How long an order whose channel could not be asked is kept from expiring. Then it expires all the same; a payment
    /// that turns up later still counts.
    #[serde(with = "humantime_serde")]
    pub give_up_after: Duration,
    /// The pauses after each failed question in a row; the last one for all further ones.
    pub retries: Vec<Serde<Duration>>,
    /// The pauses between two questions about a refund that is under way; the last one for all further ones.
    pub refund_pauses: Vec<Serde<Duration>>,
    /// How often what is due is looked for.
    #[serde(with = "humantime_serde")]
    pub look_every: Duration,
    /// Questions of one look: with `look_every` the rate, of all instances together. Protects channels, which limit it.
    pub per_look: NonZeroU32,
    /// Questions under way at once. Protects sockets and the database.
    pub concurrency: NonZeroU32,
    /// Of them those to one channel of one app. Protects the others from one that hangs.
    pub per_channel: NonZeroU32,
    /// How long an instance may hold a question before another one takes it for dead. Longer than
    /// `pay.channel_calls.timeout`, or what is still being asked is asked twice.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Failures of a channel in a row after which it is not asked for `pause`; then one question finds out whether it is
    /// back.
    pub failures_before_pause: NonZeroU32,
    /// How long.
    #[serde(with = "humantime_serde")]
    pub pause: Duration,
}

impl Default for QueriesConfig {
    fn default() -> Self {
        let seconds = |seconds: &[u64]| seconds.iter().map(|seconds| Duration::from_secs(*seconds).into()).collect();
        let count = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        Self {
            pauses: seconds(&[30, 60, 180, 600, 1800]),
            before_expiry: Duration::from_secs(60),
            after_expiry: Duration::from_secs(30 * 60),
            latest: Duration::from_secs(24 * 3600),
            give_up_after: Duration::from_secs(3600),
            retries: seconds(&[30, 60, 180, 600]),
            refund_pauses: seconds(&[10, 30, 60, 300, 900, 3600]),
            look_every: Duration::from_secs(2),
            per_look: count(100),
            concurrency: count(16),
            per_channel: count(4),
            lease: Duration::from_secs(30),
            failures_before_pause: count(5),
            pause: Duration::from_secs(60),
        }
    }
}

impl QueriesConfig {
    pub(crate) fn plan(&self) -> QuestionPlan {
        let durations = |list: &[Serde<Duration>]| list.iter().map(|pause| **pause).collect();
        QuestionPlan {
            pauses: durations(&self.pauses),
            before_expiry: self.before_expiry,
            after_expiry: self.after_expiry,
            latest: self.latest,
            retries: durations(&self.retries),
            refund_pauses: durations(&self.refund_pauses),
        }
    }

    /// `timeout` is that of a call.
    pub(crate) fn validate(&self, timeout: Duration) -> Result<(), Invalid> {
        for (key, duration) in [("look_every", self.look_every), ("pause", self.pause)] {
            if duration.is_zero() {
                return Err(Invalid::new(format!("queries.{key}"), "must be longer than zero"));
            }
        }
        if self.lease < timeout * 2 {
            return Err(Invalid::new(
                "queries.lease",
                "must be at least twice `pay.channel_calls.timeout`, or what is still being asked is asked twice",
            ));
        }
        if self.pauses.len() > 100 {
            return Err(Invalid::new("queries.pauses", "must have at most 100 pauses"));
        }
        for (key, pauses) in [("retries", &self.retries), ("refund_pauses", &self.refund_pauses)] {
            if !(1..=100).contains(&pauses.len()) || pauses.iter().any(|pause| pause.is_zero()) {
                return Err(Invalid::new(format!("queries.{key}"), "must have 1-100 pauses, all longer than zero"));
            }
        }
        if self.latest < self.after_expiry {
            return Err(Invalid::new("queries.latest", "must not be shorter than `pay.queries.after_expiry`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_work_is_refused_by_its_key() {
        let refused = |config: QueriesConfig| config.validate(Duration::from_secs(5)).err().map(|invalid| invalid.key);
        let good = QueriesConfig::default;
        assert_eq!(refused(good()), None);
        let zero = || Serde::from(Duration::ZERO);
        for (config, key) in [
            (QueriesConfig { look_every: Duration::ZERO, ..good() }, "queries.look_every"),
            (QueriesConfig { pause: Duration::ZERO, ..good() }, "queries.pause"),
            (QueriesConfig { lease: Duration::from_secs(9), ..good() }, "queries.lease"),
            (QueriesConfig { retries: Vec::new(), ..good() }, "queries.retries"),
            (QueriesConfig { refund_pauses: vec![zero()], ..good() }, "queries.refund_pauses"),
            (QueriesConfig { pauses: vec![zero(); 101], ..good() }, "queries.pauses"),
            (QueriesConfig { latest: Duration::from_secs(60), ..good() }, "queries.latest"),
        ] {
            assert_eq!(refused(config).as_deref(), Some(key));
        }
    }
}

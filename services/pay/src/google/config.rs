//! `pay.google`.

use std::{num::NonZeroU32, time::Duration};

use common::config::Invalid;
use serde::{Deserialize, Serialize};

/// How Google's interfaces are used. Where they are is in the configuration of each channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GoogleConfig {
    /// The keys that pushes are signed with are fetched again after this time at most, however long Google allows them to
    /// be kept: how long a key that was withdrawn may still count. At least a minute.
    #[serde(with = "humantime_serde")]
    pub keys_fresh_max: Duration,
    /// They are used for this long while they can't be fetched again. Then pushes are told to come later.
    #[serde(with = "humantime_serde")]
    pub keys_stale_max: Duration,
    /// The time between two fetches at least, whoever asks for a key that is not known. Protects Google from forged pushes,
    /// and us from calling for each of them.
    #[serde(with = "humantime_serde")]
    pub keys_refetch_after: Duration,
    /// How Google is told of purchases whose order is paid.
    pub acknowledge: AcknowledgeConfig,
}

/// Google gives the money back for purchases that nobody has acknowledged after three days.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcknowledgeConfig {
    /// How often every instance looks for what is to be acknowledged.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Acknowledgements of one instance that are under way at once. Protects Google's quota and our sockets.
    pub batch: NonZeroU32,
    /// How long an instance may be at one before another one takes it for dead. At least eight times
    /// `pay.channel_calls.timeout`: one acknowledgement is several calls.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// The pause after the first failure; each further one is twice as long.
    #[serde(with = "humantime_serde")]
    pub first_pause: Duration,
    /// The longest pause.
    #[serde(with = "humantime_serde")]
    pub longest_pause: Duration,
    /// After this time it is given up: Google has given the money back.
    #[serde(with = "humantime_serde")]
    pub give_up_after: Duration,
}

impl Default for GoogleConfig {
    fn default() -> Self {
        Self {
            keys_fresh_max: Duration::from_secs(6 * 3600),
            keys_stale_max: Duration::from_secs(24 * 3600),
            keys_refetch_after: Duration::from_secs(10),
            acknowledge: AcknowledgeConfig::default(),
        }
    }
}

impl Default for AcknowledgeConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(5),
            batch: NonZeroU32::new(16).unwrap_or(NonZeroU32::MIN),
            lease: Duration::from_secs(60),
            first_pause: Duration::from_secs(10),
            longest_pause: Duration::from_secs(3600),
            give_up_after: Duration::from_secs(3 * 24 * 3600),
        }
    }
}

impl GoogleConfig {
    /// `call`: how long one call may take.
    pub(crate) fn validate(&self, call: Duration) -> Result<(), Invalid> {
        let acknowledge = &self.acknowledge;
        for (key, duration) in [
            ("keys_stale_max", self.keys_stale_max),
            ("keys_refetch_after", self.keys_refetch_after),
            ("acknowledge.every", acknowledge.every),
            ("acknowledge.first_pause", acknowledge.first_pause),
            ("acknowledge.longest_pause", acknowledge.longest_pause),
            ("acknowledge.give_up_after", acknowledge.give_up_after),
        ] {
            if duration.is_zero() {
                return Err(Invalid::new(format!("google.{key}"), "must be longer than zero"));
            }
        }
        if self.keys_fresh_max < Duration::from_secs(60) {
            return Err(Invalid::new("google.keys_fresh_max", "must be at least a minute"));
        }
        if acknowledge.lease < call * 8 {
            return Err(Invalid::new(
                "google.acknowledge.lease",
                "must be at least eight times `pay.channel_calls.timeout`, or what is under way is done twice",
            ));
        }
        Ok(())
    }
}

impl AcknowledgeConfig {
    /// The pause after the failure number `failed` (from 1).
    pub(super) fn pause(&self, failed: u32) -> Duration {
        let doublings = failed.saturating_sub(1).min(31);
        self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_work_is_refused_by_its_key() {
        let call = Duration::from_secs(5);
        let refused = |config: GoogleConfig| config.validate(call).err().map(|invalid| invalid.key);
        let (good, acknowledge) = (GoogleConfig::default, AcknowledgeConfig::default);
        assert_eq!(refused(good()), None);
        let with = |acknowledge| GoogleConfig { acknowledge, ..good() };
        for (config, key) in [
            (GoogleConfig { keys_fresh_max: Duration::from_secs(59), ..good() }, "google.keys_fresh_max"),
            (GoogleConfig { keys_refetch_after: Duration::ZERO, ..good() }, "google.keys_refetch_after"),
            (with(AcknowledgeConfig { every: Duration::ZERO, ..acknowledge() }), "google.acknowledge.every"),
            (with(AcknowledgeConfig { lease: call * 7, ..acknowledge() }), "google.acknowledge.lease"),
        ] {
            assert_eq!(refused(config).as_deref(), Some(key));
        }
    }

    #[test]
    fn pauses_double_and_end() {
        let config = AcknowledgeConfig::default();
        let pauses: Vec<u64> = [1, 2, 3, 9, 10, 11, 4_000_000_000].map(|failed| config.pause(failed).as_secs()).into();
        assert_eq!(pauses, [10, 20, 40, 2560, 3600, 3600, 3600]);
    }
}

//! `account.channels`: what asking a channel may cost.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use common::config::Invalid;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Channels: stores and platforms that say who a player is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelsConfig {
    /// How long a channel may take to answer. Has to be shorter than `rpc.timeout`, or the player is told of a
    /// deadline instead of a channel that is slow.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Bytes of a channel's answer. Protects memory.
    pub longest_answer: usize,
    /// Questions to one channel of one app at once. Beyond it players are told to come back. Protects the others from a
    /// channel that is slow.
    pub concurrency: NonZeroUsize,
    /// Questions in a row without an answer after which a channel is not asked for a while.
    pub breaker_failures: NonZeroU32,
    /// For how long it is not asked then; after it one question tries.
    #[serde(with = "humantime_serde")]
    pub breaker_pause: Duration,
    /// Networks that channels may lie in besides the public internet, such as `10.8.0.0/16`. Anything else that is private
    /// is never called: a channel's URL is written by operators of apps. In development this machine may be called, too.
    pub allowed_networks: Vec<IpNet>,
    /// An issuer's keys are fetched again after this time at most, however long the issuer allows them to be kept: how long
    /// a key that the issuer has withdrawn may still count. At least a minute.
    #[serde(with = "humantime_serde")]
    pub keys_fresh_max: Duration,
    /// An issuer's keys are used for this long while they can't be fetched again.
    #[serde(with = "humantime_serde")]
    pub keys_stale_max: Duration,
    /// The time between two fetches of an issuer's keys at least, whoever asks for a key that is not known. Protects the
    /// issuer from forged tokens.
    #[serde(with = "humantime_serde")]
    pub keys_refetch_after: Duration,
    /// Identities of channels that one account may have in one app. Protects the table.
    pub per_account: NonZeroU32,
    /// Channels that one app may have. Protects every instance's memory.
    pub per_app: NonZeroU32,
}

impl Default for ChannelsConfig {
    fn default() -> Self {
        let number = |number: u32| NonZeroU32::MIN.saturating_add(number - 1);
        Self {
            timeout: Duration::from_millis(1500),
            longest_answer: 64 * 1024,
            concurrency: NonZeroUsize::MIN.saturating_add(31),
            breaker_failures: number(5),
            breaker_pause: Duration::from_secs(5),
            allowed_networks: Vec::new(),
            keys_fresh_max: Duration::from_secs(3600),
            keys_stale_max: Duration::from_secs(24 * 3600),
            keys_refetch_after: Duration::from_secs(10),
            per_account: number(8),
            per_app: number(100),
        }
    }
}

impl ChannelsConfig {
    /// What a valid value of each key can't promise by itself.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let at_least = [
            ("channels.timeout", self.timeout, Duration::from_millis(10)),
            ("channels.breaker_pause", self.breaker_pause, Duration::from_millis(10)),
            ("channels.keys_fresh_max", self.keys_fresh_max, Duration::from_secs(60)),
            ("channels.keys_refetch_after", self.keys_refetch_after, Duration::from_millis(100)),
        ];
        for (key, value, least) in at_least {
            if value < least {
                return Err(Invalid::new(key, format!("must be at least {least:?}")));
            }
        }
        if self.longest_answer < 1024 {
            return Err(Invalid::new("channels.longest_answer", "must be at least 1024"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_work_is_refused_by_its_key() {
        assert_eq!(ChannelsConfig::default().validate(), Ok(()));
        let check = |change: fn(&mut ChannelsConfig), key: &str| {
            let mut config = ChannelsConfig::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        };
        check(|config| config.timeout = Duration::ZERO, "channels.timeout");
        check(|config| config.breaker_pause = Duration::ZERO, "channels.breaker_pause");
        check(|config| config.keys_fresh_max = Duration::from_secs(59), "channels.keys_fresh_max");
        check(|config| config.keys_refetch_after = Duration::ZERO, "channels.keys_refetch_after");
        check(|config| config.longest_answer = 1023, "channels.longest_answer");
    }
}

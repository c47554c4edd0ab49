//! The section `gateway.settings`.

use std::time::Duration;

use common::config::Invalid;
use serde::{Deserialize, Serialize};

/// Below this the follower is load without use: the setting service looks into its store far less often.
const SHORTEST_FOLLOW: Duration = Duration::from_millis(10);

/// The gateway's copy of the settings it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsConfig {
    /// Bytes of memory that answers may take. Beyond it the least used are asked for again; protects memory. An app whose
    /// settings depend on the account has an answer for every player, so think of players times size.
    pub cache_bytes_max: u64,
    /// Apps of which is remembered at which revision they are, about 300 bytes each. Beyond it the least used are asked
    /// about again; protects memory, and the setting service from being asked about apps that nobody has.
    pub apps_max: u64,
    /// How long an answer is used without hearing that its revision is still the app's. A gateway that can't hear answers
    /// from its copy only after trying to ask.
    #[serde(with = "humantime_serde")]
    pub fresh_for: Duration,
    /// How often the setting service is asked for the revisions of the apps that were asked for lately. What is published
    /// is answered everywhere after this and a little.
    #[serde(with = "humantime_serde")]
    pub follow_every: Duration,
    /// How long after it was last asked for an app is still followed. The first question after that costs a call.
    #[serde(with = "humantime_serde")]
    pub follow_for: Duration,
    /// How long an answer is used while the setting service can't be asked. Longer bridges longer outages; and for this
    /// long players may see settings that somebody has replaced. A maintenance that has an end ends on time all the same.
    #[serde(with = "humantime_serde")]
    pub stale_usable_for: Duration,
}

impl Default for SettingsConfig {
    fn default() -> Self {
        Self {
            cache_bytes_max: 64 * 1024 * 1024,
            apps_max: 10_000,
            fresh_for: Duration::from_secs(1),
            follow_every: Duration::from_millis(250),
            follow_for: Duration::from_secs(60),
            stale_usable_for: Duration::from_secs(3600),
        }
    }
}

impl SettingsConfig {
    /// Refuses values that can't work, by their keys.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        if self.cache_bytes_max == 0 {
            return Err(Invalid::new("settings.cache_bytes_max", "must be at least 1"));
        }
        if self.apps_max == 0 {
            return Err(Invalid::new("settings.apps_max", "must be at least 1"));
        }
        if self.follow_every < SHORTEST_FOLLOW {
            return Err(Invalid::new("settings.follow_every", "must be at least 10ms"));
        }
        if self.fresh_for < self.follow_every * 2 {
            return Err(Invalid::new(
                "settings.fresh_for",
                "must be at least twice `gateway.settings.follow_every`, or answers are old between two looks",
            ));
        }
        if self.follow_for < self.fresh_for {
            return Err(Invalid::new("settings.follow_for", "must not be shorter than `gateway.settings.fresh_for`"));
        }
        if self.stale_usable_for < self.fresh_for {
            return Err(Invalid::new(
                "settings.stale_usable_for",
                "must not be shorter than `gateway.settings.fresh_for`",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_work_is_refused_by_its_key() {
        assert_eq!(SettingsConfig::default().validate(), Ok(()));
        let check = |change: fn(&mut SettingsConfig), key: &str| {
            let mut config = SettingsConfig::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(format!("settings.{key}")));
        };
        check(|config| config.cache_bytes_max = 0, "cache_bytes_max");
        check(|config| config.apps_max = 0, "apps_max");
        check(|config| config.follow_every = Duration::ZERO, "follow_every");
        check(|config| config.fresh_for = config.follow_every, "fresh_for");
        check(|config| config.follow_for = Duration::ZERO, "follow_for");
        check(|config| config.stale_usable_for = Duration::ZERO, "stale_usable_for");
    }
}

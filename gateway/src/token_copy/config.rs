//! The section `gateway.fallback`.

use std::{path::PathBuf, time::Duration};

use common::{
    config::{Invalid, Secret},
    token::master_key::MasterKey,
};
use serde::{Deserialize, Serialize};

/// Below this a poll is load without use: account reads the feed twice a second.
const SHORTEST_POLL: Duration = Duration::from_millis(10);

/// The copy of key ring and revocations that answers while account can't.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FallbackConfig {
    /// `account.master_key`: opens the copy of the key ring. Absent: `serve gateway` has no copy, and a verify that account
    /// can't answer is 503. `serve all` has account's key and needs none here. A gateway that has it could make tokens.
    pub master_key: Option<Secret>,
    /// A file with the digits, as secrets are mounted, instead of `master_key`; white space around them is ignored. Read at the
    /// start only.
    pub master_key_file: Option<PathBuf>,
    /// How often account is asked for new revocations. A revocation made less than this before account is lost is not in
    /// the copy.
    #[serde(with = "humantime_serde")]
    pub poll_interval: Duration,
    /// How old the copy may be. Longer bridges longer losses of account; and for this long a token that was signed out
    /// through an account this gateway could not reach still passes here.
    #[serde(with = "humantime_serde")]
    pub max_staleness: Duration,
    /// Revocations the copy may hold, about 100 bytes each; protects memory. Beyond it there is no copy, because one that
    /// has forgotten some would call revoked tokens good.
    pub max_entries: usize,
}

impl Default for FallbackConfig {
    fn default() -> Self {
        Self {
            master_key: None,
            master_key_file: None,
            poll_interval: Duration::from_millis(250),
            max_staleness: Duration::from_secs(60),
            max_entries: 1_000_000,
        }
    }
}

impl FallbackConfig {
    /// Refuses values that can't work, by their keys.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        if self.master_key.as_ref().is_some_and(|key| MasterKey::parse(key.expose()).is_err()) {
            return Err(Invalid::new("fallback.master_key", "must be 64 hexadecimal digits"));
        }
        if self.poll_interval < SHORTEST_POLL {
            return Err(Invalid::new("fallback.poll_interval", "must be at least 10ms"));
        }
        if self.max_staleness < self.poll_interval * 2 {
            return Err(Invalid::new(
                "fallback.max_staleness",
                "must be at least twice `gateway.fallback.poll_interval`, or the copy is too old between two polls",
            ));
        }
        if self.max_entries == 0 {
            return Err(Invalid::new("fallback.max_entries", "must be at least 1"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_work_is_refused_by_its_key() {
        assert_eq!(FallbackConfig::default().validate(), Ok(()));
        let check = |change: fn(&mut FallbackConfig), key: &str| {
            let mut config = FallbackConfig::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        };
        check(|config| config.master_key = Some(Secret::new("abc")), "fallback.master_key");
        check(|config| config.poll_interval = Duration::ZERO, "fallback.poll_interval");
        check(|config| config.max_staleness = config.poll_interval, "fallback.max_staleness");
        check(|config| config.max_entries = 0, "fallback.max_entries");
    }

    #[test]
    fn the_master_key_never_prints() {
        let config = FallbackConfig { master_key: Some(Secret::new("ab".repeat(32))), ..FallbackConfig::default() };
        assert_eq!(config.validate(), Ok(()));
        assert!(!format!("{config:?}").contains("abab"));
    }
}

//! The section `account.deletion`.

use std::time::Duration;

use common::config::Invalid;
use serde::{Deserialize, Serialize};

use super::at_least;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Less, and a stranger with a stolen phone has deleted the account before its player notices.
const SHORTEST_COOLING_OFF: Duration = DAY.saturating_mul(7);

/// Longer than a month is no answer to somebody who wants to be forgotten.
const LONGEST_COOLING_OFF: Duration = DAY.saturating_mul(30);

/// Deleting accounts whose players asked for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeletionConfig {
    /// How long a player can think better of it, 7 to 30 days. A change does not move deletions that are pending.
    #[serde(with = "humantime_serde")]
    pub cooling_off: Duration,
    /// How often accounts whose time has come are deleted.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Accounts that one run deletes at most. Protects other writers when many are due at once.
    pub batch: u32,
    /// An account whose deletion failed is tried again after this time. Protects those that come after it.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
}

impl Default for DeletionConfig {
    fn default() -> Self {
        Self {
            cooling_off: DAY * 15,
            every: Duration::from_secs(60),
            batch: 100,
            retry_after: Duration::from_secs(3600),
        }
    }
}

impl DeletionConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        if !(SHORTEST_COOLING_OFF..=LONGEST_COOLING_OFF).contains(&self.cooling_off) {
            return Err(Invalid::new("deletion.cooling_off", "must be between 7 and 30 days"));
        }
        at_least("deletion.every", self.every, Duration::from_millis(10))?;
        if self.batch == 0 {
            return Err(Invalid::new("deletion.batch", "must be at least 1"));
        }
        at_least("deletion.retry_after", self.retry_after, Duration::from_secs(1))
    }
}

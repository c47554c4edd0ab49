//! The section `account.cleanup`.

use std::time::Duration;

use common::config::Invalid;
use serde::{Deserialize, Serialize};

use super::{TokenConfig, at_least};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Clearing away rows that no longer matter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CleanupConfig {
    /// How often rows are deleted, by whichever replica comes first.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Rows per batch, each of which is a transaction. Protects other writers from waiting behind a long deletion.
    pub batch: u32,
    /// A run deletes batch after batch while there is a whole one, up to this time; then the next run goes on. Protects
    /// the database from doing nothing else after a wave of sign-ins has come to its end.
    #[serde(with = "humantime_serde")]
    pub longest_run: Duration,
    /// How long a session that has ended is kept, so that its owner is still told how it ended.
    #[serde(with = "humantime_serde")]
    pub keep_ended_sessions: Duration,
    /// How long the ban of an account, a device or a network is kept after it has run out or was lifted, for operators to
    /// look at; the audit keeps what they did. At least twice `tokens.access_ttl_max`: until then the ban of an account is
    /// told to who verifies tokens.
    #[serde(with = "humantime_serde")]
    pub keep_ended_bans: Duration,
    /// How long an import that stopped in the middle can be resumed.
    #[serde(with = "humantime_serde")]
    pub keep_imports: Duration,
}

impl Default for CleanupConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(10),
            batch: 1000,
            longest_run: Duration::from_secs(5),
            keep_ended_sessions: DAY * 7,
            keep_ended_bans: DAY * 365,
            keep_imports: DAY * 30,
        }
    }
}

impl CleanupConfig {
    pub(super) fn validate(&self, tokens: &TokenConfig) -> Result<(), Invalid> {
        at_least("cleanup.every", self.every, Duration::from_millis(10))?;
        if self.batch == 0 {
            return Err(Invalid::new("cleanup.batch", "must be at least 1"));
        }
        if self.keep_ended_bans < tokens.access_ttl_max * 2 {
            return Err(Invalid::new("cleanup.keep_ended_bans", "must be at least twice tokens.access_ttl_max"));
        }
        at_least("cleanup.keep_imports", self.keep_imports, DAY)
    }
}

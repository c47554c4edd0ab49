//! The section `account.history`.

use std::{num::NonZeroUsize, time::Duration};

use common::config::Invalid;
use serde::{Deserialize, Serialize};

use crate::config::at_least;

/// What is remembered of what happened to accounts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HistoryConfig {
    /// How long an event is kept. At least a day.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Events that may wait to be written. Protects memory while the database is slow or away; what finds no room is
    /// counted and lost, and no request waits for it.
    pub queue: NonZeroUsize,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { keep: Duration::from_secs(180 * 24 * 3600), queue: NonZeroUsize::MIN.saturating_add(16_383) }
    }
}

impl HistoryConfig {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        at_least("history.keep", self.keep, Duration::from_secs(24 * 3600))
    }
}

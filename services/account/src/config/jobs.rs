//! The section `account.jobs`.

use std::time::Duration;

use common::config::Invalid;
use serde::{Deserialize, Serialize};

use super::at_least;

/// What one replica at a time does for all of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobConfig {
    /// How long a replica that has died keeps others from going on with its job; every step prolongs it. Longer than any
    /// difference between the replicas' clocks and than `sql.statement_timeout`. At least 5 s.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
}

impl Default for JobConfig {
    fn default() -> Self {
        Self { lease: Duration::from_secs(60) }
    }
}

impl JobConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        at_least("jobs.lease", self.lease, Duration::from_secs(5))
    }
}

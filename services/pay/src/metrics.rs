//! What the service counts.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::store::{PostError, Posted};

/// Postings, by what became of them.
#[derive(Debug)]
pub(crate) struct Metrics {
    posted: IntCounter,
    repeated: IntCounter,
    refused: IntCounter,
    failed: IntCounter,
}

impl Metrics {
    /// Makes and registers them; fails when the name is taken.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let postings = IntCounterVec::new(
            Opts::new("playgate_pay_postings_total", "Postings to the ledger, by what became of them."),
            &["outcome"],
        )?;
        registry.register(Box::new(postings.clone()))?;
        Ok(Self {
            posted: postings.with_label_values(&["posted"]),
            repeated: postings.with_label_values(&["repeated"]),
            refused: postings.with_label_values(&["refused"]),
            failed: postings.with_label_values(&["failed"]),
        })
    }

    /// Counts one posting.
    pub(crate) fn count(&self, outcome: &Result<Posted, PostError>) {
        match outcome {
            Ok(Posted { repeated: false, .. }) => self.posted.inc(),
            Ok(Posted { repeated: true, .. }) => self.repeated.inc(),
            Err(PostError::Overdrawn { .. } | PostError::KeyReused) => self.refused.inc(),
            Err(PostError::Raced | PostError::Ledger(_)) => self.failed.inc(),
        }
    }
}

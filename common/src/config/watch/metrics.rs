//! What is measured of documents.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The collectors of all documents of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct WatchMetrics {
    refused: IntCounterVec,
    in_force: IntGaugeVec,
}

/// The collectors of one document.
#[derive(Debug)]
pub(super) struct DocumentMetrics {
    pub(super) refused: IntCounter,
    pub(super) in_force: IntGauge,
}

impl WatchMetrics {
    /// Registers the collectors. Fails only when they were registered before.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            refused: IntCounterVec::new(
                Opts::new("playgate_config_documents_refused_total", "Documents that were refused as a whole."),
                &["document"],
            )?,
            in_force: IntGaugeVec::new(
                Opts::new(
                    "playgate_config_document_in_force",
                    "Whether the document as it was last read holds (1), or an earlier one or the configuration (0).",
                ),
                &["document"],
            )?,
        };
        registry.register(Box::new(metrics.refused.clone()))?;
        registry.register(Box::new(metrics.in_force.clone()))?;
        Ok(metrics)
    }

    pub(super) fn of(&self, document: &str) -> DocumentMetrics {
        DocumentMetrics {
            refused: self.refused.with_label_values(&[document]),
            in_force: self.in_force.with_label_values(&[document]),
        }
    }
}

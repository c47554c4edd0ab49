//! What is measured of the lists that discovery hands out.

use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

/// The gauges of a process's discovery. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DiscoveryMetrics {
    instances: IntGaugeVec,
    refreshed: IntGaugeVec,
}

/// The gauges of one service.
#[derive(Debug)]
pub(super) struct FeedMetrics {
    pub(super) instances: IntGauge,
    pub(super) refreshed: IntGauge,
}

impl DiscoveryMetrics {
    /// Registers the gauges. Fails only when they were registered before.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            instances: IntGaugeVec::new(
                Opts::new("playgate_discovery_instances", "Instances of a service that may get calls."),
                &["service"],
            )?,
            refreshed: IntGaugeVec::new(
                Opts::new(
                    "playgate_discovery_refreshed_timestamp_seconds",
                    "When the list of a service was last confirmed by whoever knows; 0: never in this run. `time() - x` is its age.",
                ),
                &["service"],
            )?,
        };
        registry.register(Box::new(metrics.instances.clone()))?;
        registry.register(Box::new(metrics.refreshed.clone()))?;
        Ok(metrics)
    }

    pub(super) fn of(&self, service: &str) -> FeedMetrics {
        FeedMetrics {
            instances: self.instances.with_label_values(&[service]),
            refreshed: self.refreshed.with_label_values(&[service]),
        }
    }
}

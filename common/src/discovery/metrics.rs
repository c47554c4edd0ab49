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
                    "When the list of a service was last confirmed by whoever knows, in this run or in the one it was kept from; 0: never. `time() - x` is its age.",
                ),
                &["service"],
            )?,
        };
        registry.register(Box::new(metrics.instances.clone()))?;
        registry.register(Box::new(metrics.refreshed.clone()))?;
        Ok(metrics)
    }

    /// The gauge of a service whose list was made by whoever configured it, and is confirmed by nobody.
    pub(super) fn instances(&self, service: &str) -> IntGauge {
        self.instances.with_label_values(&[service])
    }

    pub(super) fn of(&self, service: &str) -> FeedMetrics {
        FeedMetrics { instances: self.instances(service), refreshed: self.refreshed.with_label_values(&[service]) }
    }
}

//! What is measured of the connection to Nacos.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The collectors of a process's Nacos client.
#[derive(Clone, Debug)]
pub(super) struct NacosMetrics {
    pub(super) connected: IntGaugeVec,
    pub(super) failures: IntCounterVec,
    pub(super) registered: IntGaugeVec,
}

impl NacosMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name, help, label| IntGaugeVec::new(Opts::new(name, help), &[label]);
        let metrics = Self {
            connected: gauge(
                "playgate_nacos_connected",
                "Whether Nacos answered the last question (1) or not (0); by api: naming, config.",
                "api",
            )?,
            failures: IntCounterVec::new(
                Opts::new("playgate_nacos_failures_total", "Questions that Nacos did not answer in time or at all."),
                &["api"],
            )?,
            registered: gauge(
                "playgate_nacos_registered",
                "Whether this process was listed as an instance of the service when it last looked.",
                "service",
            )?,
        };
        registry.register(Box::new(metrics.connected.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.registered.clone()))?;
        Ok(metrics)
    }

    pub(super) fn registered(&self, service: &str) -> IntGauge {
        self.registered.with_label_values(&[service])
    }
}

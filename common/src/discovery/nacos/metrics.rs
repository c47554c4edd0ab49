//! What is measured of the connection to Nacos.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The collectors of a process's Nacos client.
#[derive(Clone, Debug)]
pub(super) struct NacosMetrics {
    connected: IntGaugeVec,
    failures: IntCounterVec,
    registered: IntGaugeVec,
}

/// The collectors of one half of Nacos.
#[derive(Debug)]
pub(super) struct ApiMetrics {
    pub(super) connected: IntGauge,
    pub(super) failures: IntCounter,
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

    pub(super) fn api(&self, api: &str) -> ApiMetrics {
        ApiMetrics {
            connected: self.connected.with_label_values(&[api]),
            failures: self.failures.with_label_values(&[api]),
        }
    }

    pub(super) fn registered(&self, service: &str) -> IntGauge {
        self.registered.with_label_values(&[service])
    }
}

//! What shipping counts. The label `source` is the name of a store, of which a process has a few.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    core::Collector,
};

use crate::broker::Failure;

/// Seconds until a request is acknowledged: a millisecond beside the broker, seconds when replicas are slow.
const REQUEST_BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// The collectors of all shippers of a process. Clones are the same collectors.
#[derive(Clone, Debug)]
pub struct ShipperMetrics {
    records: IntCounterVec,
    bytes: IntCounterVec,
    damaged_lines: IntCounterVec,
    failures: IntCounterVec,
    request_seconds: HistogramVec,
    lag_bytes: IntGaugeVec,
    lag_events: IntGaugeVec,
    lag_seconds: IntGaugeVec,
    is_behind: IntGaugeVec,
    last_success: IntGaugeVec,
}

/// Those of one shipper.
#[derive(Debug)]
pub(crate) struct OfSource {
    pub(crate) records: IntCounter,
    pub(crate) bytes: IntCounter,
    pub(crate) damaged_lines: IntCounter,
    failures: Vec<(&'static str, IntCounter)>,
    pub(crate) request_seconds: Histogram,
    pub(crate) lag_bytes: IntGauge,
    pub(crate) lag_events: IntGauge,
    pub(crate) lag_seconds: IntGauge,
    pub(crate) is_behind: IntGauge,
    pub(crate) last_success: IntGauge,
}

impl ShipperMetrics {
    /// Makes and registers them.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauge =
            |name: &str, help: &str| registered(registry, IntGaugeVec::new(Opts::new(name, help), &["source"])?);
        let seconds = HistogramOpts::new(
            "playgate_shipper_request_seconds",
            "Time from sending records until all in-sync replicas have them.",
        );
        Ok(Self {
            records: counter("playgate_shipper_records_total", "Events that brokers acknowledged.", &["source"])?,
            bytes: counter("playgate_shipper_bytes_total", "Bytes of these events' lines.", &["source"])?,
            damaged_lines: counter(
                "playgate_shipper_damaged_lines_total",
                "Lines of segments that are damaged and were passed over.",
                &["source"],
            )?,
            failures: counter(
                "playgate_shipper_failures_total",
                "Attempts that failed, by reason; each is made again.",
                &["source", "reason"],
            )?,
            request_seconds: registered(
                registry,
                HistogramVec::new(seconds.buckets(REQUEST_BUCKETS.to_vec()), &["source"])?,
            )?,
            lag_bytes: gauge("playgate_shipper_lag_bytes", "Bytes of complete segments that are not shipped yet.")?,
            lag_events: gauge("playgate_shipper_lag_events", "Events of complete segments that are not shipped yet.")?,
            lag_seconds: gauge(
                "playgate_shipper_lag_seconds",
                "Age of the oldest segment that is not wholly shipped; 0 when there is none.",
            )?,
            is_behind: gauge("playgate_shipper_is_behind", "1 while there is more to ship than is configured.")?,
            last_success: gauge(
                "playgate_shipper_last_success_timestamp_seconds",
                "When records were last acknowledged, or when it was last seen that all are.",
            )?,
        })
    }

    pub(crate) fn of(&self, source: &str) -> OfSource {
        let failures =
            Failure::LABELS.iter().map(|reason| (*reason, self.failures.with_label_values(&[source, reason])));
        OfSource {
            records: self.records.with_label_values(&[source]),
            bytes: self.bytes.with_label_values(&[source]),
            damaged_lines: self.damaged_lines.with_label_values(&[source]),
            failures: failures.collect(),
            request_seconds: self.request_seconds.with_label_values(&[source]),
            lag_bytes: self.lag_bytes.with_label_values(&[source]),
            lag_events: self.lag_events.with_label_values(&[source]),
            lag_seconds: self.lag_seconds.with_label_values(&[source]),
            is_behind: self.is_behind.with_label_values(&[source]),
            last_success: self.last_success.with_label_values(&[source]),
        }
    }
}

impl OfSource {
    pub(crate) fn failed(&self, failure: &Failure) {
        if let Some((_, counter)) = self.failures.iter().find(|(reason, _)| *reason == failure.label()) {
            counter.inc();
        }
    }
}

fn registered<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

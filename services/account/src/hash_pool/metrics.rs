//! What is counted about hashing.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Handles, looked up once.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) queued: IntGauge,
    pub(super) wait: Histogram,
    pub(super) duration: Histogram,
    pub(super) rejected_full: IntCounter,
    pub(super) rejected_expired: IntCounter,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = vec![0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
        let queued = IntGauge::new("playgate_hash_pool_queued", "Sign-ins that wait for a hashing thread.")?;
        let wait = HistogramOpts::new("playgate_hash_pool_wait_seconds", "Time from asking to the start of the hash.");
        let wait = Histogram::with_opts(wait.buckets(seconds.clone()))?;
        let duration = HistogramOpts::new("playgate_hash_pool_duration_seconds", "Time one hash took.");
        let duration = Histogram::with_opts(duration.buckets(seconds))?;
        let rejected = Opts::new(
            "playgate_hash_pool_rejected_total",
            "Hashes that were not computed: the queue was full, or nobody waited for them any more.",
        );
        let rejected = IntCounterVec::new(rejected, &["reason"])?;
        registry.register(Box::new(queued.clone()))?;
        registry.register(Box::new(wait.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(rejected.clone()))?;
        Ok(Self {
            queued,
            wait,
            duration,
            rejected_full: rejected.with_label_values(&["full"]),
            rejected_expired: rejected.with_label_values(&["expired"]),
        })
    }
}

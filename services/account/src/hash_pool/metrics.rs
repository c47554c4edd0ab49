//! What is counted about hashing.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::Standing;

/// Handles, looked up once.
#[derive(Debug)]
pub(super) struct Metrics {
    queued: ByStanding<IntGauge>,
    wait: ByStanding<Histogram>,
    pub(super) duration: Histogram,
    /// Found no place in the queue.
    pub(super) rejected_full: IntCounter,
    /// Gave its place to a player on a known device.
    pub(super) rejected_displaced: IntCounter,
    /// Waited longer than `max_wait`.
    pub(super) rejected_waited: IntCounter,
    /// Nobody waited for it any more.
    pub(super) rejected_expired: IntCounter,
}

#[derive(Debug)]
struct ByStanding<M> {
    known_device: M,
    stranger: M,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let seconds = vec![0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
        let queued = Opts::new("playgate_hash_pool_queued", "Sign-ins that wait for a hashing thread.");
        let queued = IntGaugeVec::new(queued, &["class"])?;
        let wait = HistogramOpts::new("playgate_hash_pool_wait_seconds", "Time from asking to the start of the hash.");
        let wait = HistogramVec::new(wait.buckets(seconds.clone()), &["class"])?;
        let duration = HistogramOpts::new("playgate_hash_pool_duration_seconds", "Time one hash took.");
        let duration = Histogram::with_opts(duration.buckets(seconds))?;
        let rejected = Opts::new(
            "playgate_hash_pool_rejected_total",
            "Hashes that were not computed: the queue was full, the wait too long, or nobody waited any more.",
        );
        let rejected = IntCounterVec::new(rejected, &["reason"])?;
        registry.register(Box::new(queued.clone()))?;
        registry.register(Box::new(wait.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(rejected.clone()))?;
        Ok(Self {
            queued: ByStanding::of(|class| queued.with_label_values(&[class])),
            wait: ByStanding::of(|class| wait.with_label_values(&[class])),
            duration,
            rejected_full: rejected.with_label_values(&["full"]),
            rejected_displaced: rejected.with_label_values(&["displaced"]),
            rejected_waited: rejected.with_label_values(&["waited"]),
            rejected_expired: rejected.with_label_values(&["expired"]),
        })
    }

    pub(super) fn queued(&self, standing: Standing) -> &IntGauge {
        self.queued.get(standing)
    }

    pub(super) fn wait(&self, standing: Standing) -> &Histogram {
        self.wait.get(standing)
    }
}

impl<M> ByStanding<M> {
    fn of(metric: impl Fn(&str) -> M) -> Self {
        Self { known_device: metric("known_device"), stranger: metric("stranger") }
    }

    fn get(&self, standing: Standing) -> &M {
        match standing {
            Standing::KnownDevice => &self.known_device,
            Standing::Stranger => &self.stranger,
        }
    }
}

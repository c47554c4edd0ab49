//! What the operator sees of Redis: whether it is there, how long it takes, what fails and how.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Why a question got no answer; a label with these values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There was no connection to ask on.
    NoConnection,
    /// No answer in time.
    Timeout,
    /// The connection was lost.
    Disconnected,
    /// Redis answered with an error.
    Refused,
}

/// Handles that are cached, so that a question looks no label up.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    up: IntGauge,
    seconds: Histogram,
    failures: [IntCounter; Failure::LABELS.len()],
    pub(super) feed_gaps: IntCounter,
    feed_followers: IntGauge,
}

/// Counts a follower for as long as it is held.
#[derive(Debug)]
pub(super) struct Following(IntGauge);

impl Failure {
    const LABELS: [&'static str; 4] = ["no_connection", "timeout", "disconnected", "refused"];

    pub(super) fn label(self) -> &'static str {
        Self::LABELS[self as usize]
    }
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let up = IntGauge::new("playgate_redis_up", "1 while Redis answers, 0 while the fallbacks decide.")?;
        let seconds = Histogram::with_opts(
            HistogramOpts::new("playgate_redis_question_seconds", "Time from a question to its answer or its failure.")
                .buckets(vec![0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25]),
        )?;
        let failures = IntCounterVec::new(
            Opts::new("playgate_redis_errors_total", "Questions that got no answer, by what went wrong."),
            &["kind"],
        )?;
        let feed_gaps = IntCounter::new(
            "playgate_redis_feed_gaps_total",
            "How often followers of feeds may have missed entries and had to read the truth again.",
        )?;
        let feed_followers = IntGauge::new(
            "playgate_redis_feed_followers",
            "Followers of feeds that are connected; one that looks for its connection is not counted.",
        )?;
        registry.register(Box::new(up.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(failures.clone()))?;
        registry.register(Box::new(feed_gaps.clone()))?;
        registry.register(Box::new(feed_followers.clone()))?;
        let failures = Failure::LABELS.map(|label| failures.with_label_values(&[label]));
        Ok(Self { up, seconds, failures, feed_gaps, feed_followers })
    }

    pub(super) fn up(&self, up: bool) {
        self.up.set(i64::from(up));
    }

    pub(super) fn following(&self) -> Following {
        self.feed_followers.inc();
        Following(self.feed_followers.clone())
    }

    pub(super) fn observe(&self, elapsed: Duration) {
        self.seconds.observe(elapsed.as_secs_f64());
    }

    pub(super) fn count(&self, failure: Failure) {
        self.failures[failure as usize].inc();
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.dec();
    }
}

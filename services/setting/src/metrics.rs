//! What the service counts. Handles are made once; reading settings touches no label map.

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// How a reader was served.
#[derive(Debug)]
pub(crate) struct Served {
    /// From a copy within its time.
    pub(crate) fresh: IntCounter,
    /// From a copy past its time, while a refresh runs or the store is in trouble.
    pub(crate) stale: IntCounter,
    /// After waiting for the first read.
    pub(crate) waited: IntCounter,
    /// Not at all.
    pub(crate) refused: IntCounter,
}

/// How a read of the store ended.
#[derive(Debug)]
pub(crate) struct Reads {
    /// There was a newer version.
    pub(crate) found: IntCounter,
    /// The copy is of the current version.
    pub(crate) unchanged: IntCounter,
    /// The app has published nothing.
    pub(crate) absent: IntCounter,
    /// A version exists and can't be used.
    pub(crate) broken: IntCounter,
    /// The store did not answer.
    pub(crate) failed: IntCounter,
    /// A refresh or first read that did not start because of `reads_max`.
    pub(crate) skipped: IntCounter,
}

/// How publishing ended, roll-backs included.
#[derive(Debug)]
pub(crate) struct Publishes {
    /// As a new version.
    pub(crate) published: IntCounter,
    /// It had been published before: the answer was lost.
    pub(crate) repeated: IntCounter,
    /// It was not made from the current revision.
    pub(crate) changed: IntCounter,
    /// The document, or something else that was asked, can't be.
    pub(crate) refused: IntCounter,
    /// The store did not do it, or it is not known whether it did.
    pub(crate) failed: IntCounter,
}

/// What replicas tell each other of new revisions, beside the store.
#[derive(Debug)]
pub(crate) struct Hints {
    pub(crate) heard: IntCounter,
    /// Not told, because the feed was away or too many waited.
    pub(crate) lost: IntCounter,
}

/// The service's collectors.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) served: Served,
    pub(crate) reads: Reads,
    pub(crate) read_seconds: Histogram,
    pub(crate) cache_bytes: IntGauge,
    pub(crate) oldest_copy_seconds: Gauge,
    pub(crate) publishes: Publishes,
    pub(crate) hints: Hints,
}

impl Metrics {
    /// Makes and registers them; fails when one of the names is taken.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let served = IntCounterVec::new(
            Opts::new("playgate_setting_served_total", "Readers of settings, by how they were served."),
            &["how"],
        )?;
        let reads = IntCounterVec::new(
            Opts::new("playgate_setting_store_reads_total", "Reads of the settings store, by how they ended."),
            &["outcome"],
        )?;
        let read_seconds = Histogram::with_opts(
            HistogramOpts::new("playgate_setting_store_read_seconds", "How long reads of the settings store took.")
                .buckets(vec![0.000_25, 0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0]),
        )?;
        let cache_bytes = IntGauge::new(
            "playgate_setting_cache_bytes",
            "Memory held by copies of settings, as of the last read of the store.",
        )?;
        let oldest_copy_seconds = Gauge::new(
            "playgate_setting_oldest_copy_seconds",
            "How long ago the store confirmed the copy of an app in use for which that is longest ago.",
        )?;
        let publishes = IntCounterVec::new(
            Opts::new("playgate_setting_publishes_total", "Attempts to publish settings, by how they ended."),
            &["outcome"],
        )?;
        let hints = IntCounterVec::new(
            Opts::new("playgate_setting_hints_total", "New revisions that replicas told each other of, or could not."),
            &["outcome"],
        )?;
        registry.register(Box::new(oldest_copy_seconds.clone()))?;
        registry.register(Box::new(publishes.clone()))?;
        registry.register(Box::new(hints.clone()))?;
        registry.register(Box::new(served.clone()))?;
        registry.register(Box::new(reads.clone()))?;
        registry.register(Box::new(read_seconds.clone()))?;
        registry.register(Box::new(cache_bytes.clone()))?;
        Ok(Self {
            served: Served {
                fresh: served.with_label_values(&["fresh"]),
                stale: served.with_label_values(&["stale"]),
                waited: served.with_label_values(&["waited"]),
                refused: served.with_label_values(&["refused"]),
            },
            reads: Reads {
                found: reads.with_label_values(&["found"]),
                unchanged: reads.with_label_values(&["unchanged"]),
                absent: reads.with_label_values(&["absent"]),
                broken: reads.with_label_values(&["broken"]),
                failed: reads.with_label_values(&["failed"]),
                skipped: reads.with_label_values(&["skipped"]),
            },
            read_seconds,
            cache_bytes,
            oldest_copy_seconds,
            publishes: Publishes {
                published: publishes.with_label_values(&["published"]),
                repeated: publishes.with_label_values(&["repeated"]),
                changed: publishes.with_label_values(&["changed"]),
                refused: publishes.with_label_values(&["refused"]),
                failed: publishes.with_label_values(&["failed"]),
            },
            hints: Hints { heard: hints.with_label_values(&["heard"]), lost: hints.with_label_values(&["lost"]) },
        })
    }
}

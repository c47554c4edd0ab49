//! What the service counts. Handles are made once; reading settings touches no label map.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

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

/// How a read of the store ended. One read covers both documents of an audience.
#[derive(Debug)]
pub(crate) struct Reads {
    pub(crate) found: IntCounter,
    /// Neither document exists.
    pub(crate) absent: IntCounter,
    /// A document exists and can't be used.
    pub(crate) broken: IntCounter,
    /// The store did not answer.
    pub(crate) failed: IntCounter,
    /// A refresh or first read that did not start because of `reads_max`.
    pub(crate) skipped: IntCounter,
}

/// The service's collectors.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) served: Served,
    pub(crate) reads: Reads,
    pub(crate) read_seconds: Histogram,
    pub(crate) cache_bytes: IntGauge,
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
            "Memory held by evaluated settings, as of the last read of the store.",
        )?;
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
                absent: reads.with_label_values(&["absent"]),
                broken: reads.with_label_values(&["broken"]),
                failed: reads.with_label_values(&["failed"]),
                skipped: reads.with_label_values(&["skipped"]),
            },
            read_seconds,
            cache_bytes,
        })
    }
}

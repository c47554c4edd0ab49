//! What the operator sees of a database: time per statement, failures by kind, connections in use.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    core::{Collector, Desc},
    proto::MetricFamily,
};

use super::{SqlError, database::Backend};

/// What a statement is for; a label with three values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Read,
    Write,
    Transaction,
}

/// Handles that are cached, so that a statement looks no label up.
#[derive(Debug)]
pub(super) struct Metrics {
    seconds: HistogramVec,
    errors: IntCounterVec,
    seconds_by_operation: [Histogram; 3],
    errors_by_kind: [IntCounter; SqlError::KINDS.len()],
}

impl Metrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let seconds = HistogramVec::new(
            HistogramOpts::new("playgate_sql_statement_seconds", "Time from asking for a connection to the answer.")
                .buckets(vec![0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0]),
            &["operation"],
        )?;
        let errors = IntCounterVec::new(
            Opts::new("playgate_sql_errors_total", "Statements that failed, by what a caller can do about it."),
            &["kind"],
        )?;
        Ok(Self {
            seconds_by_operation: ["read", "write", "transaction"].map(|label| seconds.with_label_values(&[label])),
            errors_by_kind: SqlError::KINDS.map(|label| errors.with_label_values(&[label])),
            seconds,
            errors,
        })
    }

    pub(super) fn register(&self, registry: &Registry, backend: Backend) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.seconds.clone()))?;
        registry.register(Box::new(self.errors.clone()))?;
        registry.register(Box::new(ConnectionGauges::new(backend)?))
    }

    pub(super) fn observe(&self, operation: Operation, elapsed: Duration) {
        self.seconds_by_operation[operation as usize].observe(elapsed.as_secs_f64());
    }

    pub(super) fn count_error(&self, error: &SqlError) {
        self.errors_by_kind[error.kind_index()].inc();
    }
}

/// Reads the pools whenever it is scraped.
struct ConnectionGauges {
    backend: Backend,
    gauge: IntGaugeVec,
}

impl ConnectionGauges {
    fn new(backend: Backend) -> Result<Self, prometheus::Error> {
        let options = Opts::new("playgate_sql_connections", "Open connections of this process.");
        Ok(Self { backend, gauge: IntGaugeVec::new(options, &["pool", "state"])? })
    }
}

impl Collector for ConnectionGauges {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for (pool, open, idle) in self.backend.connections() {
            self.gauge.with_label_values(&[pool, "idle"]).set(idle);
            self.gauge.with_label_values(&[pool, "in_use"]).set(open - idle);
        }
        self.gauge.collect()
    }
}

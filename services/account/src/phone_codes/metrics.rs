//! What is counted about sending codes.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Handles, looked up once.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) queued: IntGauge,
    pub(super) sent: IntCounter,
    pub(super) failed: IntCounter,
    pub(super) no_room: IntCounter,
    pub(super) duration: Histogram,
}

/// Attempts at the webhook's targets, the first one and the second one.
#[derive(Debug)]
pub(super) struct AttemptMetrics {
    pub(super) succeeded: [IntCounter; 2],
    pub(super) failed: [IntCounter; 2],
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let queued = IntGauge::new("playgate_phone_codes_queued", "Codes that wait to be sent or are being sent.")?;
        let codes = IntCounterVec::new(
            Opts::new(
                "playgate_phone_codes_total",
                "Codes by what became of them: sent; failed, whoever asked has waited for nothing; refused because too many \
                 were waiting.",
            ),
            &["outcome"],
        )?;
        let duration = HistogramOpts::new("playgate_phone_code_duration_seconds", "Time from a code to its sending.")
            .buckets(vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
        let duration = Histogram::with_opts(duration)?;
        registry.register(Box::new(queued.clone()))?;
        registry.register(Box::new(codes.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        let of = |outcome| codes.with_label_values(&[outcome]);
        Ok(Self { queued, sent: of("sent"), failed: of("failed"), no_room: of("refused"), duration })
    }
}

impl AttemptMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let attempts = IntCounterVec::new(
            Opts::new("playgate_phone_code_attempts_total", "Calls of the webhook, by URL and outcome."),
            &["target", "outcome"],
        )?;
        registry.register(Box::new(attempts.clone()))?;
        let of = |outcome| ["first", "second"].map(|target| attempts.with_label_values(&[target, outcome]));
        Ok(Self { succeeded: of("ok"), failed: of("failed") })
    }
}

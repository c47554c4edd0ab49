//! What the service counts.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::{
    domain::OrderState,
    store::{PostError, Posted, outbox::Backlog},
};

/// Seconds. An attempt ends at `pay.delivery.timeout`.
const ATTEMPT_BUCKETS: [f64; 8] = [0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

/// Seconds: from an idle system to the end of the schedule.
const DELAY_BUCKETS: [f64; 10] = [0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 300.0, 3600.0, 21_600.0, 86_400.0];

/// The label of an order whose channel is not known yet, or of a callback whose channel is not one.
const NO_CHANNEL: &str = "none";

/// Postings, by what became of them.
#[derive(Debug)]
pub(crate) struct Metrics {
    posted: IntCounter,
    repeated: IntCounter,
    refused: IntCounter,
    failed: IntCounter,
}

/// Orders, callbacks and deliveries.
#[derive(Debug)]
pub(crate) struct OrderMetrics {
    orders: IntCounterVec,
    callbacks: IntCounterVec,
    attempts: HistogramVec,
    delay: Histogram,
    dead_letters: IntCounter,
    waiting: IntGauge,
    oldest: IntGauge,
    dead: IntGauge,
    open_breakers: IntGauge,
}

impl Metrics {
    /// Makes and registers them; fails when the name is taken.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let postings = IntCounterVec::new(
            Opts::new("playgate_pay_postings_total", "Postings to the ledger by themselves, by what became of them."),
            &["outcome"],
        )?;
        registry.register(Box::new(postings.clone()))?;
        Ok(Self {
            posted: postings.with_label_values(&["posted"]),
            repeated: postings.with_label_values(&["repeated"]),
            refused: postings.with_label_values(&["refused"]),
            failed: postings.with_label_values(&["failed"]),
        })
    }

    /// Counts one posting.
    pub(crate) fn count(&self, outcome: &Result<Posted, PostError>) {
        match outcome {
            Ok(Posted { repeated: false, .. }) => self.posted.inc(),
            Ok(Posted { repeated: true, .. }) => self.repeated.inc(),
            Err(PostError::Overdrawn { .. } | PostError::KeyReused) => self.refused.inc(),
            Err(PostError::Raced | PostError::Ledger(_)) => self.failed.inc(),
        }
    }
}

impl OrderMetrics {
    /// Makes and registers them; fails when a name is taken.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name, help, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let attempts =
            HistogramOpts::new("playgate_pay_delivery_duration_seconds", "Attempts to tell a game server, by outcome.");
        let attempts = HistogramVec::new(attempts.buckets(ATTEMPT_BUCKETS.to_vec()), &["outcome"])?;
        registry.register(Box::new(attempts.clone()))?;
        let delay = HistogramOpts::new(
            "playgate_pay_delivery_delay_seconds",
            "From an order's payment, or its redelivery, to the game server's acknowledgement.",
        );
        let delay = Histogram::with_opts(delay.buckets(DELAY_BUCKETS.to_vec()))?;
        registry.register(Box::new(delay.clone()))?;
        let dead_letters =
            IntCounter::new("playgate_pay_dead_letters_total", "Deliveries that this instance has given up.")?;
        registry.register(Box::new(dead_letters.clone()))?;
        Ok(Self {
            orders: counters("playgate_pay_orders_total", "Orders, by the state they came to.", &["state", "channel"])?,
            callbacks: counters(
                "playgate_pay_callbacks_total",
                "Callbacks of channels, by what became of them.",
                &["channel", "verdict"],
            )?,
            attempts,
            delay,
            dead_letters,
            waiting: gauge("playgate_pay_outbox_waiting", "Orders that game servers still have to be told of.")?,
            oldest: gauge(
                "playgate_pay_outbox_oldest_timestamp_seconds",
                "Since when the oldest of them waits; 0: none does.",
            )?,
            dead: gauge("playgate_pay_outbox_dead", "Orders whose delivery was given up, and not asked for again.")?,
            open_breakers: gauge(
                "playgate_pay_delivery_paused_apps",
                "Apps that this instance leaves alone for a moment, because their game servers keep failing.",
            )?,
        })
    }

    /// Counts an order that came to these states.
    pub(crate) fn moved(&self, channel: Option<&str>, states: &[OrderState]) {
        for state in states {
            self.orders.with_label_values(&[state.as_str(), channel.unwrap_or(NO_CHANNEL)]).inc();
        }
    }

    /// Counts a callback. `channel`: only of those there are; anybody can call any.
    pub(crate) fn callback(&self, channel: Option<&str>, verdict: &str) {
        self.callbacks.with_label_values(&[channel.unwrap_or(NO_CHANNEL), verdict]).inc();
    }

    pub(crate) fn attempted(&self, outcome: &str, duration: Duration) {
        self.attempts.with_label_values(&[outcome]).observe(duration.as_secs_f64());
    }

    pub(crate) fn acknowledged(&self, after: Duration) {
        self.delay.observe(after.as_secs_f64());
    }

    pub(crate) fn given_up(&self) {
        self.dead_letters.inc();
    }

    pub(crate) fn backlog(&self, backlog: Backlog) {
        self.waiting.set(backlog.waiting);
        self.oldest.set(backlog.oldest.map_or(0, |at| at.as_millis() / 1000));
        self.dead.set(backlog.dead);
    }

    pub(crate) fn open_breakers(&self, apps: usize) {
        self.open_breakers.set(i64::try_from(apps).unwrap_or(i64::MAX));
    }
}

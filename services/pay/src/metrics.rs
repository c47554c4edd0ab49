//! What the service counts.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::{
    domain::OrderState,
    store::{PostError, Posted, Spent, ledger::check::Found, outbox::Backlog, refund_notices::RefundBacklog},
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
    refunds: IntCounterVec,
    refund_dead_letters: IntCounter,
    refunds_waiting: IntGauge,
    refunds_dead: IntGauge,
    refunds_not_in_books: IntGauge,
    ledger_drift: IntGauge,
    ledger_drifted: IntGauge,
    ledger_checked_at: IntGauge,
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

    /// Counts one spend, which is a posting.
    pub(crate) fn spent(&self, outcome: &Result<Spent, PostError>) {
        match outcome {
            Ok(Spent { repeated: false, .. }) => self.posted.inc(),
            Ok(Spent { repeated: true, .. }) => self.repeated.inc(),
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
        let refund_dead_letters = IntCounter::new(
            "playgate_pay_refund_dead_letters_total",
            "Refunds that this instance has given up telling.",
        )?;
        registry.register(Box::new(refund_dead_letters.clone()))?;
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
            refunds: counters(
                "playgate_pay_refunds_total",
                "Refunds, by whether the wallet still held what went back.",
                &["channel", "outcome"],
            )?,
            refund_dead_letters,
            refunds_waiting: gauge(
                "playgate_pay_refund_notices_waiting",
                "Refunds that game servers still have to be told of.",
            )?,
            refunds_dead: gauge(
                "playgate_pay_refund_notices_dead",
                "Refunds that a game server could not be told of, and that nobody has asked for again.",
            )?,
            refunds_not_in_books: gauge(
                "playgate_pay_refunds_not_in_books",
                "Refunds of channels that are not out of the wallets: spent, or of unknown size.",
            )?,
            ledger_drift: gauge(
                "playgate_pay_ledger_drift",
                "Minor units by which balances differ from their entries, and transactions from zero; has to be 0.",
            )?,
            ledger_drifted: gauge(
                "playgate_pay_ledger_drifted_accounts",
                "Balances and transactions that differ; has to be 0.",
            )?,
            ledger_checked_at: gauge(
                "playgate_pay_ledger_checked_timestamp_seconds",
                "When the books were last checked from end to end; 0: never.",
            )?,
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

    /// Counts a refund. `channel`: only of those there are; `None`: by hand.
    pub(crate) fn refunded(&self, channel: Option<&str>, outcome: &str) {
        self.refunds.with_label_values(&[channel.unwrap_or(NO_CHANNEL), outcome]).inc();
    }

    pub(crate) fn refund_given_up(&self) {
        self.refund_dead_letters.inc();
    }

    pub(crate) fn refund_backlog(&self, backlog: RefundBacklog) {
        self.refunds_waiting.set(backlog.waiting);
        self.refunds_dead.set(backlog.dead);
        self.refunds_not_in_books.set(backlog.not_in_books);
    }

    /// What the check of the books has found: its last full pass, or the one under way if that is worse already.
    pub(crate) fn ledger_checked(&self, found: &Found) {
        self.ledger_drift.set(found.drift);
        self.ledger_drifted.set(found.drifted);
        self.ledger_checked_at.set(found.last_ended_at.map_or(0, |at| at.as_millis() / 1000));
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

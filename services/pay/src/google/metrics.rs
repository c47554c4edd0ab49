//! What is counted of calls to Google.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use crate::store::channel_tasks::TaskBacklog;

/// Calls and acknowledgements.
#[derive(Debug)]
pub(crate) struct GoogleMetrics {
    pub(super) calls: IntCounterVec,
    pub(super) acknowledgements: IntCounterVec,
    waiting: IntGauge,
    oldest: IntGauge,
    pub(super) dead: IntGauge,
}

/// What is called. The closed set is a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// The keys that pushes are signed with.
    Keys,
    /// A new access token.
    Token,
    /// A purchase is asked about.
    Purchase,
    /// A purchase is acknowledged.
    Acknowledge,
}

impl GoogleMetrics {
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
        Ok(Self {
            calls: counters(
                "playgate_pay_google_calls_total",
                "Calls to Google, by what was answered.",
                &["call", "outcome"],
            )?,
            acknowledgements: counters(
                "playgate_pay_acknowledgements_total",
                "Attempts to tell a channel of a purchase whose order is paid, by what became of them.",
                &["outcome"],
            )?,
            waiting: gauge(
                "playgate_pay_acknowledgements_waiting",
                "Purchases that channels still have to be told of.",
            )?,
            oldest: gauge(
                "playgate_pay_acknowledgements_oldest_timestamp_seconds",
                "Since when the oldest of them waits; 0: none does.",
            )?,
            dead: gauge("playgate_pay_acknowledgements_dead", "Purchases whose acknowledgement was given up.")?,
        })
    }

    /// Counts a call; `status`: `None` is no answer.
    pub(super) fn called(&self, call: Call, status: Option<u16>) {
        let outcome = match status {
            Some(200..=299) => "ok",
            Some(400..=499) => "refused",
            Some(_) => "failed",
            None => "no_answer",
        };
        self.calls.with_label_values(&[call.as_str(), outcome]).inc();
    }

    pub(super) fn acknowledged(&self, outcome: &str) {
        self.acknowledgements.with_label_values(&[outcome]).inc();
    }

    pub(crate) fn backlog(&self, backlog: TaskBacklog) {
        self.waiting.set(backlog.waiting);
        self.oldest.set(backlog.oldest.map_or(0, |at| at.as_millis() / 1000));
        self.dead.set(backlog.dead);
    }
}

impl Call {
    fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Token => "token",
            Self::Purchase => "purchase",
            Self::Acknowledge => "acknowledge",
        }
    }
}

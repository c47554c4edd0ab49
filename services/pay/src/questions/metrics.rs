//! What asking channels counts.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use crate::{domain::QuestionKind, store::questions::Waiting};

/// Questions to channels, and what waits to be asked.
#[derive(Debug)]
pub(crate) struct QuestionMetrics {
    questions: IntCounterVec,
    waiting: IntGauge,
    oldest: IntGauge,
    refunds: IntGauge,
    oldest_refund: IntGauge,
    refused_refunds: IntGauge,
}

impl QuestionMetrics {
    /// Makes and registers them; fails when a name is taken.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let questions = IntCounterVec::new(
            Opts::new("playgate_pay_channel_questions_total", "Questions to payment channels, by what they came to."),
            &["channel", "kind", "outcome"],
        )?;
        registry.register(Box::new(questions.clone()))?;
        Ok(Self {
            questions,
            waiting: gauge("playgate_pay_questions_waiting", "Orders that their channels will be asked about.")?,
            oldest: gauge(
                "playgate_pay_questions_oldest_timestamp_seconds",
                "Since when the one of them that waits longest should have been asked about; 0: none does.",
            )?,
            refunds: gauge("playgate_pay_channel_refunds_under_way", "Refunds that channels are asked for.")?,
            oldest_refund: gauge(
                "playgate_pay_channel_refunds_oldest_timestamp_seconds",
                "When the oldest of them was asked for first; 0: there is none.",
            )?,
            refused_refunds: gauge(
                "playgate_pay_channel_refunds_refused",
                "Refunds that their channels have refused, and that wait for an operator.",
            )?,
        })
    }

    /// Counts a question. `channel`: only of those there are; players may name any.
    pub(crate) fn asked(&self, channel: Option<&str>, kind: QuestionKind, outcome: &str) {
        self.questions.with_label_values(&[channel.unwrap_or("none"), kind.as_str(), outcome]).inc();
    }

    pub(crate) fn waiting(&self, waiting: Waiting) {
        let seconds = |at: Option<common::clock::Timestamp>| at.map_or(0, |at| at.as_millis() / 1000);
        self.waiting.set(waiting.payments);
        self.oldest.set(seconds(waiting.overdue_since));
        self.refunds.set(waiting.refunds);
        self.oldest_refund.set(seconds(waiting.oldest_refund));
        self.refused_refunds.set(waiting.refused_refunds);
    }
}

//! What is counted about verdicts and the copy.

use common::clock::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::held::NoVerdict;

/// Verdicts by where they came from, and the state of the copy. The handles are looked up once.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    /// Questions that account answered.
    pub(super) by_account: IntCounter,
    /// Questions that the copy answered.
    pub(super) by_copy: IntCounter,
    absent: IntCounter,
    stale: IntCounter,
    unclear: IntCounter,
    entries: IntGauge,
    as_of: IntGauge,
    wrong_master_key: IntGauge,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let answers = Opts::new("playgate_token_answers_total", "Questions about tokens, by who answered them.");
        let answers = IntCounterVec::new(answers, &["source"])?;
        let refusals = Opts::new(
            "playgate_token_copy_refusals_total",
            "Questions about tokens that neither account nor the copy could answer, by what the copy lacked.",
        );
        let refusals = IntCounterVec::new(refusals, &["reason"])?;
        let entries = IntGauge::new("playgate_token_copy_entries", "Revocations in the copy.")?;
        let as_of = IntGauge::new(
            "playgate_token_copy_as_of_timestamp_seconds",
            "Every revocation up to then is in the copy; 0 while there is none.",
        )?;
        let wrong_master_key = IntGauge::new(
            "playgate_token_copy_wrong_master_key",
            "1 while account's token keys can't be opened with gateway.fallback.master_key.",
        )?;
        registry.register(Box::new(answers.clone()))?;
        registry.register(Box::new(refusals.clone()))?;
        for gauge in [&entries, &as_of, &wrong_master_key] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(Self {
            by_account: answers.with_label_values(&["account"]),
            by_copy: answers.with_label_values(&["copy"]),
            absent: refusals.with_label_values(&["absent"]),
            stale: refusals.with_label_values(&["stale"]),
            unclear: refusals.with_label_values(&["unclear"]),
            entries,
            as_of,
            wrong_master_key,
        })
    }

    /// Counts a question that stayed open although there is a copy.
    pub(super) fn count_refusal(&self, reason: NoVerdict) {
        match reason {
            NoVerdict::Absent => self.absent.inc(),
            NoVerdict::Stale => self.stale.inc(),
            NoVerdict::Unclear => self.unclear.inc(),
        }
    }

    pub(super) fn note_copy(&self, entries: usize, as_of: Timestamp) {
        self.entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.as_of.set(as_of.as_millis() / 1000);
    }

    pub(super) fn note_wrong_master_key(&self, wrong: bool) {
        self.wrong_master_key.set(i64::from(wrong));
    }

    #[cfg(test)]
    pub(super) fn wrong_master_key(&self) -> i64 {
        self.wrong_master_key.get()
    }
}

//! What is counted about settings and their copy.

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Answers by how they were come by, and the state of the copy. The handles are looked up once.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) fresh: IntCounter,
    pub(super) stale: IntCounter,
    pub(super) asked: IntCounter,
    pub(super) refused: IntCounter,
    pub(super) behind: IntCounter,
    pub(super) apps: IntGauge,
    pub(super) entries: IntGauge,
    pub(super) bytes: IntGauge,
    pub(super) age: Gauge,
}

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let answers = Opts::new(
            "playgate_settings_answers_total",
            "Questions for settings, by how they were answered: from a fresh copy, from a stale one, by asking, or not at all.",
        );
        let answers = IntCounterVec::new(answers, &["source"])?;
        let behind = IntCounter::new(
            "playgate_settings_replica_behind_total",
            "Answers of the setting service of an earlier revision than another replica had told of.",
        )?;
        let apps = IntGauge::new("playgate_settings_copy_apps", "Apps of which the revision is followed.")?;
        let entries = IntGauge::new("playgate_settings_copy_entries", "Answers in the gateway's copy of settings.")?;
        let bytes = IntGauge::new("playgate_settings_copy_bytes", "Memory that those answers take.")?;
        let age = Gauge::new(
            "playgate_settings_copy_age_seconds",
            "For how long the revision of the followed app that was heard of longest ago has not been confirmed.",
        )?;
        registry.register(Box::new(answers.clone()))?;
        registry.register(Box::new(behind.clone()))?;
        for gauge in [&apps, &entries, &bytes] {
            registry.register(Box::new(gauge.clone()))?;
        }
        registry.register(Box::new(age.clone()))?;
        Ok(Self {
            fresh: answers.with_label_values(&["fresh"]),
            stale: answers.with_label_values(&["stale"]),
            asked: answers.with_label_values(&["asked"]),
            refused: answers.with_label_values(&["refused"]),
            behind,
            apps,
            entries,
            bytes,
            age,
        })
    }
}

//! What the operator sees of limits: by kind, never by key.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::Kind;

/// Handles that are cached, so that a request looks no label up.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    allowed: [IntCounter; Kind::ALL.len()],
    refused: [IntCounter; Kind::ALL.len()],
    keys: [IntGauge; Kind::ALL.len()],
    leases: [LeaseMetrics; SHARED.len()],
}

/// Of the leases of one kind.
#[derive(Clone, Debug)]
pub(super) struct LeaseMetrics {
    /// Questions that got all they wanted.
    pub(super) granted: IntCounter,
    /// Questions that got less, or nothing.
    pub(super) short: IntCounter,
    /// Questions without an answer.
    pub(super) unavailable: IntCounter,
    /// Times that units were given back.
    pub(super) given_back: IntCounter,
    /// Units that were leased.
    pub(super) units: IntCounter,
    /// Units that were given back.
    pub(super) units_back: IntCounter,
    /// Decisions that this replica made alone.
    pub(super) alone: IntCounter,
}

/// The kinds that replicas share.
const SHARED: [Kind; 2] = [Kind::App, Kind::Partner];

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name, help, labels: &[&str]| {
            let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counters.clone()))?;
            Ok::<_, prometheus::Error>(counters)
        };
        let decisions = counters(
            "playgate_limit_decisions_total",
            "Requests that a limit looked at, by kind of limit and what became of them.",
            &["kind", "outcome"],
        )?;
        let questions = counters(
            "playgate_limit_lease_questions_total",
            "Questions to the shared limiter, by kind of limit and outcome.",
            &["kind", "outcome"],
        )?;
        let units = counters(
            "playgate_limit_leased_units_total",
            "Units of shared limits that were leased, and those that were given back.",
            &["kind", "way"],
        )?;
        let alone = counters(
            "playgate_limit_alone_total",
            "Decisions on shared limits that this replica made alone, at its share, by kind of limit.",
            &["kind"],
        )?;
        let keys = IntGaugeVec::new(
            Opts::new("playgate_limit_keys", "Keys that are remembered because they have used something, by kind."),
            &["kind"],
        )?;
        registry.register(Box::new(keys.clone()))?;
        let decisions = |outcome| Kind::ALL.map(|kind| decisions.with_label_values(&[kind.label(), outcome]));
        Ok(Self {
            allowed: decisions("allowed"),
            refused: decisions("refused"),
            keys: Kind::ALL.map(|kind| keys.with_label_values(&[kind.label()])),
            leases: SHARED.map(|kind| {
                let question = |outcome| questions.with_label_values(&[kind.label(), outcome]);
                LeaseMetrics {
                    granted: question("granted"),
                    short: question("short"),
                    unavailable: question("unavailable"),
                    given_back: question("given_back"),
                    units: units.with_label_values(&[kind.label(), "leased"]),
                    units_back: units.with_label_values(&[kind.label(), "given_back"]),
                    alone: alone.with_label_values(&[kind.label()]),
                }
            }),
        })
    }

    pub(super) fn count(&self, kind: Kind, is_allowed: bool) {
        let outcomes = if is_allowed { &self.allowed } else { &self.refused };
        outcomes[kind as usize].inc();
    }

    pub(super) fn keys(&self, kind: Kind, count: usize) {
        self.keys[kind as usize].set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn app_leases(&self) -> LeaseMetrics {
        self.leases[0].clone()
    }

    pub(super) fn partner_leases(&self) -> LeaseMetrics {
        self.leases[1].clone()
    }
}

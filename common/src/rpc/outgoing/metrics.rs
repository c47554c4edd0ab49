//! What is counted around calls over the wire. The labels are services, methods of the IDL and closed lists of reasons.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use govern::retry::WhyNot;
use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, core::Collector};

use super::super::contract::Method;

/// The families, of all callees.
#[derive(Clone, Debug)]
pub(in crate::rpc) struct OutgoingFamilies {
    moved_on: IntCounterVec,
    retries: IntCounterVec,
    not_retried: IntCounterVec,
    backups_sent: IntCounterVec,
    backups_won: IntCounterVec,
    breaker_rejections: IntCounterVec,
    breaker_probability: GaugeVec,
    bulkhead_refusals: IntCounterVec,
    attempts: IntGaugeVec,
    ejections: IntCounterVec,
}

/// Why an instance was left out, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EjectionReason {
    /// It refused connections.
    Refused,
    /// It took calls and did not answer them.
    Unanswered,
    /// It answered with faults.
    Faulty,
}

/// The handles of one callee.
pub(super) struct CalleeMetrics {
    service: &'static str,
    families: OutgoingFamilies,
    pub(super) moved_on: IntCounter,
    pub(super) retries: IntCounter,
    pub(super) backups_sent: IntCounter,
    pub(super) backups_won: IntCounter,
    pub(super) bulkhead_refusals: IntCounter,
    pub(super) attempts: IntGauge,
    /// For each method: whether its probability is shown as above zero.
    shown: Box<[AtomicBool]>,
}

impl OutgoingFamilies {
    /// Registers the families. Fails when they are registered already.
    pub(in crate::rpc) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            registered(registry, IntCounterVec::new(Opts::new(format!("playgate_rpc_client_{name}"), help), labels)?)
        };
        let of_service = &["service"];
        let probability = Opts::new(
            "playgate_rpc_client_breaker_rejection_probability",
            "Share of calls that the breaker rejects, as of the last call.",
        );
        let attempts = Opts::new("playgate_rpc_client_attempts_in_flight", "Attempts under way, each on a connection.");
        Ok(Self {
            moved_on: counter("moved_on_total", "Attempts that moved on to another instance.", of_service)?,
            retries: counter("retries_total", "Reads tried again because an attempt failed.", of_service)?,
            not_retried: counter(
                "not_retried_total",
                "Failed or slow calls that were not asked again, by reason.",
                &["service", "reason"],
            )?,
            backups_sent: counter("backups_sent_total", "Reads asked at a second instance meanwhile.", of_service)?,
            backups_won: counter("backups_won_total", "Reads that the second instance answered first.", of_service)?,
            breaker_rejections: counter(
                "breaker_rejections_total",
                "Calls that the breaker rejected.",
                &["service", "method"],
            )?,
            breaker_probability: registered(registry, GaugeVec::new(probability, &["service", "method"])?)?,
            bulkhead_refusals: counter("bulkhead_refusals_total", "Calls for which there was no room.", of_service)?,
            attempts: registered(registry, IntGaugeVec::new(attempts, of_service)?)?,
            ejections: counter("ejections_total", "Instances left out, by reason.", &["service", "reason"])?,
        })
    }

    /// The handles of one callee.
    pub(super) fn of(&self, service: &'static str, methods: &[Method]) -> CalleeMetrics {
        let label = &[service];
        CalleeMetrics {
            service,
            families: self.clone(),
            moved_on: self.moved_on.with_label_values(label),
            retries: self.retries.with_label_values(label),
            backups_sent: self.backups_sent.with_label_values(label),
            backups_won: self.backups_won.with_label_values(label),
            bulkhead_refusals: self.bulkhead_refusals.with_label_values(label),
            attempts: self.attempts.with_label_values(label),
            shown: methods.iter().map(|_| AtomicBool::new(false)).collect(),
        }
    }
}

fn registered<T: Collector + Clone + 'static>(registry: &Registry, family: T) -> prometheus::Result<T> {
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

impl CalleeMetrics {
    /// Counts a call that was not asked again.
    pub(super) fn not_retried(&self, why: WhyNot) {
        self.families.not_retried.with_label_values(&[self.service, why.name()]).inc();
    }

    /// Counts a call that the breaker rejected.
    pub(super) fn rejected(&self, method: &Method, probability: f64) {
        self.families.breaker_rejections.with_label_values(&[self.service, method.name]).inc();
        self.show(method, probability);
    }

    /// Whether a probability above zero is shown, and has to be brought up to date.
    pub(super) fn shows_rejections(&self, method: &Method) -> bool {
        self.shown.get(method.index).is_some_and(|shown| shown.load(Relaxed))
    }

    /// Shows how much the breaker rejects.
    pub(super) fn show(&self, method: &Method, probability: f64) {
        self.families.breaker_probability.with_label_values(&[self.service, method.name]).set(probability);
        if let Some(shown) = self.shown.get(method.index) {
            shown.store(probability > 0.0, Relaxed);
        }
    }

    /// Counts an instance that was left out.
    pub(super) fn ejected(&self, reason: EjectionReason) {
        self.families.ejections.with_label_values(&[self.service, reason.name()]).inc();
    }
}

impl EjectionReason {
    /// The name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Faulty => "faulty",
        }
    }
}

impl fmt::Debug for CalleeMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CalleeMetrics").field("service", &self.service).finish_non_exhaustive()
    }
}

//! What is measured of the risk rules.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::domain::risk::{block_list::Blocked, judgement::Rule};

/// The collectors, with a handle per label.
#[derive(Debug)]
pub(super) struct Metrics {
    refusals: ByRule,
    locks: ByRule,
    blocked_address: IntCounter,
    blocked_device: IntCounter,
    banned_address: IntCounter,
    banned_device: IntCounter,
    pub(super) registrations_of_address: IntCounter,
    pub(super) registrations_of_device: IntCounter,
    pub(super) password_hashes: IntCounter,
    pub(super) known_devices: IntCounter,
    pub(super) unanswered: IntCounter,
}

/// One counter per rule.
#[derive(Debug)]
struct ByRule([IntCounter; RULES.len()]);

const RULES: [Rule; 6] =
    [Rule::KnownDevice, Rule::Account, Rule::Device, Rule::Address, Rule::Stuffing, Rule::DeviceSecret];

impl Metrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let family = |name: &str, help: &str, label: &str| {
            let family = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let single = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let refusals = family(
            "playgate_account_risk_refusals_total",
            "Sign-ins, registrations and new passwords that were refused, by the rule that refused them.",
            "rule",
        )?;
        let locks = family(
            "playgate_account_risk_locks_total",
            "Failures that reached a rung and locked, by ladder.",
            "ladder",
        )?;
        Ok(Self {
            blocked_address: refusals.with_label_values(&["blocked_address"]),
            blocked_device: refusals.with_label_values(&["blocked_device"]),
            banned_address: refusals.with_label_values(&["banned_address"]),
            banned_device: refusals.with_label_values(&["banned_device"]),
            registrations_of_address: refusals.with_label_values(&["registrations_of_address"]),
            registrations_of_device: refusals.with_label_values(&["registrations_of_device"]),
            password_hashes: refusals.with_label_values(&["password_hashes"]),
            refusals: ByRule::of(&refusals),
            locks: ByRule::of(&locks),
            known_devices: single(
                "playgate_account_risk_known_devices_total",
                "Attempts past a lock, because the account knows the device.",
            )?,
            unanswered: single(
                "playgate_account_risk_unanswered_total",
                "Questions that the shared state did not answer, so that nobody was refused.",
            )?,
        })
    }

    pub(super) fn refused_by(&self, rule: Rule) {
        self.refusals.of_rule(rule).inc();
    }

    pub(super) fn locked_by(&self, rule: Rule) {
        self.locks.of_rule(rule).inc();
    }

    pub(super) fn blocked(&self, why: Blocked) {
        match why {
            Blocked::Address => self.blocked_address.inc(),
            Blocked::Device => self.blocked_device.inc(),
        }
    }

    pub(super) fn banned(&self, what: Blocked) {
        match what {
            Blocked::Address => self.banned_address.inc(),
            Blocked::Device => self.banned_device.inc(),
        }
    }
}

impl ByRule {
    fn of(family: &IntCounterVec) -> Self {
        Self(RULES.map(|rule| family.with_label_values(&[rule.label()])))
    }

    fn of_rule(&self, rule: Rule) -> &IntCounter {
        let place = match rule {
            Rule::KnownDevice => 0,
            Rule::Account => 1,
            Rule::Device => 2,
            Rule::Address => 3,
            Rule::Stuffing => 4,
            Rule::DeviceSecret => 5,
        };
        &self.0[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_counted_under_its_own_name() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).expect("a new registry");
        for (times, rule) in RULES.into_iter().enumerate() {
            for _ in 0..=times {
                metrics.refused_by(rule);
            }
        }
        let text = common::telemetry::encode(&registry).expect("metrics");
        for (times, rule) in RULES.into_iter().enumerate() {
            let line = format!("playgate_account_risk_refusals_total{{rule=\"{}\"}} {}", rule.label(), times + 1);
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }
}

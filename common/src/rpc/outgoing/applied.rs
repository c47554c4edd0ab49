//! The rules as they apply to one callee, with the state that belongs to them, and what of it survives when they change.

use std::sync::Arc;

use govern::{
    backup::Backup,
    balance::BalanceConfig,
    breaker::Breaker,
    ejection::Ejection,
    retry::RetryBudget,
    rules::{CalleeRules, Rules, Switches},
};

use super::super::contract::Method;

/// What is in force for one callee.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) switches: Switches,
    pub(super) rules: CalleeRules,
    /// One for each method.
    pub(super) breakers: Arc<[Breaker]>,
    /// For each method that has a backup.
    pub(super) backups: Arc<[Option<Backup>]>,
    /// Pays for every repeat.
    pub(super) budget: Arc<RetryBudget>,
    pub(super) ejection: Arc<Ejection>,
}

impl Applied {
    /// Of a callee of which nothing is known.
    pub(super) fn new(rules: &Rules, callee: &str, methods: &[Method]) -> Self {
        let (switches, rules) = (rules.switches, *rules.callee(callee));
        Self {
            switches,
            rules,
            breakers: methods.iter().map(|_| Breaker::new(rules.breaker)).collect(),
            backups: methods.iter().map(|method| method.has_backup.then(|| Backup::new(rules.backup))).collect(),
            budget: Arc::new(RetryBudget::new(rules.retry)),
            ejection: Arc::new(Ejection::new(rules.ejection)),
        }
    }

    /// Under other rules. What a part has learned it keeps while its own rules are the same: a change of one limit must
    /// not close the breakers. One that is turned off begins anew when it is turned on.
    pub(super) fn under(&self, rules: &Rules, callee: &str, methods: &[Method]) -> Self {
        let mut next = Self::new(rules, callee, methods);
        let was = &self.rules;
        if was.breaker == next.rules.breaker && self.switches.breaker == next.switches.breaker {
            next.breakers = Arc::clone(&self.breakers);
        }
        if was.backup == next.rules.backup {
            next.backups = Arc::clone(&self.backups);
        }
        if was.retry == next.rules.retry {
            next.budget = Arc::clone(&self.budget);
        }
        if was.ejection == next.rules.ejection {
            next.ejection = Arc::clone(&self.ejection);
        }
        next
    }

    /// How instances are compared.
    pub(super) fn balance(&self) -> &BalanceConfig {
        &self.rules.balance
    }
}

#[cfg(test)]
mod tests {
    use govern::retry::RetryConfig;

    use super::*;
    use crate::rpc::{AccountContract, Contract};

    #[test]
    fn what_was_learned_stays_while_its_own_rules_do() {
        let applied = Applied::new(&Rules::default(), "account", AccountContract::METHODS);
        let mut rules = Rules::default();
        rules.callee.retry = RetryConfig { floor_per_second: 7, ..RetryConfig::default() };
        let next = applied.under(&rules, "account", AccountContract::METHODS);
        assert!(Arc::ptr_eq(&applied.breakers, &next.breakers) && Arc::ptr_eq(&applied.backups, &next.backups));
        assert!(!Arc::ptr_eq(&applied.budget, &next.budget));

        rules.switches.breaker = false;
        let off = next.under(&rules, "account", AccountContract::METHODS);
        assert!(!Arc::ptr_eq(&next.breakers, &off.breakers));
    }
}

//! [`Routes`]: limits of this process by class of routes, which follow the rules.

use std::collections::BTreeMap;

use arc_swap::ArcSwap;
use govern::{
    Moment,
    gcra::{Cell, Decision, Rate},
    priority::Class,
    rules::RouteRules,
};

/// One rate and its state per class.
#[derive(Debug, Default)]
pub(super) struct Routes {
    rates: ArcSwap<[Option<Rate>; Class::SHED_ORDER.len()]>,
    cells: [Cell; Class::SHED_ORDER.len()],
}

impl Routes {
    /// Applies the rules. What was used stays used.
    pub(super) fn follow(&self, rules: &BTreeMap<Class, RouteRules>, is_on: bool) {
        let rate =
            |class: Class| rules.get(&class).and_then(|rule| rule.rate).filter(|_| is_on).map(|rule| rule.rate());
        self.rates.store(std::sync::Arc::new(Class::SHED_ORDER.map(rate)));
    }

    /// Whether any class is limited.
    pub(super) fn is_on(&self) -> bool {
        self.rates.load().iter().any(Option::is_some)
    }

    /// Decides on a request and charges it; `None` if its class is not limited.
    pub(super) fn check(&self, class: Class, now: Moment) -> Option<(Rate, Decision)> {
        let rate = self.rates.load()[class.index()]?;
        Some((rate, self.cells[class.index()].check(&rate, now, 1)))
    }
}

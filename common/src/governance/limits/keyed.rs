//! [`Keyed`]: a limit by key of this process, which follows the rules.

use std::{hash::Hash, sync::Arc};

use arc_swap::ArcSwap;
use govern::{
    Moment,
    gcra::{Decision, Rate},
    keyed_limit::KeyedLimit,
    rules::KeyRule,
};

/// The table of one kind of keys. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyed(Arc<ArcSwap<InForce>>);

#[derive(Debug, Default)]
struct InForce {
    /// Absent: this kind is not limited.
    rate: Option<Rate>,
    /// There as long as the rules have a rate, whether or not limits are switched on.
    table: Option<Table>,
}

#[derive(Clone, Debug)]
struct Table {
    keys: Arc<KeyedLimit>,
    /// As configured; the table has rounded it up.
    capacity: usize,
}

impl Keyed {
    /// Applies a rule. Another rate goes on from what each key has used; another capacity starts anew.
    pub(super) fn follow(&self, rule: &KeyRule, is_on: bool) {
        let kept = self.0.load().table.clone().filter(|table| table.capacity == rule.capacity);
        let table = rule.rate.map(|_| kept.unwrap_or_else(|| Table::of(rule.capacity)));
        let rate = rule.rate.filter(|_| is_on).map(|rule| rule.rate());
        self.0.store(Arc::new(InForce { rate, table }));
    }

    /// Decides on a request by `key` and charges it; `None` if this kind is not limited.
    pub(super) fn check(&self, key: &(impl Hash + ?Sized), now: Moment) -> Option<(Rate, Decision)> {
        let in_force = self.0.load();
        let (rate, table) = (in_force.rate?, in_force.table.as_ref()?);
        Some((rate, table.keys.check(key, &rate, now, 1)))
    }

    /// Whether this kind is limited.
    pub(super) fn is_on(&self) -> bool {
        self.0.load().rate.is_some()
    }

    /// How many keys have used anything that has not come back yet. Walks the table.
    pub(super) fn active(&self, now: Moment) -> usize {
        self.0.load().table.as_ref().map_or(0, |table| table.keys.active(now))
    }
}

impl Table {
    fn of(capacity: usize) -> Self {
        Self { keys: Arc::new(KeyedLimit::with_capacity(capacity)), capacity }
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use govern::rules::RateRule;

    use super::*;

    const NOW: Moment = Moment::from_nanos(1_000_000_000_000);

    fn rule(limit: u32) -> KeyRule {
        let limit = NonZeroU32::new(limit).expect("positive");
        let rate = RateRule { limit, per: Duration::from_secs(60), burst: None };
        KeyRule { rate: Some(rate), ..KeyRule::default() }
    }

    fn allowed(keyed: &Keyed, key: &str) -> Option<bool> {
        keyed.check(key, NOW).map(|(_, decision)| decision.is_allowed())
    }

    #[test]
    fn a_changed_rate_goes_on_from_what_was_used() {
        let keyed = Keyed::default();
        assert_eq!(allowed(&keyed, "ann"), None, "no rate, no limit");
        keyed.follow(&rule(2), true);
        assert_eq!(
            [allowed(&keyed, "ann"), allowed(&keyed, "ann"), allowed(&keyed, "ann")],
            [Some(true), Some(true), Some(false)]
        );
        keyed.follow(&rule(4), true);
        assert_eq!(allowed(&keyed, "ann"), Some(false), "a minute's worth is used, at whatever rate");
        assert_eq!(allowed(&keyed, "bob"), Some(true));
    }

    #[test]
    fn what_is_switched_off_limits_nobody_and_forgets_nobody() {
        let keyed = Keyed::default();
        keyed.follow(&rule(1), true);
        assert_eq!(allowed(&keyed, "ann"), Some(true));
        keyed.follow(&rule(1), false);
        assert_eq!(allowed(&keyed, "ann"), None);
        keyed.follow(&rule(1), true);
        assert_eq!(allowed(&keyed, "ann"), Some(false));
        keyed.follow(&KeyRule::default(), true);
        assert_eq!((allowed(&keyed, "ann"), keyed.active(NOW)), (None, 0), "no rate, no table");
    }
}

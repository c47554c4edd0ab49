//! [`Quotas`]: limits by key that all replicas share, given out from leases.
//!
//! The rule is [`govern::lease`]; the shared limiter is [`SharedState`]. A request that finds units takes one and goes
//! on. The one that finds few left has more asked for in a task of its own and goes on, too. One that finds none waits
//! for the answer to a question that is on its way, and at most `lease.patience`; then this replica decides alone.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    num::NonZeroU32,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use futures_util::{StreamExt, stream};
use govern::{
    gcra::{Decision, Rate},
    lease::{LeaseConfig, LeasedQuota, Take},
    rules::QuotaRule,
};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use super::{LimitsParts, metrics::LeaseMetrics};
use crate::{governance::Governance, lifecycle::RequestTasks, shared::SharedState};

/// Leases that are given back at one time.
const GIVEN_BACK_AT_ONCE: usize = 64;

/// The quotas of one kind of keys. Cheap to clone; all clones are one.
#[derive(Debug)]
pub(super) struct Quotas<K>(Arc<Shared<K>>);

struct Shared<K> {
    /// What its keys begin with in the shared state.
    prefix: &'static str,
    rules: ArcSwap<InForce<K>>,
    held: papaya::HashMap<K, Arc<Quota>>,
    /// Of those for whom there is no room.
    others: Arc<Quota>,
    replicas: NonZeroU32,
    limiter: Arc<dyn SharedState>,
    governance: Governance,
    tasks: RequestTasks,
    metrics: LeaseMetrics,
}

/// The rules as they are looked up.
struct InForce<K> {
    rate: Option<Rate>,
    overrides: HashMap<K, Rate>,
    capacity: usize,
    lease: LeaseConfig,
}

/// One key's quota in this replica.
struct Quota {
    /// Its key in the shared state.
    key: String,
    lease: Mutex<LeasedQuota>,
    /// Somebody who asked the shared limiter has an answer, or knows that there is none.
    answered: Notify,
}

/// How far a request has come.
enum Step {
    Decided(Decision),
    /// The answer to a question decides.
    Waits,
}

impl<K> Quotas<K>
where
    K: Clone + Eq + Hash + fmt::Display + Send + Sync + 'static,
{
    pub(super) fn new(prefix: &'static str, parts: &LimitsParts, metrics: LeaseMetrics) -> Self {
        let (replicas, lease) = (parts.replicas, LeaseConfig::default());
        let nobody = Rate::new(NonZeroU32::MIN, Duration::from_secs(1));
        let quota = LeasedQuota::new(nobody, replicas, lease);
        Self(Arc::new(Shared {
            prefix,
            rules: ArcSwap::from_pointee(InForce { rate: None, overrides: HashMap::new(), capacity: 1, lease }),
            held: papaya::HashMap::new(),
            others: Arc::new(Quota::new(format!("{prefix}-others"), quota)),
            replicas,
            limiter: Arc::clone(&parts.shared),
            governance: parts.governance.clone(),
            tasks: parts.tasks.clone(),
            metrics,
        }))
    }

    /// Applies a rule. Quotas go on from what they have used and hold. `key_of` reads the key of an override.
    pub(super) fn follow(&self, rule: &QuotaRule, lease: LeaseConfig, is_on: bool, key_of: impl Fn(&str) -> Option<K>) {
        let overrides = rule.overrides.iter().filter(|_| is_on);
        self.0.rules.store(Arc::new(InForce {
            rate: rule.rate.filter(|_| is_on).map(|rule| rule.rate()),
            overrides: overrides.filter_map(|(key, rule)| Some((key_of(key)?, rule.rate()))).collect(),
            capacity: rule.capacity,
            lease,
        }));
    }

    /// Takes a unit for a request by `key`; `None` if it is not limited. Waits at most for `lease.patience`.
    pub(super) async fn take(&self, key: &K) -> Option<(Rate, Decision)> {
        let (quota, rate, lease) = {
            let rules = self.0.rules.load();
            let rate = *rules.overrides.get(key).or(rules.rate.as_ref())?;
            (self.quota(key, rate, &rules), rate, rules.lease)
        };
        let decision = match self.step(&quota, rate, lease) {
            Step::Decided(decision) => decision,
            // Boxed: nearly every request ends above, and would carry the room for what is below.
            Step::Waits => Box::pin(self.wait(&quota, rate, lease)).await,
        };
        Some((rate, decision))
    }

    /// Gives back what lies about unused, and forgets quotas that nobody uses.
    pub(super) async fn tidy(&self) {
        let now = self.0.governance.now();
        let (mut unused, mut idle) = (Vec::new(), Vec::new());
        for (key, quota) in &self.0.held.pin() {
            let mut lease = quota.lease();
            match NonZeroU32::new(lease.unneeded(now)) {
                Some(units) => unused.push((Arc::clone(quota), units)),
                None if lease.is_idle(now) => idle.push((key.clone(), Arc::clone(quota))),
                None => {}
            }
        }
        for (key, quota) in idle {
            // Whoever took it meanwhile keeps what it has, and gives nothing back.
            let _ = self.0.held.pin().remove_if(&key, |_, held| Arc::ptr_eq(held, &quota) && held.lease().is_idle(now));
        }
        self.give_back(unused).await;
    }

    /// Gives back everything: at the end of the process.
    pub(super) async fn give_back_all(&self) {
        let of = |quota: &Arc<Quota>| Some((Arc::clone(quota), NonZeroU32::new(quota.lease().all())?));
        let all = self.0.held.pin().values().filter_map(of).collect();
        self.give_back(all).await;
    }

    /// How many keys have a quota here.
    pub(super) fn held(&self) -> usize {
        self.0.held.len()
    }

    async fn give_back(&self, unused: Vec<(Arc<Quota>, NonZeroU32)>) {
        let metrics = &self.0.metrics;
        let given = stream::iter(unused).map(|(quota, units)| async move {
            let rate = quota.lease().rate();
            // What can't be given back makes the limit stricter for a moment.
            if self.0.limiter.give_back(&quota.key, &rate, units).await.is_ok() {
                metrics.given_back.inc();
                metrics.units_back.inc_by(u64::from(units.get()));
            }
        });
        given.buffer_unordered(GIVEN_BACK_AT_ONCE).for_each(|()| async {}).await;
    }

    fn quota(&self, key: &K, rate: Rate, rules: &InForce<K>) -> Arc<Quota> {
        let held = self.0.held.pin();
        if let Some(quota) = held.get(key) {
            return Arc::clone(quota);
        }
        if held.len() >= rules.capacity {
            return Arc::clone(&self.0.others);
        }
        let new = || {
            let lease = LeasedQuota::new(rate, self.0.replicas, rules.lease);
            Arc::new(Quota::new(format!("{}:{key}", self.0.prefix), lease))
        };
        Arc::clone(held.get_or_insert_with(key.clone(), new))
    }

    /// Takes a unit if that can be decided now, and has more asked for when it is time.
    fn step(&self, quota: &Arc<Quota>, rate: Rate, config: LeaseConfig) -> Step {
        let now = self.0.governance.now();
        let (take, alone) = {
            let mut lease = quota.lease();
            lease.govern(rate, self.0.replicas, config);
            (lease.take(now), lease.is_alone())
        };
        let decided = |decision| {
            if alone {
                self.0.metrics.alone.inc();
            }
            Step::Decided(decision)
        };
        match take {
            Take::Admitted { ask } => {
                if let Some(units) = ask {
                    self.ask(quota, rate, units);
                }
                // How much is left at all replicas together nobody here knows.
                decided(Decision::Allowed { remaining: rate.burst.get(), full_in: Duration::ZERO })
            }
            Take::Refused { retry_after } => decided(Decision::Refused { retry_after }),
            Take::Ask(units) => {
                self.ask(quota, rate, units);
                Step::Waits
            }
            Take::Wait(_) => Step::Waits,
        }
    }

    /// Waits until the question that is on its way is answered.
    async fn wait(&self, quota: &Arc<Quota>, rate: Rate, config: LeaseConfig) -> Decision {
        let (until, mut heard) = (Instant::now() + config.patience, false);
        loop {
            let mut answered = pin!(quota.answered.notified());
            // From here on an answer is not missed.
            answered.as_mut().enable();
            if let Step::Decided(decision) = self.step(quota, rate, config) {
                return decision;
            }
            if timeout_at(until, answered).await.is_ok() {
                heard = true;
                continue;
            }
            if !heard {
                // As if it were away: this replica decides alone until it is heard again.
                quota.lease().unavailable(self.0.governance.now());
                quota.answered.notify_waiters();
            }
            return match self.step(quota, rate, config) {
                Step::Decided(decision) => decision,
                // There were answers, and others were faster, as many as could be let in.
                Step::Waits => Decision::Refused { retry_after: config.horizon },
            };
        }
    }

    /// Asks the shared limiter. In a task without the request's deadline: many wait for this answer, and a caller that
    /// goes away must not take it along.
    fn ask(&self, quota: &Arc<Quota>, rate: Rate, units: NonZeroU32) {
        let (shared, quota) = (Arc::clone(&self.0), Arc::clone(quota));
        self.0.tasks.tracker().spawn(async move {
            let answer = shared.limiter.lease(&quota.key, &rate, units).await;
            let now = shared.governance.now();
            let metrics = &shared.metrics;
            match answer {
                Ok(lease) => {
                    quota.lease().granted(now, lease.granted, lease.next_in);
                    let outcome = if lease.granted == units.get() { &metrics.granted } else { &metrics.short };
                    outcome.inc();
                    metrics.units.inc_by(u64::from(lease.granted));
                }
                // Told once where it is noticed: the state says when it is away and when it is back.
                Err(_) => {
                    quota.lease().unavailable(now);
                    metrics.unavailable.inc();
                }
            }
            quota.answered.notify_waiters();
        });
    }
}

impl<K> Clone for Quotas<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> fmt::Debug for Shared<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Quotas").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Quota {
    fn new(key: String, lease: LeasedQuota) -> Self {
        Self { key, lease: Mutex::new(lease), answered: Notify::new() }
    }

    fn lease(&self) -> MutexGuard<'_, LeasedQuota> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! One callee: what is in force for it and what is known of it. Shared by all calls to it; nothing here is held across
//! an await.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use govern::{Moment, bulkhead::Bulkhead, rules::Rules};

use super::{
    super::{
        client::{ClientConfig, ClientParts},
        contract::{Contract, Method},
    },
    applied::Applied,
    instances::Instances,
    metrics::CalleeMetrics,
};
use crate::{clock::SharedRandom, discovery::Discovery, governance::Governance};

/// A service that is called.
#[derive(Debug)]
pub(super) struct Callee {
    pub(super) service: &'static str,
    /// Who calls it.
    pub(super) caller: &'static str,
    pub(super) methods: &'static [Method],
    pub(super) metrics: CalleeMetrics,
    pub(super) random: SharedRandom,
    pub(super) max_attempts: usize,
    /// See [`ClientConfig::attempt_timeout`]; never longer than a whole call may take.
    pub(super) patience: Duration,
    /// One for all methods, and whatever rules: what it counts is under way.
    pub(super) bulkhead: Arc<Bulkhead>,
    applied: ArcSwap<Applied>,
    instances: ArcSwap<Instances>,
    /// Held by whoever takes over another list: two would make two of each new instance.
    taking_over: Mutex<()>,
    governance: Governance,
}

impl Callee {
    /// A callee that follows the list of discovery and the rules in force.
    pub(super) fn new<C: Contract>(discovery: &dyn Discovery, config: &ClientConfig, parts: &ClientParts) -> Arc<Self> {
        let ClientParts { caller, random, metrics, governance } = parts.clone();
        let rules = governance.current();
        let callee = Arc::new(Self {
            service: C::SERVICE,
            caller,
            methods: C::METHODS,
            metrics: metrics.outgoing.of(C::SERVICE, C::METHODS),
            random,
            max_attempts: config.max_attempts,
            patience: config.attempt_timeout.min(config.timeout),
            bulkhead: Bulkhead::new(rules.callee(C::SERVICE).in_flight),
            applied: ArcSwap::from_pointee(Applied::new(&rules, C::SERVICE, C::METHODS)),
            instances: ArcSwap::from_pointee(Instances::first(discovery.watch(C::SERVICE))),
            taking_over: Mutex::new(()),
            governance: governance.clone(),
        });
        // A client that is gone is not kept by the rules.
        let follower = Arc::downgrade(&callee);
        governance.follow(move |rules| {
            if let Some(callee) = Weak::upgrade(&follower) {
                callee.apply(rules);
            }
        });
        callee
    }

    /// Now, as the rules count time.
    pub(super) fn now(&self) -> Moment {
        self.governance.now()
    }

    /// What is in force.
    pub(super) fn applied(&self) -> Arc<Applied> {
        self.applied.load_full()
    }

    /// The instances, as discovery knows them now.
    pub(super) fn instances(&self) -> Arc<Instances> {
        let instances = self.instances.load_full();
        if !instances.is_outdated() {
            return instances;
        }
        let _taking_over = self.taking_over.lock().unwrap_or_else(PoisonError::into_inner);
        let instances = self.instances.load_full();
        if !instances.is_outdated() {
            return instances;
        }
        let next = Arc::new(instances.next(self.now()));
        self.instances.store(Arc::clone(&next));
        next
    }

    fn apply(&self, rules: &Rules) {
        let next = self.applied.load().under(rules, self.service, self.methods);
        self.bulkhead.set_limit(next.rules.in_flight);
        let is_ejecting = next.switches.ejection;
        self.applied.store(Arc::new(next));
        if !is_ejecting {
            // Who is left out would stay so until a probe.
            for known in self.instances.load().known() {
                known.0.endpoint.standing().succeeded();
            }
        }
    }
}

//! The instances of a callee: what is known of each, and what stays known when the list changes.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use govern::{Moment, endpoint::Endpoint, lane::LaneName};
use tokio::sync::watch;

use crate::discovery;

/// The list as it was when somebody last looked. Calls keep the one they began with: a place in it is always the same
/// instance.
#[derive(Debug)]
pub(super) struct Instances {
    /// Knows whether there is another list by now.
    watched: watch::Receiver<Arc<discovery::Instances>>,
    known: Vec<Known>,
}

/// One of them.
#[derive(Clone, Debug)]
pub(super) struct Known(pub(super) Arc<Instance>);

/// What is known of an instance.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) address: SocketAddr,
    pub(super) endpoint: Endpoint,
    /// When it last showed that it lives, in nanoseconds of a [`Moment`]. 0: never.
    last_sign: AtomicU64,
    /// When the first call began that it has been silent on since then. 0: there is none.
    silent_since: AtomicU64,
}

impl Instances {
    /// The first list: everybody on it has its full weight.
    pub(super) fn first(watched: watch::Receiver<Arc<discovery::Instances>>) -> Self {
        Self { watched, known: Vec::new() }.next(Moment::START)
    }

    /// Whether there is another list.
    pub(super) fn is_outdated(&self) -> bool {
        // Whoever told is gone and will tell no more.
        self.watched.has_changed().unwrap_or(false)
    }

    /// The list as it is at `now`. Of an instance at a known address in the same lane everything stays known. A new one
    /// begins with little of its weight, unless there was nobody before it. One that is on the list no longer is
    /// forgotten: where instances come and go at ever new addresses, that is what keeps this from growing.
    pub(super) fn next(&self, now: Moment) -> Self {
        let mut watched = self.watched.clone();
        let list = Arc::clone(&watched.borrow_and_update());
        let weights = Weights::of(&list);
        let known = list.iter().filter_map(|instance| {
            let lane = Lane::of(instance)?;
            let weight = weights.weight(instance, lane);
            let is_same = |known: &&Known| known.0.address == instance.address && known.lane() == lane;
            if let Some(known) = self.known.iter().find(is_same) {
                known.0.endpoint.set_weight(weight);
                return Some(known.clone());
            }
            let endpoint = Endpoint::new(weight, lane.name());
            let endpoint = if self.known.is_empty() { endpoint } else { endpoint.joined(now) };
            Some(Known(Arc::new(Instance::new(instance.address, endpoint))))
        });
        let known = known.collect();
        Self { watched, known }
    }

    /// All of them, each in its place.
    pub(super) fn known(&self) -> &[Known] {
        &self.known
    }
}

/// The lane an instance is in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lane {
    Base,
    Named(LaneName),
}

impl Lane {
    /// Nothing for one that is in a lane of an impossible name: no request is in that lane, and those of the base are not
    /// meant for it.
    fn of(instance: &discovery::Instance) -> Option<Self> {
        match instance.lane.as_deref() {
            None | Some("") => Some(Self::Base),
            Some(name) => LaneName::parse(name).ok().map(Self::Named),
        }
    }

    fn name(self) -> Option<LaneName> {
        match self {
            Self::Base => None,
            Self::Named(name) => Some(name),
        }
    }
}

/// What the weights of a list mean. Where no instance of the base has one, all of those have the same: whoever knows
/// the instances is believed about who is there, never about nobody being there. A lane without weights is left to the
/// base.
struct Weights {
    base_has_none: bool,
}

impl Weights {
    fn of(list: &discovery::Instances) -> Self {
        let mut base = list.iter().filter(|instance| Lane::of(instance) == Some(Lane::Base));
        Self { base_has_none: base.all(|instance| instance.weight == 0) }
    }

    fn weight(&self, instance: &discovery::Instance, lane: Lane) -> f64 {
        if lane == Lane::Base && self.base_has_none { 1.0 } else { f64::from(instance.weight) }
    }
}

impl Known {
    fn lane(&self) -> Lane {
        self.0.endpoint.lane().map_or(Lane::Base, |name| Lane::Named(*name))
    }
}

impl Instance {
    fn new(address: SocketAddr, endpoint: Endpoint) -> Self {
        Self { address, endpoint, last_sign: AtomicU64::new(0), silent_since: AtomicU64::new(0) }
    }

    /// It showed that it lives: whatever was held against it is forgotten.
    pub(super) fn lives(&self, now: Moment) {
        self.last_sign.store(now.as_nanos(), Relaxed);
        if self.silent_since.load(Relaxed) != 0 {
            self.silent_since.store(0, Relaxed);
        }
        self.endpoint.standing().succeeded();
    }

    /// A call that began at `began` got no answer for as long as it was waited for. Whether that makes `patience` in
    /// which it was asked and nothing at all was heard of it: one that has answered anything since is slow with that
    /// call and not gone.
    pub(super) fn is_silent(&self, began: Moment, now: Moment, patience: Duration) -> bool {
        if self.last_sign.load(Relaxed) >= began.as_nanos() {
            return false;
        }
        let earliest = |since: u64| Some(if since == 0 { began.as_nanos() } else { since.min(began.as_nanos()) });
        let since = self.silent_since.fetch_update(Relaxed, Relaxed, earliest).unwrap_or(0);
        let since = if since == 0 { began.as_nanos() } else { since.min(began.as_nanos()) };
        now.since(Moment::from_nanos(since)) >= patience
    }
}

impl AsRef<Endpoint> for Known {
    fn as_ref(&self) -> &Endpoint {
        &self.0.endpoint
    }
}

impl AsRef<Endpoint> for Instance {
    fn as_ref(&self) -> &Endpoint {
        &self.endpoint
    }
}

#[cfg(test)]
mod tests {
    use govern::{balance::BalanceConfig, endpoint::Pending};

    use super::*;

    const NOW: Moment = Moment::from_nanos(1_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn instance(port: u16, weight: u32, lane: Option<&str>) -> discovery::Instance {
        let at = discovery::Instance::at(SocketAddr::from(([127, 0, 0, 1], port)));
        discovery::Instance { weight, lane: lane.map(str::to_owned), ..at }
    }

    fn told(list: Vec<discovery::Instance>) -> watch::Sender<Arc<discovery::Instances>> {
        watch::Sender::new(Arc::new(discovery::Instances::new(list)))
    }

    fn weights(instances: &Instances, now: Moment) -> Vec<f64> {
        instances.known().iter().map(|known| known.0.endpoint.weight(&BalanceConfig::default(), now)).collect()
    }

    #[test]
    fn who_stays_on_the_list_stays_known_and_who_comes_begins_with_little() {
        let told = told(vec![instance(1, 1, None), instance(2, 1, None)]);
        let first = Instances::first(told.subscribe());
        assert_eq!(weights(&first, NOW), [1.0, 1.0], "nobody was called before them");
        Pending::begin(Arc::clone(&first.known()[1].0), NOW).ended(&BalanceConfig::default(), NOW + SECOND, false);

        assert!(!first.is_outdated());
        let list = discovery::Instances::new(vec![instance(3, 1, None), instance(2, 4, None)]);
        told.send_replace(Arc::new(list));
        assert!(first.is_outdated());
        let next = first.next(NOW);
        assert!(!next.is_outdated());
        assert_eq!(weights(&next, NOW), [0.1, 4.0]);
        assert_eq!(weights(&next, NOW + 60 * SECOND), [1.0, 4.0]);
        assert!(next.known()[1].0.endpoint.expected(&BalanceConfig::default(), NOW).is_some(), "it is the same one");
        assert!(next.known()[0].0.endpoint.expected(&BalanceConfig::default(), NOW).is_none());
    }

    #[test]
    fn an_address_in_another_lane_is_another_instance() {
        let told = told(vec![instance(1, 1, Some("blue")), instance(2, 1, None)]);
        let first = Instances::first(told.subscribe());
        let list = vec![instance(1, 1, None), instance(2, 1, Some("Not One"))];
        told.send_replace(Arc::new(discovery::Instances::new(list)));
        let next = first.next(NOW);
        assert_eq!(next.known().len(), 1, "no request is in a lane of an impossible name");
        assert!(!Arc::ptr_eq(&first.known()[0].0, &next.known()[0].0));
        assert_eq!(next.known()[0].0.endpoint.lane(), None);
    }

    #[test]
    fn where_no_instance_of_the_base_has_a_weight_all_of_them_get_calls_alike() {
        let told = told(vec![instance(1, 0, None), instance(2, 0, None), instance(3, 0, Some("blue"))]);
        assert_eq!(weights(&Instances::first(told.subscribe()), NOW), [1.0, 1.0, 0.0]);
    }

    #[test]
    fn silence_counts_from_the_first_call_since_the_last_sign_of_life() {
        let instance = Instance::new(SocketAddr::from(([127, 0, 0, 1], 1)), Endpoint::new(1.0, None));
        let after = |millis: u64| NOW + Duration::from_millis(millis);
        assert!(!instance.is_silent(after(0), after(5), SECOND), "it just took longer");
        assert!(!instance.is_silent(after(500), after(505), SECOND));
        assert!(instance.is_silent(after(1000), after(1005), SECOND), "and again, and nothing else was heard");
        instance.lives(after(1010));
        assert!(!instance.is_silent(after(900), after(2500), SECOND), "it has answered since");
        assert!(!instance.is_silent(after(2000), after(2005), SECOND));
        assert!(instance.is_silent(after(2000), after(3000), SECOND));
    }
}

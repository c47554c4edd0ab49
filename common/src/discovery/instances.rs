//! What is known of the instances of a service, and the trait of those who know.

use std::{net::SocketAddr, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Knows the instances of every role.
pub trait Discovery: Send + Sync {
    /// The instances of `service` (`account`, `setting`, `pay`), now and whenever they change. A service that nobody
    /// has heard of has none.
    fn watch(&self, service: &str) -> watch::Receiver<Arc<Instances>>;

    /// Waits until something is known of every service that is watched: fresh, or from an earlier run. Bounded: a
    /// process starts without what it can't find out in time, and takes it up when it arrives.
    fn settled(&self) -> BoxFuture<'_, ()> {
        std::future::ready(()).boxed()
    }
}

/// One running server of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Where it takes RPC connections.
    pub address: SocketAddr,
    /// Its share of the calls, relative to the other instances of its lane. 0: it gets none, unless it is of the base and
    /// all of those have 0.
    pub weight: u32,
    /// The lane it says it is in; absent, the base. Calls of requests in a lane go to its instances, all others to those
    /// of the base.
    pub lane: Option<String>,
    /// The version it runs, as it says itself; empty when it does not.
    pub version: String,
}

/// The instances of a service. Replaced as a whole when anything changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Instances(Vec<Instance>);

impl Instance {
    /// An instance of which only the address is known.
    pub fn at(address: SocketAddr) -> Self {
        Self { address, weight: 1, lane: None, version: String::new() }
    }
}

impl Instances {
    /// From a list; an address that appears twice counts once, as it appeared first.
    pub fn new(list: Vec<Instance>) -> Self {
        let mut unique: Vec<Instance> = Vec::with_capacity(list.len());
        for instance in list {
            if unique.iter().all(|known| known.address != instance.address) {
                unique.push(instance);
            }
        }
        Self(unique)
    }

    /// From a list whose order means nothing: the same instances are equal, however they came.
    pub(super) fn unordered(mut list: Vec<Instance>) -> Self {
        list.sort_by_key(|instance| instance.address);
        Self::new(list)
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Instance> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_appears_twice_is_one_instance() {
        let (one, other) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2)));
        let instances = Instances::new(vec![Instance::at(one), Instance::at(other), Instance::at(one)]);
        let addresses: Vec<_> = instances.iter().map(|instance| instance.address).collect();
        assert_eq!(addresses, [one, other]);
    }

    #[test]
    fn where_order_means_nothing_another_order_is_no_other_list() {
        let (one, other) = (SocketAddr::from(([127, 0, 0, 1], 1)), SocketAddr::from(([127, 0, 0, 1], 2)));
        let list = |addresses: [SocketAddr; 2]| Instances::unordered(addresses.map(Instance::at).into());
        assert_eq!(list([one, other]), list([other, one]));
    }
}

//! How many connections may be open: in all, and per client address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::TrustedNetworks;

/// The doorkeeper of one edge.
#[derive(Debug)]
pub(super) struct Admission {
    slots: Arc<Semaphore>,
    shares: Arc<Shares>,
    trusted: TrustedNetworks,
}

/// Held while a connection is open.
#[derive(Debug)]
pub(super) struct Admitted {
    _slot: OwnedSemaphorePermit,
    _share: Option<Share>,
}

/// What each address has open. Holds an entry only while a connection of that address is open, so the cap on all
/// connections bounds it.
#[derive(Debug)]
struct Shares {
    limit: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection of an address.
#[derive(Debug)]
struct Share {
    shares: Arc<Shares>,
    address: IpAddr,
}

impl Admission {
    /// At most `limit` connections, and `per_address` for each address that is not trusted.
    pub(super) fn new(limit: usize, per_address: usize, trusted: TrustedNetworks) -> Self {
        let shares = Shares { limit: per_address, open: Mutex::new(HashMap::new()) };
        Self { slots: Arc::new(Semaphore::new(limit)), shares: Arc::new(shares), trusted }
    }

    /// Waits for a free slot. Taken before accepting, so that what exceeds the cap waits in the kernel's queue.
    pub(super) async fn slot(&self) -> OwnedSemaphorePermit {
        match Arc::clone(&self.slots).acquire_owned().await {
            Ok(slot) => slot,
            // The semaphore is never closed; if it were, no connection may be accepted any more.
            Err(_) => std::future::pending().await,
        }
    }

    /// A free slot, if there is one now.
    pub(super) fn free_slot(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_owned().ok()
    }

    /// Lets an accepted connection in, unless its address has too many. `peer` is `None` on a unix socket.
    pub(super) fn admit(&self, slot: OwnedSemaphorePermit, peer: Option<IpAddr>) -> Option<Admitted> {
        let share = match peer.map(|peer| peer.to_canonical()) {
            // A local process is not the stranger this cap protects from, and a proxy stands for many clients.
            None => None,
            Some(peer) if peer.is_loopback() || self.trusted.contains(peer) => None,
            Some(peer) => Some(self.shares.take(network_of(peer))?),
        };
        Some(Admitted { _slot: slot, _share: share })
    }
}

impl Shares {
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Share { shares: Arc::clone(self), address })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.shares.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

/// An IPv6 client has a whole /64 network to pick addresses from, so that network is what counts as one client.
fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limit: usize, per_address: usize) -> Admission {
        Admission::new(limit, per_address, TrustedNetworks::new(&["10.0.0.0/8".parse().unwrap()]))
    }

    fn admit(admission: &Admission, peer: &str) -> Option<Admitted> {
        admission.admit(admission.free_slot().expect("a free slot"), Some(peer.parse().unwrap()))
    }

    #[test]
    fn one_address_can_not_take_all_connections_and_gets_its_share_back() {
        let admission = admission(100, 2);
        let first = admit(&admission, "203.0.113.9").expect("the first");
        let _second = admit(&admission, "203.0.113.9").expect("the second");
        assert!(admit(&admission, "203.0.113.9").is_none());
        assert!(admit(&admission, "::ffff:203.0.113.9").is_none(), "the same client in IPv6 clothes");
        assert!(admit(&admission, "203.0.113.10").is_some(), "another address is unaffected");
        drop(first);
        assert!(admit(&admission, "203.0.113.9").is_some());
    }

    #[test]
    fn an_ipv6_client_can_not_multiply_itself_within_its_network() {
        let admission = admission(100, 1);
        let _held = admit(&admission, "2001:db8::1").expect("the first");
        assert!(admit(&admission, "2001:db8::2").is_none());
        assert!(admit(&admission, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn proxies_and_local_processes_stand_for_many_clients() {
        let admission = admission(100, 1);
        for peer in ["10.1.1.1", "127.0.0.1", "::1"] {
            let _held = admit(&admission, peer).expect("the first");
            assert!(admit(&admission, peer).is_some(), "{peer}");
        }
    }

    #[test]
    fn nothing_is_remembered_about_an_address_without_connections() {
        let admission = admission(100, 1);
        drop(admit(&admission, "203.0.113.9"));
        assert!(admission.shares.open.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn beyond_the_cap_a_slot_is_waited_for() {
        let admission = admission(1, 1);
        let held = admission.slot().await;
        assert!(admission.free_slot().is_none());
        let waiting = admission.slot();
        drop(held);
        drop(waiting.await);
    }
}

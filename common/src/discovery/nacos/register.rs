//! Announcing this process: once it is ready, until it leaves.
//!
//! What is listed at our address before we have announced anything is of an earlier process there, and goes with that
//! process's connection: it stands for nothing. From then on our own entry is looked for as often as the lists are, and
//! put back when it is missing: a registry that was restarted has forgotten it, and the client library alone takes a
//! dozen seconds to notice.

use std::{net::SocketAddr, sync::Arc};

use nacos_sdk::api::naming::{NamingService, ServiceInstance};
use prometheus::IntGauge;
use tokio::time::sleep;

use super::{
    advertise,
    client::{Inner, Nacos, Unanswered},
    wire::{self, Told},
};
use crate::clock::jittered;

/// A server of this process that others may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The role: `account`, `setting`, `pay`.
    pub service: &'static str,
    /// Where it listens. Others are told `nacos.advertise` instead, or, if that is all addresses of this machine, the one
    /// from which Nacos is reached.
    pub bound: SocketAddr,
    /// The version of the binary, for people who look at the registry and for rules that follow it.
    pub version: String,
}

/// A registration and what it takes to keep it.
struct Keeper {
    nacos: Arc<Inner>,
    registration: Registration,
    /// Where others reach the server.
    address: SocketAddr,
    is_registered: IntGauge,
}

/// What this process has announced so far.
#[derive(Debug, Default)]
struct Announced {
    at_all: bool,
    /// An entry that differed from ours and that ours has been put in place of.
    replaced: Option<Told>,
}

impl Nacos {
    /// Announces a server as soon as the process is ready, keeps it announced, and takes it back as the first thing
    /// when the process drains. Returns at once: neither Nacos nor the name of its server has to be there yet.
    pub fn register(&self, registration: Registration) {
        let nacos = Arc::clone(&self.0);
        let lifecycle = nacos.lifecycle.clone();
        lifecycle.spawn_background("nacos registration", keep_registered(nacos, registration));
    }
}

async fn keep_registered(nacos: Arc<Inner>, registration: Registration) {
    let draining = nacos.lifecycle.signals().draining;
    let is_registered = nacos.metrics.registered(registration.service);
    tokio::select! {
        // A process that leaves before it was ready has nothing to take back.
        () = draining.cancelled() => {}
        (naming, address) = until_ready(&nacos, &registration) => {
            let keeper = Keeper { nacos, registration, address, is_registered };
            tokio::select! {
                () = keeper.keep(&naming) => {}
                () = draining.cancelled() => {}
            }
            keeper.take_back(&naming).await;
        }
    }
    // Background tasks have no end of their own.
    std::future::pending::<()>().await;
}

async fn until_ready(nacos: &Inner, registration: &Registration) -> (NamingService, SocketAddr) {
    let ready = nacos.lifecycle.readiness().all_open();
    let address = advertise::address_for(registration, &nacos.config);
    let ((), naming, address) = tokio::join!(ready, nacos.naming(), address);
    (naming, address)
}

impl Announced {
    /// Whether to announce, given who is listed at our address. What has been put in its place once and is listed all
    /// the same is somebody's will, such as a weight that an operator has set in the registry, and stays.
    fn is_due(&self, ours: &Told, listed: &[Told]) -> bool {
        let is_ours = |told: &Told| told == ours || self.replaced.as_ref() == Some(told);
        !self.at_all || !listed.iter().any(is_ours)
    }
}

impl Keeper {
    /// Registers, and again whenever our entry is missing. Has no end.
    async fn keep(&self, naming: &NamingService) {
        let mut announced = Announced::default();
        loop {
            // Who can't ask can't register either: the next turn will.
            let _ = self.turn(naming, &mut announced).await;
            sleep(jittered(self.nacos.config.refresh_interval, 0.2, &*self.nacos.random)).await;
        }
    }

    async fn turn(&self, naming: &NamingService, announced: &mut Announced) -> Result<(), Unanswered> {
        let Registration { service, .. } = &self.registration;
        let listed = if announced.at_all { self.listed(naming).await? } else { Vec::new() };
        if announced.at_all {
            self.is_registered.set(i64::from(!listed.is_empty()));
        }
        let ours = wire::told(&self.encoded());
        if announced.is_due(&ours, &listed) {
            self.announce(naming).await?;
            *announced = Announced { at_all: true, replaced: listed.into_iter().next() };
            self.is_registered.set(1);
            tracing::info!(service, address = %self.address, "registered in Nacos");
        }
        Ok(())
    }

    /// Who is listed at our address.
    async fn listed(&self, naming: &NamingService) -> Result<Vec<Told>, Unanswered> {
        let question = naming.get_all_instances(self.name(), Some(self.group()), Vec::new(), false);
        let found = self.nacos.naming.ask(question).await?;
        let ours = found.iter().filter(|instance| wire::address(instance) == Some(self.address));
        Ok(ours.map(wire::told).collect())
    }

    async fn announce(&self, naming: &NamingService) -> Result<(), Unanswered> {
        let registered = naming.register_instance(self.name(), Some(self.group()), self.encoded());
        self.nacos.naming.ask(registered).await
    }

    /// Tries until it has worked or the process ends. What is never taken back vanishes with the connection.
    async fn take_back(&self, naming: &NamingService) {
        let Registration { service, .. } = &self.registration;
        loop {
            let deregistered = naming.deregister_instance(self.name(), Some(self.group()), self.encoded());
            if self.nacos.naming.ask(deregistered).await.is_ok() {
                self.is_registered.set(0);
                tracing::info!(service, address = %self.address, "no longer registered in Nacos");
                return;
            }
            sleep(self.nacos.config.request_timeout).await;
        }
    }

    fn encoded(&self) -> ServiceInstance {
        wire::encode(self.address, &self.registration.version, &self.nacos.config)
    }

    fn name(&self) -> String {
        Inner::registered_name(self.registration.service)
    }

    fn group(&self) -> String {
        self.nacos.config.group.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::nacos::NacosConfig;

    fn told(weight: u32) -> Told {
        let config = NacosConfig { weight, ..NacosConfig::default() };
        wire::told(&wire::encode(SocketAddr::from(([10, 0, 0, 1], 9081)), "1.2.3", &config))
    }

    #[test]
    fn the_first_announcement_is_due_whoever_is_listed_at_our_address() {
        let nothing_yet = Announced::default();
        assert!(nothing_yet.is_due(&told(1), &[]));
        assert!(nothing_yet.is_due(&told(1), &[told(1)]), "it may be a dead process's");
    }

    #[test]
    fn an_entry_that_is_missing_or_says_something_else_is_announced_again() {
        let announced = Announced { at_all: true, replaced: None };
        assert!(!announced.is_due(&told(1), &[told(1)]));
        assert!(!announced.is_due(&told(1), &[told(2), told(1)]), "an earlier process's is still there beside it");
        assert!(announced.is_due(&told(1), &[]));
        assert!(announced.is_due(&told(1), &[told(2)]));
    }

    #[test]
    fn what_is_listed_again_in_place_of_ours_is_somebodys_will_and_stays() {
        let announced = Announced { at_all: true, replaced: Some(told(2)) };
        assert!(!announced.is_due(&told(1), &[told(2)]));
        assert!(announced.is_due(&told(1), &[told(3)]), "which is another will");
        assert!(announced.is_due(&told(1), &[]));
    }
}

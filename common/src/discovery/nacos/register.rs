//! Announcing this process: once it is ready, until it leaves.
//!
//! Our own entry is looked for as often as the lists are, and put back when it is missing: a registry that was
//! restarted has forgotten it, and the client library alone takes a dozen seconds to notice.

use std::{net::SocketAddr, sync::Arc};

use nacos_sdk::api::naming::NamingService;
use prometheus::IntGauge;
use tokio::time::sleep;

use super::{
    client::{Inner, Nacos, Unanswered},
    wire,
};
use crate::clock::jittered;

/// A server of this process that others may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The role: `account`, `setting`, `pay`.
    pub service: &'static str,
    /// Where others reach it; see [`Nacos::advertised`].
    pub address: SocketAddr,
    /// The version of the binary, for people who look at the registry and for rules that follow it.
    pub version: String,
}

/// A registration and what it takes to keep it.
struct Keeper {
    nacos: Arc<Inner>,
    registration: Registration,
    is_registered: IntGauge,
}

impl Nacos {
    /// Announces a server as soon as the process is ready, keeps it announced, and takes it back as the first thing
    /// when the process drains. Returns at once.
    pub fn register(&self, registration: Registration) {
        let nacos = Arc::clone(&self.0);
        let is_registered = nacos.metrics.registered(registration.service);
        let lifecycle = nacos.lifecycle.clone();
        lifecycle.spawn_background("nacos registration", Keeper { nacos, registration, is_registered }.run());
    }
}

impl Keeper {
    async fn run(self) {
        let draining = self.nacos.lifecycle.signals().draining;
        tokio::select! {
            // A process that leaves before it was ready has nothing to take back.
            () = draining.cancelled() => {}
            naming = self.until_ready() => {
                tokio::select! {
                    () = self.keep(&naming) => {}
                    () = draining.cancelled() => {}
                }
                self.take_back(&naming).await;
            }
        }
        // Background tasks have no end of their own.
        std::future::pending::<()>().await;
    }

    async fn until_ready(&self) -> NamingService {
        let ready = self.nacos.lifecycle.readiness().all_open();
        tokio::join!(ready, self.nacos.naming()).1
    }

    /// Registers, and again whenever our entry is missing. Has no end.
    async fn keep(&self, naming: &NamingService) {
        let Registration { service, address, .. } = &self.registration;
        loop {
            // Who can't ask can't register either: the next turn will.
            if let Ok(is_listed) = self.is_listed(naming).await {
                self.is_registered.set(i64::from(is_listed));
                if !is_listed && self.announce(naming).await.is_ok() {
                    self.is_registered.set(1);
                    tracing::info!(service, %address, "registered in Nacos");
                }
            }
            sleep(jittered(self.nacos.config.refresh_interval, 0.2, &*self.nacos.random)).await;
        }
    }

    async fn is_listed(&self, naming: &NamingService) -> Result<bool, Unanswered> {
        let question = naming.get_all_instances(self.name(), Some(self.group()), Vec::new(), false);
        let found = self.nacos.naming.ask(question).await?;
        Ok(found.iter().any(|instance| wire::address(instance) == Some(self.registration.address)))
    }

    async fn announce(&self, naming: &NamingService) -> Result<(), Unanswered> {
        let instance = wire::encode(&self.registration, &self.nacos.config);
        self.nacos.naming.ask(naming.register_instance(self.name(), Some(self.group()), instance)).await
    }

    /// Tries until it has worked or the process ends. What is never taken back vanishes with the connection.
    async fn take_back(&self, naming: &NamingService) {
        let Registration { service, address, .. } = &self.registration;
        loop {
            let instance = wire::encode(&self.registration, &self.nacos.config);
            let deregistered = naming.deregister_instance(self.name(), Some(self.group()), instance);
            if self.nacos.naming.ask(deregistered).await.is_ok() {
                self.is_registered.set(0);
                tracing::info!(service, %address, "no longer registered in Nacos");
                return;
            }
            sleep(self.nacos.config.request_timeout).await;
        }
    }

    fn name(&self) -> String {
        Inner::registered_name(self.registration.service)
    }

    fn group(&self) -> String {
        self.nacos.config.group.clone()
    }
}

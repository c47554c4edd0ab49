//! Instances that the configuration names. They never change while the process runs.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Discovery, Instance, Instances};
use crate::config::Invalid;

/// The table `discovery.static`: the RPC addresses of each role, `IP:port`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StaticConfig {
    /// The instances of the account service. Calls are spread over them.
    pub account: Vec<SocketAddr>,
    /// The instances of the setting service.
    pub setting: Vec<SocketAddr>,
    /// The instances of the pay service.
    pub pay: Vec<SocketAddr>,
}

/// Discovery that knows what it was told at the start.
#[derive(Debug)]
pub struct StaticList {
    services: HashMap<&'static str, watch::Sender<Arc<Instances>>>,
}

impl Default for StaticConfig {
    fn default() -> Self {
        let loopback = |port| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        Self { account: loopback(9081), setting: loopback(9082), pay: loopback(9083) }
    }
}

impl StaticConfig {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        for (service, addresses) in self.services() {
            if addresses.is_empty() {
                return Err(Invalid::new(
                    format!("static.{service}"),
                    "names no instance; leave it out for the default",
                ));
            }
        }
        Ok(())
    }

    fn services(&self) -> [(&'static str, &[SocketAddr]); 3] {
        [("account", &self.account), ("setting", &self.setting), ("pay", &self.pay)]
    }
}

impl StaticList {
    /// From its configuration.
    pub fn new(config: &StaticConfig) -> Self {
        let instances = |addresses: &[SocketAddr]| {
            let instances = Instances::new(addresses.iter().copied().map(Instance::at).collect());
            watch::Sender::new(Arc::new(instances))
        };
        let services = config.services().into_iter().map(|(service, addresses)| (service, instances(addresses)));
        Self { services: services.collect() }
    }
}

impl Discovery for StaticList {
    fn watch(&self, service: &str) -> watch::Receiver<Arc<Instances>> {
        match self.services.get(service) {
            Some(instances) => instances.subscribe(),
            None => watch::Sender::new(Arc::default()).subscribe(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(list: &StaticList, service: &str) -> Vec<u16> {
        list.watch(service).borrow().iter().map(|instance| instance.address.port()).collect()
    }

    #[test]
    fn every_role_is_on_loopback_unless_it_is_said_where() {
        let list = StaticList::new(&StaticConfig::default());
        assert_eq!(ports(&list, "account"), [9081]);
        assert_eq!(ports(&list, "setting"), [9082]);
        assert_eq!(ports(&list, "pay"), [9083]);
    }

    #[test]
    fn a_service_that_nobody_has_heard_of_has_no_instances() {
        let list = StaticList::new(&StaticConfig::default());
        assert!(ports(&list, "weather").is_empty());
    }
}

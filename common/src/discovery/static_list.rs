//! Instances that the configuration names. They never change while the process runs.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{Discovery, DiscoveryMetrics, Instance, Instances, StaticInstance};
use crate::config::Invalid;

/// The table `discovery.static`: the RPC addresses of each role, `IP:port`, or `{ address = "IP:port", lane = "NAME" }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StaticConfig {
    /// The instances of the account service. Calls are spread over them.
    pub account: Vec<StaticInstance>,
    /// The instances of the setting service.
    pub setting: Vec<StaticInstance>,
    /// The instances of the pay service.
    pub pay: Vec<StaticInstance>,
}

/// Discovery that knows what it was told at the start.
#[derive(Debug)]
pub struct StaticList {
    services: HashMap<&'static str, watch::Sender<Arc<Instances>>>,
    metrics: Option<DiscoveryMetrics>,
}

impl Default for StaticConfig {
    fn default() -> Self {
        let loopback = |port| vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()];
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

    fn services(&self) -> [(&'static str, &[StaticInstance]); 3] {
        [("account", &self.account), ("setting", &self.setting), ("pay", &self.pay)]
    }
}

impl StaticList {
    /// From its configuration.
    pub fn new(config: &StaticConfig) -> Self {
        let instances = |named: &[StaticInstance]| {
            let instances = Instances::new(named.iter().map(Instance::from).collect());
            watch::Sender::new(Arc::new(instances))
        };
        let services = config.services().into_iter().map(|(service, addresses)| (service, instances(addresses)));
        Self { services: services.collect(), metrics: None }
    }

    /// The same list, and how many instances it names is measured for every service that somebody watches.
    #[must_use]
    pub fn measured(self, metrics: DiscoveryMetrics) -> Self {
        Self { metrics: Some(metrics), ..self }
    }
}

impl Discovery for StaticList {
    fn watch(&self, service: &str) -> watch::Receiver<Arc<Instances>> {
        let instances = match self.services.get(service) {
            Some(instances) => instances.subscribe(),
            None => watch::Sender::new(Arc::default()).subscribe(),
        };
        if let Some(metrics) = &self.metrics {
            metrics.instances(service).set(i64::try_from(instances.borrow().len()).unwrap_or(i64::MAX));
        }
        instances
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;
    use crate::telemetry::encode;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

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
    fn how_many_instances_are_named_is_measured_of_what_is_watched_and_an_age_is_not() {
        let registry = Registry::new();
        let metrics = DiscoveryMetrics::register(&registry).expect("registered once");
        let config = StaticConfig { account: vec![address(1).into(), address(2).into()], ..StaticConfig::default() };
        StaticList::new(&config).measured(metrics).watch("account");
        let text = encode(&registry).expect("metrics");
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(samples, [r#"playgate_discovery_instances{service="account"} 2"#]);
    }

    #[test]
    fn a_service_that_nobody_has_heard_of_has_no_instances() {
        let list = StaticList::new(&StaticConfig::default());
        assert!(ports(&list, "weather").is_empty());
    }
}

//! Clients as processes have them, and what the tests ask of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use nacos_sdk::api::{
    config::{ConfigService, ConfigServiceBuilder},
    naming::{NamingService, NamingServiceBuilder, ServiceInstance},
    props::ClientProps,
};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use xtask::services::Nacos as Server;

use crate::{
    clock::{SystemClock, SystemRandom, new_uuid},
    config::{
        Environment,
        watch::{ConfigWatch, DynamicConfig, WatchMetrics, WatchParts},
    },
    discovery::{
        Discovery, DiscoveryMetrics, Instances,
        nacos::{Nacos, NacosConfig, NacosParts, Registration},
    },
    lifecycle::{Lifecycle, LifecycleConfig},
    telemetry::{LOG_DOCUMENT, LogDocument, encode},
};

/// The name that accounts are registered under.
const SERVICE: &str = "playgate-account";

/// What has not happened by then is not going to.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a metric.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A process that uses Nacos.
pub(super) struct Client {
    pub(super) nacos: Nacos,
    pub(super) lifecycle: Lifecycle,
    registry: Registry,
    _data_dir: Arc<TempDir>,
}

/// An entry that nobody looks after any more, such as that of a process which was killed a moment ago.
pub(super) struct Leftover {
    naming: NamingService,
    group: String,
    instance: ServiceInstance,
}

/// Publishes the document of the log, as an operator does.
pub(super) struct Documents {
    service: ConfigService,
    group: String,
}

/// The server that tests share, or one of our own when there is none, and a group that nobody else uses.
pub(super) fn shared() -> (Option<Server>, NacosConfig) {
    match std::env::var("PLAYGATE_TEST_NACOS") {
        Ok(address) => (None, config(&address)),
        Err(_) => {
            let server = Server::start().expect("a server");
            let config = config(&server.address());
            (Some(server), config)
        }
    }
}

/// Looks often, so that tests are not about waiting.
pub(super) fn config(server: &str) -> NacosConfig {
    NacosConfig {
        server: server.to_owned(),
        group: new_uuid(&SystemClock, &SystemRandom).simple().to_string(),
        refresh_interval: Duration::from_millis(500),
        request_timeout: Duration::from_secs(2),
        ..NacosConfig::default()
    }
}

/// Prints how long something took. Measured, not asserted: machines differ.
#[expect(clippy::print_stdout, reason = "shown by `cargo test -- --nocapture`")]
pub(super) fn report(what: &str, began: Instant) {
    println!("{what}: {:?}", began.elapsed());
}

pub(super) fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

pub(super) fn ports(instances: &Instances) -> Vec<u16> {
    let mut ports: Vec<_> = instances.iter().map(|instance| instance.address.port()).collect();
    ports.sort_unstable();
    ports
}

pub(super) fn lifecycle() -> Lifecycle {
    Lifecycle::new(LifecycleConfig::default().timing(Environment::Development))
}

fn confirmed(service: &str) -> String {
    format!(r#"playgate_discovery_refreshed_timestamp_seconds{{service="{service}"}}"#)
}

impl Client {
    pub(super) fn start(config: &NacosConfig) -> Self {
        Self::start_in(config, Arc::new(tempfile::tempdir().expect("a directory")))
    }

    /// As another process did before, or does now, with the same data directory.
    pub(super) fn start_in(config: &NacosConfig, data_dir: Arc<TempDir>) -> Self {
        let registry = Registry::new();
        let lifecycle = lifecycle();
        let parts = NacosParts {
            lifecycle: lifecycle.clone(),
            registry: registry.clone(),
            lists: DiscoveryMetrics::register(&registry).expect("registered once"),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
        };
        let nacos = Nacos::new(config, data_dir.path(), parts).expect("a client");
        Self { nacos, lifecycle, registry, _data_dir: data_dir }
    }

    pub(super) fn watch(&self, service: &str) -> watch::Receiver<Arc<Instances>> {
        self.nacos.watch(service)
    }

    pub(super) fn register(&self, service: &'static str, port: u16) {
        let version = "1.2.3".to_owned();
        self.nacos.register(Registration { service, bound: address(port), version });
    }

    pub(super) fn drain(&self) {
        self.lifecycle.signals().draining.cancel();
    }

    /// Waits until exactly these are seen.
    pub(super) async fn wait(&self, instances: &mut watch::Receiver<Arc<Instances>>, expected: &[u16]) {
        let seen = timeout(PATIENCE, instances.wait_for(|instances| ports(instances) == expected)).await.is_ok();
        assert!(seen, "seen instead of {expected:?}: {:?}", ports(&instances.borrow()));
    }

    /// Waits until the one instance that is seen is of this version.
    pub(super) async fn wait_for_version(&self, instances: &mut watch::Receiver<Arc<Instances>>, version: &str) {
        let is_it = |instances: &Arc<Instances>| instances.iter().map(|instance| &instance.version).eq([version]);
        let seen = timeout(PATIENCE, instances.wait_for(is_it)).await.is_ok();
        assert!(seen, "seen instead of {version:?}: {:?}", instances.borrow());
    }

    /// Follows the log's document.
    pub(super) fn follow_log_document(&self, dynamic: &DynamicConfig) -> ConfigWatch<LogDocument> {
        let parts = WatchParts {
            lifecycle: self.lifecycle.clone(),
            metrics: WatchMetrics::register(&self.registry).expect("registered once"),
            random: Arc::new(SystemRandom),
        };
        ConfigWatch::follow(LOG_DOCUMENT, self.nacos.document(LOG_DOCUMENT), dynamic, &parts)
    }

    /// The level of the next document that is in force.
    pub(super) async fn next_level(&self, watch: &mut ConfigWatch<LogDocument>) -> Option<String> {
        let document = timeout(PATIENCE, watch.changed()).await.expect("another document is in force");
        document.level.clone()
    }

    pub(super) async fn until_registered(&self, service: &str, registered: bool) {
        let sample = format!(r#"playgate_nacos_registered{{service="{service}"}}"#);
        self.until(&sample, |value| (value == 1.0) == registered).await;
    }

    pub(super) async fn until_connected(&self, connected: bool) {
        self.until(r#"playgate_nacos_connected{api="naming"}"#, |value| (value == 1.0) == connected).await;
    }

    pub(super) async fn until_failures(&self, api: &str, at_least: u32) {
        let sample = format!(r#"playgate_nacos_failures_total{{api="{api}"}}"#);
        self.until(&sample, |value| value >= f64::from(at_least)).await;
    }

    /// Waits until the list was confirmed in two later seconds than this one.
    pub(super) async fn until_refreshed_twice(&self, service: &str) {
        let now = self.confirmed_at(service);
        self.until(&confirmed(service), |value| value >= now + 2.0).await;
    }

    /// When the list was last confirmed, in Unix seconds; 0: never.
    pub(super) fn confirmed_at(&self, service: &str) -> f64 {
        self.sample(&confirmed(service)).expect("watched")
    }

    pub(super) async fn until_refused_documents(&self, count: u32) {
        let sample = format!(r#"playgate_config_documents_refused_total{{document="{LOG_DOCUMENT}"}}"#);
        self.until(&sample, |value| value >= f64::from(count)).await;
    }

    async fn until(&self, name: &str, is_reached: impl Fn(f64) -> bool) {
        let reached = timeout(PATIENCE, async {
            while !self.sample(name).is_some_and(&is_reached) {
                sleep(LOOK_AGAIN).await;
            }
        });
        assert!(reached.await.is_ok(), "{name} is {:?}", self.sample(name));
    }

    fn sample(&self, name: &str) -> Option<f64> {
        let text = encode(&self.registry).expect("metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    }
}

impl Leftover {
    /// Of an account, without a version and with the default weight.
    pub(super) async fn register(config: &NacosConfig, port: u16) -> Self {
        let properties = ClientProps::new().env_first(false).server_addr(config.server.as_str());
        let naming = NamingServiceBuilder::new(properties).build().await.expect("a server");
        let (ip, port) = (address(port).ip().to_string(), i32::from(port));
        let instance = ServiceInstance { ip, port, ..ServiceInstance::default() };
        let leftover = Self { naming, group: config.group.clone(), instance };
        let Self { naming, group, instance } = &leftover;
        naming.register_instance(SERVICE.to_owned(), Some(group.clone()), instance.clone()).await.expect("registered");
        leftover
    }

    /// It goes, as it does once Nacos notices that its connection has gone.
    pub(super) async fn vanish(self) {
        let Self { naming, group, instance } = self;
        naming.deregister_instance(SERVICE.to_owned(), Some(group), instance).await.expect("deregistered");
    }
}

impl Documents {
    pub(super) async fn of(config: &NacosConfig) -> Self {
        let properties = ClientProps::new().env_first(false).server_addr(config.server.as_str());
        let service = ConfigServiceBuilder::new(properties).build().await.expect("a server");
        Self { service, group: config.group.clone() }
    }

    pub(super) async fn publish(&self, content: &str) {
        let published =
            self.service.publish_config(LOG_DOCUMENT.to_owned(), self.group.clone(), content.to_owned(), None);
        assert!(published.await.expect("an answer"));
    }
}

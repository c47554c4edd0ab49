//! Instances behind names: one address record per instance, as a headless service of Kubernetes has.
//!
//! A name is resolved again when its records expire, within a floor and a ceiling. A name that can't be resolved, or
//! that has no addresses, leaves the last good list as it was: an instance that is really gone refuses connections, and
//! the RPC client leaves it out at once.

mod config;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
};
use tokio::{sync::watch, time::sleep};

pub use self::config::DnsConfig;
use self::config::Target;
use super::{
    Discovery, DiscoveryMetrics, Instance, Instances,
    feed::{Feed, Feeds},
};
use crate::{
    clock::{SharedClock, SharedRandom, jittered},
    lifecycle::Lifecycle,
};

/// Why names can't be resolved at all.
#[derive(Debug, thiserror::Error)]
#[error("the system's DNS settings can't be used; name a server with `discovery.dns.server`")]
pub struct DnsError(#[source] NetError);

/// Discovery that resolves names.
#[derive(Debug)]
pub struct Dns {
    config: DnsConfig,
    resolver: TokioResolver,
    feeds: Feeds,
    lifecycle: Lifecycle,
    random: SharedRandom,
}

/// Resolves the name of one service for as long as the process lives.
struct Follower {
    resolver: TokioResolver,
    target: Target,
    min_ttl: Duration,
    max_ttl: Duration,
    random: SharedRandom,
    feed: Arc<Feed>,
}

impl Dns {
    /// Reads the system's DNS settings, unless the configuration names a server. Resolves nothing yet.
    pub fn open(
        config: &DnsConfig,
        metrics: DiscoveryMetrics,
        lifecycle: Lifecycle,
        clock: SharedClock,
        random: SharedRandom,
    ) -> Result<Self, DnsError> {
        let resolver = resolver(config).map_err(DnsError)?;
        Ok(Self { config: config.clone(), resolver, feeds: Feeds::new(metrics, clock), lifecycle, random })
    }

    fn follow(&self, target: Target, feed: Arc<Feed>) {
        let follower = Follower {
            resolver: self.resolver.clone(),
            target,
            min_ttl: self.config.min_ttl,
            max_ttl: self.config.max_ttl,
            random: Arc::clone(&self.random),
            feed,
        };
        self.lifecycle.spawn_background("dns discovery", follower.run());
    }
}

impl Discovery for Dns {
    fn watch(&self, service: &str) -> watch::Receiver<Arc<Instances>> {
        self.feeds.watch(service, |feed| match self.config.target(service) {
            Some(target) => self.follow(target, feed),
            // Nobody has said where it is, and nobody will.
            None => feed.settle(),
        })
    }

    fn settled(&self) -> BoxFuture<'_, ()> {
        self.feeds.settled(self.config.start_timeout).boxed()
    }
}

fn resolver(config: &DnsConfig) -> Result<TokioResolver, NetError> {
    let mut builder = match config.server {
        None => TokioResolver::builder_tokio()?,
        Some(server) => TokioResolver::builder_with_config(only(server), TokioRuntimeProvider::default()),
    };
    let options = builder.options_mut();
    options.timeout = config.timeout;
    options.attempts = config.attempts;
    // An instance with addresses of both families must not count twice.
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    // We ask when we want to know.
    options.cache_size = 0;
    builder.build()
}

/// The settings that ask one server, over UDP and over TCP for answers that do not fit.
fn only(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    ResolverConfig::from_name_servers(vec![server])
}

/// How long a list is used before its name is resolved again: as long as its records hold, but not shorter than the
/// floor, which protects the server, and not longer than the ceiling.
fn pause(ttl: Duration, min: Duration, max: Duration) -> Duration {
    ttl.clamp(min, max)
}

impl Follower {
    async fn run(self) {
        let mut was_resolved = true;
        loop {
            let expires = match self.resolve().await {
                Ok((addresses, ttl)) => {
                    was_resolved = true;
                    self.publish(addresses);
                    pause(ttl, self.min_ttl, self.max_ttl)
                }
                Err(error) => {
                    // Once per outage: the next line would say the same.
                    if was_resolved {
                        let kept = self.feed.current().len();
                        tracing::warn!(name = self.target.host, %error, kept, "the name can't be resolved");
                    }
                    was_resolved = false;
                    pause(Duration::ZERO, self.min_ttl, self.max_ttl)
                }
            };
            sleep(jittered(expires, 0.1, &*self.random)).await;
        }
    }

    /// The addresses behind the name and how long they hold. Never empty.
    async fn resolve(&self) -> Result<(Vec<IpAddr>, Duration), NetError> {
        let answer = self.resolver.lookup_ip(self.target.host.as_str()).await?;
        let addresses: Vec<_> = answer.iter().collect();
        if addresses.is_empty() {
            return Err(NetError::Message("the name has no addresses"));
        }
        Ok((addresses, answer.valid_until().saturating_duration_since(Instant::now())))
    }

    fn publish(&self, addresses: Vec<IpAddr>) {
        let port = self.target.port;
        let instances = addresses.into_iter().map(|ip| Instance::at(SocketAddr::new(ip, port)));
        self.feed.publish(Instances::unordered(instances.collect()));
        self.feed.confirm();
    }
}

#[cfg(test)]
mod tests;

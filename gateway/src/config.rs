//! The `gateway` section of the configuration.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use common::{
    config::{Invalid, Section},
    http::edge::EdgeConfig,
};
use serde::{Deserialize, Serialize};

/// Routes that are deployed together, so that a flood on one group can be kept away from another by running it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteGroup {
    /// `/v1/sdk/*`: what game clients call.
    Sdk,
    /// `/v1/server/*`: what game servers call.
    Server,
    /// `/oauth2/*`: the standards' endpoints.
    Oauth2,
    /// `/openapi.json` and `/docs`.
    Docs,
}

/// Where the gateway listens and what it protects itself with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address of the public listener. An empty list of addresses is expressed by leaving only `unix_socket`.
    pub listen: Option<SocketAddr>,
    /// A unix socket to serve on as well, for a proxy on the same machine. Its peer counts as a trusted proxy.
    pub unix_socket: Option<PathBuf>,
    /// The route groups this gateway serves; the others answer 404.
    pub routes: Vec<RouteGroup>,
    /// How long a login waits for the parts it can do without (settings, wallet) before it answers without them.
    #[serde(with = "humantime_serde")]
    pub optional_part_timeout: Duration,
    /// How long a verify waits for account before it answers 503 with a time to ask again.
    /// Shorter than a game server's own patience, so that it is told rather than left hanging.
    #[serde(with = "humantime_serde")]
    pub verify_timeout: Duration,
    /// Apps whose secrets are kept in memory. Beyond it the least used are asked for again; protects memory.
    pub app_cache_capacity: u64,
    /// Limits of the HTTP edge.
    pub edge: EdgeConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            unix_socket: None,
            routes: vec![RouteGroup::Sdk, RouteGroup::Server, RouteGroup::Oauth2, RouteGroup::Docs],
            optional_part_timeout: Duration::from_millis(500),
            verify_timeout: Duration::from_secs(1),
            app_cache_capacity: 10_000,
            edge: EdgeConfig::default(),
        }
    }
}

impl Section for Config {
    const NAME: &'static str = "gateway";

    fn validate(&self) -> Result<(), Invalid> {
        if self.listen.is_none() && self.unix_socket.is_none() {
            return Err(Invalid::new(
                "listen",
                "neither `listen` nor `unix_socket` is set: nobody could reach the gateway",
            ));
        }
        if self.routes.is_empty() {
            return Err(Invalid::new("routes", "is empty: name at least one of sdk, server, oauth2, docs"));
        }
        if self.app_cache_capacity == 0 {
            return Err(Invalid::new("app_cache_capacity", "must be at least 1"));
        }
        for (key, value) in
            [("optional_part_timeout", self.optional_part_timeout), ("verify_timeout", self.verify_timeout)]
        {
            if value.is_zero() {
                return Err(Invalid::new(key, "must be longer than zero"));
            }
            if value > self.edge.request_timeout {
                return Err(Invalid::new(key, "must not be longer than `gateway.edge.request_timeout`"));
            }
        }
        self.edge.validate("edge")
    }
}

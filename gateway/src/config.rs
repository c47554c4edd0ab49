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

use crate::{settings_copy::config::SettingsConfig, token_copy::config::FallbackConfig};

/// Routes that are deployed together, so that a flood on one group can be kept away from another by running it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteGroup {
    /// `/v1/sdk/*`: what game clients call.
    Sdk,
    /// `/v1/server/*`: what game servers call.
    Server,
    /// `/v1/pay/*`: what payment channels call.
    Pay,
    /// `/v1/partner/*`: what partners push.
    Partner,
    /// `/oauth2/*` and `/.well-known/*`: the standards' endpoints.
    Oauth2,
    /// `/openapi.json` and `/docs`.
    Docs,
}

/// Where the gateway listens and what it protects itself with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address of the public listener. No TLS: that ends in front of it. `""`: none, for a gateway that serves only its
    /// `unix_socket`.
    #[serde(with = "address_or_none")]
    pub listen: Option<SocketAddr>,
    /// A unix socket to serve on as well, for a proxy on the same machine. Its peer counts as a trusted proxy.
    pub unix_socket: Option<PathBuf>,
    /// The route groups this gateway serves; the others answer 404.
    pub routes: Vec<RouteGroup>,
    /// How long a login waits for the parts it can do without (settings, wallet) before it answers without them.
    #[serde(with = "humantime_serde")]
    pub optional_part_timeout: Duration,
    /// How long a verify waits for account before it answers from its copy, or, where there is none, 503 with a time to ask
    /// again. Shorter than a game server's own patience, so that it is told rather than left hanging.
    #[serde(with = "humantime_serde")]
    pub verify_timeout: Duration,
    /// Bytes of partners' pushes of more than 256 KiB each that may be in memory at once, inflated, as far as can be told
    /// beforehand. Beyond it they are told to come again (503); smaller ones are not counted. Protects memory.
    pub large_pushes_in_flight: usize,
    /// Apps, and partners, whose secrets are kept in memory. Beyond it the least used are asked for again; protects memory.
    pub app_cache_capacity: u64,
    /// What answers about tokens while account can't.
    pub fallback: FallbackConfig,
    /// How long the last known keys of ID tokens are published while account can't be asked. Without keys verifiers
    /// refuse good tokens; a key that was withdrawn stays published this long at most.
    #[serde(with = "humantime_serde")]
    pub stale_signing_keys_usable_for: Duration,
    /// The copy of settings that answers for the setting service.
    pub settings: SettingsConfig,
    /// Limits of the HTTP edge.
    pub edge: EdgeConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
            unix_socket: None,
            routes: vec![
                RouteGroup::Sdk,
                RouteGroup::Server,
                RouteGroup::Pay,
                RouteGroup::Partner,
                RouteGroup::Oauth2,
                RouteGroup::Docs,
            ],
            optional_part_timeout: Duration::from_millis(500),
            verify_timeout: Duration::from_secs(1),
            large_pushes_in_flight: 128 << 20,
            app_cache_capacity: 10_000,
            fallback: FallbackConfig::default(),
            stale_signing_keys_usable_for: Duration::from_secs(24 * 3600),
            settings: SettingsConfig::default(),
            edge: EdgeConfig::default(),
        }
    }
}

/// An address as text; none is the empty text, because TOML and environment variables have no other way to say so.
mod address_or_none {
    use std::net::SocketAddr;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(address: &Option<SocketAddr>, serializer: S) -> Result<S::Ok, S::Error> {
        address.map(|address| address.to_string()).unwrap_or_default().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(D::Error::custom),
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
            return Err(Invalid::new(
                "routes",
                "is empty: name at least one of sdk, server, pay, partner, oauth2, docs",
            ));
        }
        if self.large_pushes_in_flight == 0 {
            return Err(Invalid::new("large_pushes_in_flight", "must be at least 1"));
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
        self.fallback.validate()?;
        self.settings.validate()?;
        self.edge.validate("edge")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(section: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(section)
    }

    #[test]
    fn the_public_address_can_be_left_out_only_if_there_is_a_socket() {
        assert_eq!(read("{}").expect("readable").listen, Config::default().listen);
        let alone = read(r#"{"listen": "", "unix_socket": "/run/playgate.sock"}"#).expect("readable");
        assert_eq!(alone.listen, None);
        assert_eq!(alone.validate(), Ok(()));
        let nowhere = read(r#"{"listen": ""}"#).expect("readable");
        assert_eq!(nowhere.validate().map_err(|invalid| invalid.key), Err("listen".to_owned()));
        assert!(read(r#"{"listen": "somewhere"}"#).is_err());
    }
}

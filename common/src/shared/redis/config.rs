//! The section `redis`: which server, and how little of a caller's time it may cost.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::target::Target;
use crate::config::{Invalid, Secret, Section};

/// What replicas share besides SQL.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisConfig {
    /// One server `redis://user:password@host:6379/0`, a pair under sentinels
    /// `redis+sentinel://user:password@sentinel1:26379,sentinel2:26379/service/0` (with
    /// `?sentinel_username=…&sentinel_password=…` if the sentinels want to know who asks), or a cluster
    /// `redis+cluster://user:password@host1:6379,host2:6379`. `rediss` in place of `redis` in any of them: through TLS,
    /// sentinels included. Absent: each process keeps to itself what replicas should share, which is right for one
    /// replica only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// A file of certificates in PEM: of the authorities that vouch for Redis, and nobody else's then. Absent, with a
    /// `rediss` URL: the public ones, as Mozilla lists them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Every key begins with this, so that several platforms can use one server.
    pub key_prefix: String,
    /// How long opening a connection may take. Nobody waits for it but the task that reconnects.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a caller waits for an answer before the fallback decides. Short: Redis answers within a millisecond or
    /// is in trouble.
    #[serde(with = "humantime_serde")]
    pub response_timeout: Duration,
    /// How often the connection is probed: within this time and `response_timeout` a server that hangs is given up,
    /// and callers stop waiting for it at all.
    #[serde(with = "humantime_serde")]
    pub probe_every: Duration,
    /// The pause between two attempts to connect, spread by half, so that replicas do not come back in step.
    #[serde(with = "humantime_serde")]
    pub reconnect_every: Duration,
    /// Questions that may be under way at one time. Protects memory when answers are slow; beyond it callers wait, and
    /// not longer than `response_timeout`.
    pub max_in_flight: NonZeroUsize,
    /// While Redis is away each replica limits alone, with every rate and burst and every number of
    /// failures that locks divided by this. Set it to about the
    /// number of replicas, and the limits hold for all of them together. The quotas that gateways share are leased in parts
    /// of that size, too.
    pub fallback_rate_divisor: NonZeroU32,
    /// What becomes of once-only keys while Redis is away. `local`: a replica refuses only what itself has seen
    /// before, so a signed request might be replayed once at each other replica while its timestamp is fresh.
    /// `refuse`: such requests are answered 503.
    pub fallback_once_only: OnceOnlyFallback,
}

/// What becomes of once-only keys while Redis is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnceOnlyFallback {
    /// Taken once per replica.
    Local,
    /// Not taken at all: whoever needs one is told to come back.
    Refuse,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: None,
            ca_file: None,
            key_prefix: "playgate:".to_owned(),
            connect_timeout: Duration::from_millis(200),
            response_timeout: Duration::from_millis(100),
            probe_every: Duration::from_millis(250),
            reconnect_every: Duration::from_millis(200),
            max_in_flight: NonZeroUsize::MIN.saturating_add(1023),
            fallback_rate_divisor: NonZeroU32::MIN.saturating_add(1),
            fallback_once_only: OnceOnlyFallback::Local,
        }
    }
}

impl Section for RedisConfig {
    const NAME: &'static str = "redis";

    fn validate(&self) -> Result<(), Invalid> {
        let target = self.url.as_ref().map(|url| Target::parse(url.expose())).transpose();
        let target = target.map_err(|reason| Invalid::new("url", reason))?;
        if self.ca_file.is_some() && !target.is_some_and(|target| target.is_encrypted()) {
            return Err(Invalid::new("ca_file", "is of use only with a `redis.url` that begins with rediss"));
        }
        if self.key_prefix.contains(['{', '}']) {
            return Err(Invalid::new("key_prefix", "must not contain braces: in a cluster they decide where a key is"));
        }
        for (key, value) in [
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("probe_every", self.probe_every),
            ("reconnect_every", self.reconnect_every),
        ] {
            if value < Duration::from_millis(1) {
                return Err(Invalid::new(key, "must be at least 1ms"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(RedisConfig::default().validate(), Ok(()));
    }

    #[test]
    fn a_value_that_cannot_work_is_refused_by_its_key() {
        let check = |change: fn(&mut RedisConfig), key: &str| {
            let mut config = RedisConfig::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        };
        check(|config| config.url = Some(Secret::new("memcached://cache")), "url");
        check(|config| config.ca_file = Some("ca.pem".into()), "ca_file");
        check(|config| config.key_prefix = "{one}".to_owned(), "key_prefix");
        check(|config| config.response_timeout = Duration::ZERO, "response_timeout");
        check(|config| config.probe_every = Duration::ZERO, "probe_every");
    }

    #[test]
    fn the_password_never_prints() {
        let config = RedisConfig { url: Some(Secret::new("redis+cluster://:hunter2@")), ..RedisConfig::default() };
        let refusal = config.validate().expect_err("no host").to_string();
        assert!(!refusal.contains("hunter2") && !format!("{config:?}").contains("hunter2"), "{refusal}");
    }
}

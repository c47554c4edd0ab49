//! The table `discovery.dns`.

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::config::Invalid;

/// The table `discovery.dns`: the names of each role, `name:port`. Each address behind a name is one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DnsConfig {
    /// The account service.
    pub account: String,
    /// The setting service.
    pub setting: String,
    /// The pay service.
    pub pay: String,
    /// The server to ask. Absent: those of the system (`/etc/resolv.conf`).
    pub server: Option<SocketAddr>,
    /// The shortest time between two questions about a name, however soon its records expire, and the pause after a
    /// failure. Protects the server.
    #[serde(with = "humantime_serde")]
    pub min_ttl: Duration,
    /// The longest time a list is used without asking again. Bounds how late a new instance is noticed.
    #[serde(with = "humantime_serde")]
    pub max_ttl: Duration,
    /// How long one attempt waits for an answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Attempts before a question counts as failed and the last good list is kept.
    pub attempts: usize,
    /// How long a start waits for the first answers. Beyond it the process starts without them.
    #[serde(with = "humantime_serde")]
    pub start_timeout: Duration,
}

/// A name and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            account: "playgate-account:9081".to_owned(),
            setting: "playgate-setting:9082".to_owned(),
            pay: "playgate-pay:9083".to_owned(),
            server: None,
            min_ttl: Duration::from_secs(2),
            max_ttl: Duration::from_secs(15),
            timeout: Duration::from_secs(1),
            attempts: 2,
            start_timeout: Duration::from_secs(3),
        }
    }
}

impl DnsConfig {
    pub(in crate::discovery) fn validate(&self) -> Result<(), Invalid> {
        for (service, name) in self.names() {
            if Target::parse(name).is_none() {
                let reason = "must be a name and a port, such as \"playgate-account:9081\"";
                return Err(Invalid::new(format!("dns.{service}"), reason));
            }
        }
        if self.min_ttl.is_zero() {
            return Err(Invalid::new("dns.min_ttl", "must be longer than zero"));
        }
        if self.max_ttl < self.min_ttl {
            return Err(Invalid::new("dns.max_ttl", "must not be shorter than `min_ttl`"));
        }
        if self.timeout.is_zero() {
            return Err(Invalid::new("dns.timeout", "must be longer than zero"));
        }
        if self.attempts == 0 {
            return Err(Invalid::new("dns.attempts", "must be at least 1"));
        }
        Ok(())
    }

    /// Where `service` is said to be.
    pub(super) fn target(&self, service: &str) -> Option<Target> {
        let (_, name) = self.names().into_iter().find(|(known, _)| *known == service)?;
        Target::parse(name)
    }

    fn names(&self) -> [(&'static str, &str); 3] {
        [("account", &self.account), ("setting", &self.setting), ("pay", &self.pay)]
    }
}

impl Target {
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_port_is_refused_by_its_key() {
        for name in ["playgate-pay", "playgate-pay:", ":9083", "playgate-pay:0", "playgate-pay:99999"] {
            let config = DnsConfig { pay: name.to_owned(), ..DnsConfig::default() };
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err("dns.pay".to_owned()), "{name}");
        }
        assert_eq!(DnsConfig::default().validate(), Ok(()));
    }

    #[test]
    fn a_ceiling_below_the_floor_is_refused() {
        let config = DnsConfig { min_ttl: Duration::from_secs(20), ..DnsConfig::default() };
        assert_eq!(config.validate().map_err(|invalid| invalid.key), Err("dns.max_ttl".to_owned()));
    }

    #[test]
    fn a_service_that_nobody_has_named_is_nowhere() {
        assert_eq!(DnsConfig::default().target("weather"), None);
        let target = Target { host: "playgate-pay".to_owned(), port: 9083 };
        assert_eq!(DnsConfig::default().target("pay"), Some(target));
    }
}

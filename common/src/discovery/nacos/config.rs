//! The section `nacos`.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use govern::lane::{BadLaneName, LaneName};
use serde::{Deserialize, Serialize};

use crate::config::{Invalid, Secret, Section};

/// The section `nacos`: the registry. Used only where something else asks for it, such as `discovery.kind = "nacos"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NacosConfig {
    /// Where the servers are: `host:port` of their HTTP port, separated by commas.
    pub server: String,
    /// Their gRPC port. Absent: the HTTP port plus 1000, as Nacos has it.
    pub grpc_port: Option<u16>,
    /// The id of the namespace; empty is the public one. Processes see each other only within one.
    pub namespace: String,
    /// The group of the services and documents within the namespace.
    pub group: String,
    /// The cluster (usually a zone) that this process registers in. Calls go to all clusters.
    pub cluster: String,
    /// Who logs in, with `password`. Absent: nobody, for servers without authentication.
    pub username: Option<String>,
    /// The password of `username`.
    pub password: Option<Secret>,
    /// Whether the servers speak TLS, on both ports.
    pub tls: bool,
    /// A file of certificates in PEM: of the authorities that vouch for the servers, and nobody else's then. Absent,
    /// with `tls`: those of the system. Without `tls` it is refused at the start.
    pub ca_file: Option<PathBuf>,
    /// Where the last good lists are kept for a start without Nacos. Absent: `nacos` in `data_dir`.
    pub cache_dir: Option<PathBuf>,
    /// The address that others shall call this process at. Absent: the one its RPC port is bound to, or if that is all
    /// of them, the one from which Nacos is reached.
    pub advertise: Option<IpAddr>,
    /// This process's share of the calls, relative to the other instances of its role. 0: none, unless all have 0.
    pub weight: u32,
    /// The lane that this process is in: it gets the calls of requests in that lane and no others. Absent: the base,
    /// which also serves lanes that have no instance. 1 to 31 of a-z, 0-9 and '-'.
    pub lane: Option<String>,
    /// How often lists and our own registration are looked at although no push has come. Bounds how long a
    /// lost push goes unnoticed.
    #[serde(with = "humantime_serde")]
    pub refresh_interval: Duration,
    /// How long one question may take. Beyond it Nacos counts as unreachable, and what is known stays in use.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
    /// How long a start waits for the first lists when none are kept from an earlier run. Beyond it the process starts
    /// without them and takes them up when they arrive.
    #[serde(with = "humantime_serde")]
    pub start_timeout: Duration,
    /// How long instances that are missing from Nacos's lists are kept after it was unreachable or had lost its memory,
    /// because the others have to find it again first.
    #[serde(with = "humantime_serde")]
    pub keep_missing_for: Duration,
}

impl Default for NacosConfig {
    fn default() -> Self {
        Self {
            server: "127.0.0.1:8848".to_owned(),
            grpc_port: None,
            namespace: String::new(),
            group: "DEFAULT_GROUP".to_owned(),
            cluster: "DEFAULT".to_owned(),
            username: None,
            password: None,
            tls: false,
            ca_file: None,
            cache_dir: None,
            advertise: None,
            weight: 1,
            lane: None,
            refresh_interval: Duration::from_secs(5),
            request_timeout: Duration::from_secs(3),
            start_timeout: Duration::from_secs(3),
            keep_missing_for: Duration::from_secs(30),
        }
    }
}

impl NacosConfig {
    /// The servers' HTTP addresses, `host:port` each.
    pub(super) fn servers(&self) -> impl Iterator<Item = &str> {
        self.server.split(',').map(str::trim)
    }

    fn validate_texts(&self) -> Result<(), Invalid> {
        let is_address = |server: &str| {
            server.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        };
        if !self.servers().all(is_address) {
            return Err(Invalid::new("server", "must be host:port, or several of them with commas between"));
        }
        for (key, text) in [("group", &self.group), ("cluster", &self.cluster)] {
            if text.trim().is_empty() {
                return Err(Invalid::new(key, "must not be empty; leave it out for the default"));
            }
        }
        match (&self.username, &self.password) {
            (Some(_), None) => Err(Invalid::new("password", "is needed when `username` is set")),
            (None, Some(_)) => Err(Invalid::new("username", "is needed when `password` is set")),
            _ => Ok(()),
        }
    }
}

impl Section for NacosConfig {
    const NAME: &'static str = "nacos";

    fn validate(&self) -> Result<(), Invalid> {
        self.validate_texts()?;
        if self.lane.as_deref().is_some_and(|lane| LaneName::parse(lane).is_err()) {
            return Err(Invalid::new("lane", BadLaneName.to_string()));
        }
        if self.advertise.is_some_and(|address| address.is_unspecified()) {
            return Err(Invalid::new("advertise", "must be an address that others can call"));
        }
        for (key, time) in [("refresh_interval", self.refresh_interval), ("request_timeout", self.request_timeout)] {
            if time.is_zero() {
                return Err(Invalid::new(key, "must be longer than zero"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(toml: &str) -> Option<String> {
        let config: NacosConfig = toml::from_str(toml).expect("the right types");
        config.validate().err().map(|invalid| invalid.key)
    }

    #[test]
    fn a_lane_that_no_request_could_be_in_is_refused() {
        assert_eq!(complaint("lane = 'canary-2'"), None);
        assert_eq!(complaint("lane = 'Canary'").as_deref(), Some("lane"));
        assert_eq!(complaint("lane = ''").as_deref(), Some("lane"));
    }

    #[test]
    fn several_servers_may_be_named() {
        assert_eq!(complaint("server = '10.0.0.1:8848, nacos.internal:8848'"), None);
        assert_eq!(complaint("server = '10.0.0.1'").as_deref(), Some("server"));
        assert_eq!(complaint("server = '10.0.0.1:8848,'").as_deref(), Some("server"));
        assert_eq!(complaint("server = ''").as_deref(), Some("server"));
    }

    #[test]
    fn a_user_and_a_password_come_together() {
        assert_eq!(complaint("username = 'playgate'").as_deref(), Some("password"));
        assert_eq!(complaint("password = 'x'").as_deref(), Some("username"));
        assert_eq!(complaint("username = 'playgate'\npassword = 'x'"), None);
    }

    #[test]
    fn a_lane_that_no_request_could_be_coloured_with_is_refused() {
        assert_eq!(complaint("lane = 'canary-2'"), None);
        assert_eq!(complaint("lane = 'Canary'").as_deref(), Some("lane"));
        assert_eq!(complaint("lane = ''").as_deref(), Some("lane"));
    }

    #[test]
    fn an_address_that_nobody_can_call_is_not_advertised() {
        assert_eq!(complaint("advertise = '0.0.0.0'").as_deref(), Some("advertise"));
    }
}

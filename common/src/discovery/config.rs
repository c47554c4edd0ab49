//! The section `discovery`.

use serde::{Deserialize, Serialize};

use super::{DnsConfig, StaticConfig};
use crate::config::{Invalid, Section};

/// The section `discovery`: how the roles find each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoveryConfig {
    /// `in-process`, `static`, `dns` or `nacos`. Absent: `in-process` when one process serves all roles, `static` when
    /// it serves one.
    pub kind: Option<DiscoveryKind>,
    /// The instances of each role, for the kind `static`.
    #[serde(rename = "static")]
    pub static_list: StaticConfig,
    /// The names of each role, for the kind `dns`.
    pub dns: DnsConfig,
}

/// A way to find the other roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiscoveryKind {
    /// They are in this process: calls need no socket.
    InProcess,
    /// They are where the configuration says.
    Static,
    /// They are behind names, such as those of headless services of Kubernetes.
    Dns,
    /// They announce themselves in a Nacos registry (section `nacos`).
    Nacos,
}

impl DiscoveryConfig {
    /// The kind that applies to a process that serves all roles, or to one that serves a single role.
    ///
    /// # Errors
    /// A single role has nobody in its process to call, and all roles together have nobody to look for.
    pub fn kind_for(&self, serves_all: bool) -> Result<DiscoveryKind, Invalid> {
        match (self.kind, serves_all) {
            (None, true) => Ok(DiscoveryKind::InProcess),
            (None, false) => Ok(DiscoveryKind::Static),
            (Some(DiscoveryKind::InProcess), false) => {
                let reason = "a process that serves one role has to find the others: use `static`, `dns` or `nacos`";
                Err(Invalid::new("kind", reason))
            }
            (Some(DiscoveryKind::Dns | DiscoveryKind::Nacos), true) => {
                let reason = "a process that serves all roles has nobody to find: use `in-process` or leave it out";
                Err(Invalid::new("kind", reason))
            }
            (Some(kind), _) => Ok(kind),
        }
    }
}

impl Section for DiscoveryConfig {
    const NAME: &'static str = "discovery";

    fn validate(&self) -> Result<(), Invalid> {
        self.static_list.validate()?;
        self.dns.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(toml: &str) -> Result<DiscoveryConfig, toml::de::Error> {
        toml::from_str(toml)
    }

    #[test]
    fn without_a_kind_it_follows_from_what_the_process_serves() {
        let config = DiscoveryConfig::default();
        assert_eq!(config.kind_for(true), Ok(DiscoveryKind::InProcess));
        assert_eq!(config.kind_for(false), Ok(DiscoveryKind::Static));
    }

    #[test]
    fn a_single_role_cannot_look_for_the_others_in_its_own_process() {
        let config = parse("kind = 'in-process'").expect("a known kind");
        assert_eq!(config.kind_for(false).map_err(|invalid| invalid.key), Err("kind".to_owned()));
        assert_eq!(config.kind_for(true), Ok(DiscoveryKind::InProcess));
    }

    #[test]
    fn a_process_that_serves_all_roles_does_not_look_for_others() {
        for kind in ["dns", "nacos"] {
            let config = parse(&format!("kind = '{kind}'")).expect("a known kind");
            assert_eq!(config.kind_for(true).map_err(|invalid| invalid.key), Err("kind".to_owned()));
            assert!(config.kind_for(false).is_ok());
        }
    }

    #[test]
    fn a_kind_that_is_not_supported_is_refused_with_those_that_are() {
        let refused = parse("kind = 'zookeeper'").expect_err("not supported").to_string();
        for part in ["zookeeper", "in-process", "static", "dns", "nacos"] {
            assert!(refused.contains(part), "{refused}");
        }
    }

    #[test]
    fn a_static_list_may_name_several_instances_of_a_role() {
        let config = parse("static.account = ['10.0.0.1:9081', '10.0.0.2:9081']").expect("valid");
        assert_eq!(config.static_list.account.len(), 2);
        assert_eq!(config.static_list.pay, StaticConfig::default().pay);
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn a_role_without_an_instance_is_refused() {
        let config = parse("static.pay = []").expect("the right type");
        assert_eq!(config.validate().map_err(|invalid| invalid.key), Err("static.pay".to_owned()));
    }
}

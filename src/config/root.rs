//! The struct behind `playgate.toml`.

use std::path::PathBuf;

use common::{
    config::{Environment, Invalid, Root, validate_section, watch::DynamicConfig},
    discovery::{DiscoveryConfig, nacos::NacosConfig},
    lifecycle::LifecycleConfig,
    rpc::{ClientConfig, ServerConfig},
    shared::{RedisConfig, SharedConfig},
    sql::SqlConfig,
    telemetry::{LogConfig, OtlpConfig, operator::OperatorConfig},
};
use serde::{Deserialize, Serialize};

/// One line per section: its name in the file, and the type in the crate that uses it.
macro_rules! sections {
    ($($name:ident: $section:ty,)*) => {
        /// Every key there is. The sections are documented where they are used, and in `playgate.example.toml`.
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct Configuration {
            /// Where everything lies that the embedded defaults keep on disk.
            pub(crate) data_dir: PathBuf,
            /// Whether real players are served. `production` refuses every convenience of development.
            pub(crate) environment: Environment,
            $(pub(crate) $name: $section,)*
        }

        impl Default for Configuration {
            fn default() -> Self {
                Self {
                    data_dir: PathBuf::from("./data"),
                    environment: Environment::default(),
                    $($name: <$section>::default(),)*
                }
            }
        }

        impl Root for Configuration {
            fn validate(&self) -> Result<(), Invalid> {
                if self.data_dir.as_os_str().is_empty() {
                    return Err(Invalid::new("data_dir", "must name a directory"));
                }
                $(validate_section(&self.$name)?;)*
                Ok(())
            }
        }

        #[cfg(test)]
        const SECTION_NAMES: &[(&str, &str)] =
            &[$((stringify!($name), <$section as common::config::Section>::NAME),)*];
    };
}

sections! {
    gateway: gateway::Config,
    ingest: ingest::IngestConfig,
    shipper: shipper::ShipperConfig,
    account: account::Config,
    setting: setting::Config,
    pay: pay::Config,
    sql: SqlConfig,
    shared: SharedConfig,
    redis: RedisConfig,
    discovery: DiscoveryConfig,
    nacos: NacosConfig,
    dynamic: DynamicConfig,
    rpc: ClientConfig,
    rpc_server: ServerConfig,
    operator: OperatorConfig,
    log: LogConfig,
    otlp: OtlpConfig,
    lifecycle: LifecycleConfig,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Configuration::default().validate(), Ok(()));
    }

    #[test]
    fn a_section_calls_itself_what_the_file_calls_it() {
        for (field, name) in SECTION_NAMES {
            assert_eq!(field, name);
        }
    }

    #[test]
    fn a_data_directory_without_a_name_is_refused() {
        let configuration = Configuration { data_dir: PathBuf::new(), ..Configuration::default() };
        assert_eq!(configuration.validate().map_err(|invalid| invalid.key), Err("data_dir".to_owned()));
    }
}

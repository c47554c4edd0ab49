//! The `[pay]` section.

use std::net::{Ipv4Addr, SocketAddr};

use common::config::Section;
use serde::{Deserialize, Serialize};

/// The pay service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where `playgate serve pay` takes RPC. Cluster-internal: the wire format trusts its peers.
    pub listen: SocketAddr,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9083)) }
    }
}

impl Section for Config {
    const NAME: &'static str = "pay";
}

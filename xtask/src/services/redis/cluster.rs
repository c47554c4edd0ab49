//! [`RedisCluster`]: three masters that share the slots, without replicas.

use std::time::Duration;

use anyhow::Result;

use super::{super::Certificates, Redis, command::await_reply};
use crate::ports::Port;

/// Masters that gossip agree within a second or two.
const AGREEMENT_LIMIT: Duration = Duration::from_secs(30);

/// The slots of each master: all 16384 in thirds.
const SLOTS: [(u16, u16); 3] = [(0, 5460), (5461, 10922), (10923, 16383)];

/// Three masters. They end when this value is dropped.
#[derive(Debug)]
pub struct RedisCluster {
    masters: Vec<Redis>,
    /// Where the masters talk to each other.
    _gossip_ports: Vec<Port>,
}

impl RedisCluster {
    /// Starts the masters and waits until each of them finds the cluster complete.
    ///
    /// # Errors
    /// When Redis is not installed, or the cluster does not come together.
    pub fn start() -> Result<Self> {
        Self::start_for(None)
    }

    /// Starts masters that speak TLS, to clients (at [`tls_addresses`](Self::tls_addresses)) and among themselves.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with_tls(certificates: &Certificates) -> Result<Self> {
        Self::start_for(Some(certificates))
    }

    fn start_for(tls: Option<&Certificates>) -> Result<Self> {
        let (mut masters, mut gossip_ports) = (Vec::new(), Vec::new());
        for (first, last) in SLOTS {
            let gossip = Port::reserve()?;
            let master = start_master(&gossip, tls)?;
            master.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}"))?;
            masters.push(master);
            gossip_ports.push(gossip);
        }
        // Each gets an epoch of its own before they meet: equal ones would have to be settled by gossip first.
        for (epoch, master) in (1..).zip(&masters) {
            master.ask(&format!("CLUSTER SET-CONFIG-EPOCH {epoch}"))?;
        }
        for (master, gossip) in masters.iter().zip(&gossip_ports).skip(1) {
            let port = if tls.is_some() { master.tls_port() } else { master.port() };
            masters[0].ask(&format!("CLUSTER MEET 127.0.0.1 {port} {}", gossip.number()))?;
        }
        for master in &masters {
            // Not only the state: without full coverage a master that has yet to hear of a third of the slots is "ok".
            let complete = |info: &str| {
                ["cluster_state:ok", "cluster_known_nodes:3", "cluster_slots_ok:16384"]
                    .iter()
                    .all(|line| info.contains(line))
            };
            await_reply(&master.address(), "CLUSTER INFO", AGREEMENT_LIMIT, complete)?;
        }
        Ok(Self { masters, _gossip_ports: gossip_ports })
    }

    /// `127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT`.
    pub fn addresses(&self) -> String {
        self.masters.iter().map(Redis::address).collect::<Vec<_>>().join(",")
    }

    /// The same for clients that speak TLS.
    pub fn tls_addresses(&self) -> String {
        self.masters.iter().map(|master| format!("127.0.0.1:{}", master.tls_port())).collect::<Vec<_>>().join(",")
    }

    /// The masters, in the order of their slots.
    pub fn masters(&mut self) -> &mut [Redis] {
        &mut self.masters
    }
}

fn start_master(gossip: &Port, tls: Option<&Certificates>) -> Result<Redis> {
    let mut settings = vec![
        "--cluster-enabled".to_owned(),
        "yes".to_owned(),
        "--cluster-port".to_owned(),
        gossip.number().to_string(),
        "--cluster-node-timeout".to_owned(),
        "2000".to_owned(),
        // What is left goes on when one is gone.
        "--cluster-require-full-coverage".to_owned(),
        "no".to_owned(),
    ];
    if tls.is_some() {
        // Otherwise they name each other's plain ports to clients that speak TLS.
        settings.extend(["--tls-cluster".to_owned(), "yes".to_owned()]);
    }
    Redis::start_and(&settings, tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_of_a_cluster_has_a_master() {
        let cluster = RedisCluster::start().unwrap();
        let info = cluster.masters[2].ask("CLUSTER INFO").unwrap();
        assert!(info.contains("cluster_slots_ok:16384"), "{info}");
    }
}

//! [`RedisSentinels`]: a master, its replica, and three sentinels that decide which is which.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

use super::{super::Certificates, Redis, command::await_reply};

/// What the sentinels call the pair.
const SERVICE: &str = "playgate";

/// Sentinels that publish find each other within a few seconds.
const AGREEMENT_LIMIT: Duration = Duration::from_secs(60);

const SENTINELS: usize = 3;

/// A pair of servers under three sentinels. They end when this value is dropped.
#[derive(Debug)]
pub struct RedisSentinels {
    sentinels: Vec<Redis>,
    replica: Redis,
    master: Redis,
}

impl RedisSentinels {
    /// Starts everything and waits until a fail-over would succeed.
    ///
    /// # Errors
    /// When Redis is not installed, or the sentinels do not find each other.
    pub fn start() -> Result<Self> {
        Self::start_for(None)
    }

    /// Starts everything so that it speaks TLS, to clients (at [`tls_addresses`](Self::tls_addresses)) and among
    /// themselves.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub fn start_with_tls(certificates: &Certificates) -> Result<Self> {
        Self::start_for(Some(certificates))
    }

    fn start_for(tls: Option<&Certificates>) -> Result<Self> {
        let among_themselves = ["--tls-replication".to_owned(), "yes".to_owned()];
        let among_themselves = if tls.is_some() { &among_themselves[..] } else { &[] };
        let master = Redis::start_and(among_themselves, tls)?;
        let replica_of = ["--replicaof".to_owned(), "127.0.0.1".to_owned(), port(&master, tls).to_string()];
        let replica = Redis::start_and(&[among_themselves, &replica_of].concat(), tls)?;
        let sentinels: Result<Vec<_>> = (0..SENTINELS).map(|_| start_sentinel(&master, tls)).collect();
        let servers = Self { sentinels: sentinels?, replica, master };
        servers.await_agreement()?;
        Ok(servers)
    }

    /// `127.0.0.1:PORT,127.0.0.1:PORT,127.0.0.1:PORT/SERVICE`: the sentinels, and what they call the pair.
    pub fn addresses(&self) -> String {
        let sentinels: Vec<_> = self.sentinels.iter().map(Redis::address).collect();
        format!("{}/{SERVICE}", sentinels.join(","))
    }

    /// The same for clients that speak TLS.
    pub fn tls_addresses(&self) -> String {
        let sentinels: Vec<_> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.tls_port())).collect();
        format!("{}/{SERVICE}", sentinels.join(","))
    }

    /// The server that was the master at first.
    pub fn first_master(&mut self) -> &mut Redis {
        &mut self.master
    }

    /// The server that was the replica at first.
    pub fn first_replica(&mut self) -> &mut Redis {
        &mut self.replica
    }

    fn await_agreement(&self) -> Result<()> {
        await_reply(&self.replica.address(), "INFO replication", AGREEMENT_LIMIT, |info| {
            info.contains("master_link_status:up")
        })?;
        for sentinel in &self.sentinels {
            let sees = |others: &str| {
                let has = |name: &str, value: usize| others.contains(&format!("{name} {value}"));
                has("num-slaves", 1) && has("num-other-sentinels", SENTINELS - 1)
            };
            await_reply(&sentinel.address(), &format!("SENTINEL MASTER {SERVICE}"), AGREEMENT_LIMIT, sees)?;
        }
        Ok(())
    }
}

/// The port on which the others find it.
fn port(server: &Redis, tls: Option<&Certificates>) -> u16 {
    if tls.is_some() { server.tls_port() } else { server.port() }
}

fn start_sentinel(master: &Redis, tls: Option<&Certificates>) -> Result<Redis> {
    Redis::start_with(tls, |directory| {
        // Sentinels write what they learn into their configuration, so it has to be a file.
        let file = directory.join("sentinel.conf");
        let (port, quorum) = (port(master, tls), SENTINELS / 2 + 1);
        let among_themselves = if tls.is_some() { "tls-replication yes\n" } else { "" };
        let settings = format!(
            "bind 127.0.0.1\n\
             {among_themselves}\
             sentinel monitor {SERVICE} 127.0.0.1 {port} {quorum}\n\
             sentinel down-after-milliseconds {SERVICE} 500\n\
             sentinel failover-timeout {SERVICE} 3000\n"
        );
        fs::write(&file, settings)?;
        let file = file.to_str().context("the temporary directory has a readable name")?;
        Ok(vec![file.to_owned(), "--sentinel".to_owned()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_replica_takes_over_when_the_master_is_killed() {
        let mut servers = RedisSentinels::start().unwrap();
        servers.first_master().kill().unwrap();
        let replica = servers.first_replica().address();
        await_reply(&replica, "ROLE", AGREEMENT_LIMIT, |role| role.starts_with("master")).unwrap();
    }
}

//! `playgate health [ROLE]`: asks the operator listener of a process on this machine whether it lives. For images that
//! have no shell and no other program to ask with.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, anyhow};
use clap::Args;
use common::lifecycle::ExitStatus;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{failure::Failure, globals::Globals};
use crate::{platform::default_operator_address, role::Role};

/// Whoever asks has a limit of its own; this one says why.
const PATIENCE: Duration = Duration::from_secs(3);

/// More than a status line has.
const LONGEST_ANSWER: u64 = 4096;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What the process runs that is asked
    #[arg(value_enum, default_value_t)]
    role: Role,
    /// Ask whether it should get traffic, and not only whether it lives
    #[arg(long)]
    ready: bool,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals) -> Result<ExitStatus, Failure> {
    let configuration = globals.load().await?.value;
    let listen = configuration.operator.listen.unwrap_or_else(|| default_operator_address(arguments.role));
    let (address, path) = (reachable(listen), if arguments.ready { "/readyz" } else { "/healthz" });
    let asked = timeout(PATIENCE, ask(address, path)).await;
    let answer = asked.map_err(|_| anyhow!("{address}{path} does not answer within {PATIENCE:?}"))??;
    if answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.0 200") {
        return Ok(ExitStatus::Clean);
    }
    let status = answer.lines().next().unwrap_or_default();
    Err(Failure::Other(anyhow!("{address}{path} answers: {status}")))
}

async fn ask(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream =
        TcpStream::connect(address).await.with_context(|| format!("nobody listens on {address} (operator.listen)"))?;
    // Nothing is wanted after the answer.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A listener on every address is asked on this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_this_machine() {
        for (listen, asked) in
            [("0.0.0.0:9180", "127.0.0.1:9180"), ("[::]:9180", "[::1]:9180"), ("10.0.0.7:9181", "10.0.0.7:9181")]
        {
            assert_eq!(reachable(listen.parse().expect("an address")), asked.parse().expect("an address"));
        }
    }
}

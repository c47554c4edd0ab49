//! The address that this process is announced at, so that others can call it.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::{UdpSocket, lookup_host},
    time::{sleep, timeout},
};

use super::{config::NacosConfig, register::Registration};

/// Between two attempts to find the address out.
const PAUSE: Duration = Duration::from_secs(5);

/// None of Nacos's servers leads to an address of this machine that others could call.
#[derive(Debug)]
struct NoAddress(Vec<(String, io::Error)>);

/// The address that others shall call a server at. Waits until there is one, however long that takes: where it follows
/// from the way to Nacos, nothing can be registered before that way is there.
pub(super) async fn address_for(registration: &Registration, config: &NacosConfig) -> SocketAddr {
    let Registration { service, bound, .. } = registration;
    let ip = match config.advertise {
        Some(ip) => ip,
        None if !bound.ip().is_unspecified() => bound.ip(),
        None => until_known(service, *bound, config).await,
    };
    if ip.is_loopback() && !config.servers().any(is_here) {
        tracing::warn!(
            service,
            address = %ip,
            "a loopback address is announced in a Nacos on another machine: only processes on this one can call it; \
             set `nacos.advertise` or the role's `listen`"
        );
    }
    SocketAddr::new(ip, bound.port())
}

async fn until_known(service: &str, bound: SocketAddr, config: &NacosConfig) -> IpAddr {
    let mut is_said = false;
    loop {
        match towards_any(config.servers(), bound, config.request_timeout).await {
            Ok(ip) => return ip,
            Err(error) => {
                // Once: the next line would say the same.
                if !std::mem::replace(&mut is_said, true) {
                    tracing::warn!(service, %error, "not registered yet: no address leads to Nacos, or set `nacos.advertise`");
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// The address from which the first server is reached that can be reached from one at which `bound` listens.
async fn towards_any<'a>(
    servers: impl Iterator<Item = &'a str>,
    bound: SocketAddr,
    limit: Duration,
) -> Result<IpAddr, NoAddress> {
    let mut failures = Vec::new();
    for server in servers {
        match timeout(limit, towards(server, bound)).await {
            Ok(Ok(ip)) => return Ok(ip),
            Ok(Err(error)) => failures.push((server.to_owned(), error)),
            Err(_elapsed) => failures.push((server.to_owned(), io::ErrorKind::TimedOut.into())),
        }
    }
    Err(NoAddress(failures))
}

/// The address from which `server` is reached. Nothing is sent to it.
async fn towards(server: &str, bound: SocketAddr) -> io::Result<IpAddr> {
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, "no address of the right family");
    for target in lookup_host(server).await?.filter(|target| listens_to(bound, target.ip())) {
        match local_address(target).await {
            Ok(ip) => return Ok(ip),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

async fn local_address(target: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(target).await?;
    Ok(socket.local_addr()?.ip())
}

/// Whether a listener at all addresses hears calls to one of this family: all of IPv6 are usually those of IPv4 as well.
fn listens_to(bound: SocketAddr, ip: IpAddr) -> bool {
    bound.is_ipv6() || ip.is_ipv4()
}

/// Whether a server is on this very machine.
fn is_here(server: &str) -> bool {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    let ip: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    ip.map_or(host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (server, error)) in self.0.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{server}: {error}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::tests::log::Log;

    const LIMIT: Duration = Duration::from_secs(5);
    const EVERYWHERE: &str = "0.0.0.0:9081";

    /// A label this long is no name: nobody is asked where it is.
    fn unresolvable() -> String {
        format!("{}:8848", "x".repeat(64))
    }

    fn registration(bound: &str) -> Registration {
        Registration { service: "account", bound: bound.parse().expect("an address"), version: String::new() }
    }

    async fn announced(bound: &str, server: &str, advertise: Option<&str>) -> String {
        let advertise = advertise.map(|ip| ip.parse().expect("an address"));
        let config = NacosConfig { server: server.to_owned(), advertise, ..NacosConfig::default() };
        address_for(&registration(bound), &config).await.to_string()
    }

    #[tokio::test]
    async fn what_is_configured_or_bound_is_announced_whether_or_not_nacos_can_be_found() {
        assert_eq!(announced("10.0.0.7:9081", &unresolvable(), None).await, "10.0.0.7:9081");
        assert_eq!(announced(EVERYWHERE, &unresolvable(), Some("192.0.2.1")).await, "192.0.2.1:9081");
        assert_eq!(announced("127.0.0.1:9081", &unresolvable(), Some("2001:db8::1")).await, "[2001:db8::1]:9081");
    }

    #[tokio::test]
    async fn bound_to_all_addresses_it_is_the_one_from_which_any_of_the_servers_is_reached() {
        assert_eq!(announced(EVERYWHERE, "127.0.0.1:8848", None).await, "127.0.0.1:9081");
        let servers = format!("{}, 127.0.0.1:8848", unresolvable());
        assert_eq!(announced(EVERYWHERE, &servers, None).await, "127.0.0.1:9081");
        assert_eq!(announced("[::]:9081", "127.0.0.1:8848", None).await, "127.0.0.1:9081");
        // Nobody could call an IPv6 address of a process that listens on IPv4 only.
        assert_eq!(announced(EVERYWHERE, "[::1]:8848, 127.0.0.1:8848", None).await, "127.0.0.1:9081");
    }

    #[tokio::test]
    async fn where_no_server_leads_anywhere_each_says_why() {
        let servers = [unresolvable(), "[::1]:8848".to_owned()];
        let bound = EVERYWHERE.parse().expect("an address");
        let failure = towards_any(servers.iter().map(String::as_str), bound, LIMIT).await.expect_err("nowhere");
        let text = failure.to_string();
        assert!(
            text.starts_with(&servers[0]) && text.ends_with("[::1]:8848: no address of the right family"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_loopback_address_in_a_nacos_elsewhere_is_warned_of() {
        for (bound, server, is_warned) in [
            ("127.0.0.1:9081", "nacos.internal:8848", true),
            ("[::1]:9081", "10.0.0.5:8848,10.0.0.6:8848", true),
            ("10.0.0.7:9081", "nacos.internal:8848", false),
            ("127.0.0.1:9081", "127.0.0.1:8848", false),
            ("127.0.0.1:9081", "localhost:8848", false),
            ("127.0.0.1:9081", "[::1]:8848", false),
        ] {
            let log = Log::default();
            let _guard = tracing::dispatcher::set_default(&log.dispatch());
            announced(bound, server, None).await;
            assert_eq!(log.text().contains("a loopback address is announced"), is_warned, "{bound} {server}");
        }
    }
}

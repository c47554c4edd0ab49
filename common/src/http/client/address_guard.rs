//! Which addresses may be called on behalf of somebody who does not run the process.
//!
//! A URL in a document can name the database, a cloud's metadata service or this very process. So what a host resolves to
//! is looked at in the moment of connecting, and not before: a name can resolve to something else a second later.

use std::{
    fmt,
    future::Future,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use tower_service::Service;

/// Networks that are not the public internet: IANA's special-purpose registries (RFC 6890 and successors).
const SPECIAL_V4: [Ipv4Net; 14] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// The public internet of IPv6: everything else is special.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 3);

/// What of it is special all the same: Teredo and other protocols, documentation, 6to4 (which may lead anywhere in
/// IPv4), documentation again.
const SPECIAL_V6: [Ipv6Net; 4] = [v6(0x2001, 0, 23), v6(0x2001, 0xdb8, 32), v6(0x2002, 0, 16), v6(0x3fff, 0, 20)];

/// Permits the public internet, and what it is told besides.
#[derive(Clone, Debug)]
pub struct AddressGuard {
    allowed: Arc<[IpNet]>,
    loopback: bool,
    everything: bool,
}

impl AddressGuard {
    /// The public internet and these networks; this machine itself only with `loopback`.
    pub fn public_and(allowed: &[IpNet], loopback: bool) -> Self {
        Self { allowed: allowed.into(), loopback, everything: false }
    }

    /// No guard: for targets that whoever runs the process has chosen.
    pub fn everything() -> Self {
        Self { allowed: Arc::default(), loopback: true, everything: true }
    }

    /// Whether an address may be called.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.everything
            || is_public(address)
            || (self.loopback && address.is_loopback())
            || self.allowed.iter().any(|network| network.contains(&address))
    }

    /// Whether a URL's host may be called, as far as can be told without resolving it. An IPv6 address may be in brackets.
    pub fn permits_host(&self, host: &str) -> bool {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        bare.parse().map_or(true, |address| self.permits(address))
    }
}

/// Resolves as the system does, and leaves out what the guard does not permit.
#[derive(Clone)]
pub(super) struct GuardedResolver {
    system: GaiResolver,
    guard: AddressGuard,
}

impl GuardedResolver {
    pub(super) fn new(guard: AddressGuard) -> Self {
        Self { system: GaiResolver::new(), guard }
    }
}

impl fmt::Debug for GuardedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedResolver").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Service<Name> for GuardedResolver {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.system.poll_ready(cx)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (resolving, guard) = (self.system.call(name), self.guard.clone());
        Box::pin(async move {
            let found: Vec<SocketAddr> = resolving.await?.collect();
            let permitted: Vec<_> = found.iter().copied().filter(|address| guard.permits(address.ip())).collect();
            if permitted.is_empty() && !found.is_empty() {
                return Err(io::Error::other("the name leads to no address that may be called"));
            }
            Ok(permitted.into_iter())
        })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|net| net.contains(&address)),
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(std::net::Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(guard: &AddressGuard, address: &str) -> bool {
        guard.permits(address.parse().expect("an address"))
    }

    #[test]
    fn only_the_public_internet_is_permitted_unless_told_otherwise() {
        let guard = AddressGuard::public_and(&[], false);
        for public in ["8.8.8.8", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "::ffff:8.8.8.8"] {
            assert!(permits(&guard, public), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::",
        ] {
            assert!(!permits(&guard, special), "{special}");
        }
    }

    #[test]
    fn networks_and_this_machine_can_be_permitted() {
        let guard = AddressGuard::public_and(&["10.1.0.0/16".parse().expect("a network")], true);
        for permitted in ["10.1.2.3", "::ffff:10.1.2.3", "127.0.0.1", "::1"] {
            assert!(permits(&guard, permitted), "{permitted}");
        }
        assert!(!permits(&guard, "10.2.0.1") && !permits(&guard, "169.254.169.254"));
        assert!(permits(&AddressGuard::everything(), "169.254.169.254"));
    }

    #[test]
    fn a_host_that_is_an_address_is_judged_at_once_and_a_name_later() {
        let guard = AddressGuard::public_and(&[], false);
        assert!(guard.permits_host("issuer.example") && guard.permits_host("[2606:4700::1111]"));
        assert!(!guard.permits_host("127.0.0.1") && !guard.permits_host("[::1]"));
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_machine_is_refused_when_it_is_resolved() {
        let resolve = async |loopback| {
            let mut resolver = GuardedResolver::new(AddressGuard::public_and(&[], loopback));
            resolver.call("localhost".parse().expect("a name")).await
        };
        assert!(resolve(false).await.is_err());
        assert!(resolve(true).await.expect("resolved").count() > 0);
    }
}

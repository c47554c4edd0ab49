//! Who asked: the address of the client, through trusted proxies only.
//!
//! `X-Forwarded-For` is written by whoever sends it. Only the entries that a *trusted* proxy appended are believed, so
//! the header is read right to left, from our own peer outwards, and the walk ends at the first address that is not
//! one of our proxies. Limits and the access log are keyed by the result, so a client must not be able to choose it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use http::{HeaderMap, HeaderName, request::Parts};
use ipnet::IpNet;
use volo::context::Context;
use volo_http::{context::ServerContext, server::extract::FromContext};

use super::ApiError;
use crate::error_code::PublicError;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client, for limits and logs. An IPv4 address in IPv6 clothes is given as IPv4.
/// A local process that connects through the unix socket and names no client is the loopback address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl FromContext for ClientAddress {
    type Rejection = ApiError;

    async fn from_context(cx: &mut ServerContext, _: &mut Parts) -> Result<Self, ApiError> {
        cx.extensions().get::<Self>().copied().ok_or_else(|| {
            tracing::error!("a handler asks for the client address, but the service runs without the front layer");
            ApiError(PublicError::internal())
        })
    }
}

/// The networks our own proxies live in.
#[derive(Clone, Debug, Default)]
pub struct TrustedNetworks(Arc<[IpNet]>);

impl TrustedNetworks {
    /// Trusts exactly these networks.
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether `address` is one of our proxies.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// The client.
    pub(super) address: IpAddr,
    /// Every hop, the client included, is inside the trusted networks: what it says about itself may be believed.
    pub(super) inside: bool,
}

impl Origin {
    /// Walks from the peer of the connection outwards. `peer` is `None` for a unix socket, whose other end is a process
    /// on this machine that was allowed to open it: a trusted proxy.
    pub(super) fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &TrustedNetworks) -> Self {
        let mut origin = match peer {
            Some(peer) => Self::new(peer, trusted),
            None => Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), inside: true },
        };
        if !origin.inside {
            return origin;
        }
        let lines = headers.get_all(X_FORWARDED_FOR).iter().rev();
        for entry in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
            let Some(address) = parse_entry(entry) else {
                // Whoever wrote this is not one of our proxies, so nothing further left is worth reading.
                return Self { inside: false, ..origin };
            };
            origin = Self::new(address, trusted);
            if !origin.inside {
                break;
            }
        }
        origin
    }

    fn new(address: IpAddr, trusted: &TrustedNetworks) -> Self {
        let address = address.to_canonical();
        Self { address, inside: trusted.contains(address) }
    }
}

/// An address as proxies write it: bare, or with a port (IPv6 then in brackets).
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim();
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    bare.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn trusted() -> TrustedNetworks {
        TrustedNetworks::new(&["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()])
    }

    fn walk(peer: Option<&str>, lines: &[&str]) -> (String, bool) {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
        }
        let origin = Origin::of(peer.map(|peer| peer.parse().unwrap()), &headers, &trusted());
        (origin.address.to_string(), origin.inside)
    }

    #[test]
    fn the_walk_ends_at_the_first_hop_that_is_not_one_of_our_proxies() {
        let cases: &[(Option<&str>, &[&str], &str, bool)] = &[
            // A stranger may write what it likes.
            (Some("203.0.113.9"), &["1.2.3.4"], "203.0.113.9", false),
            (Some("10.0.0.1"), &[], "10.0.0.1", true),
            (Some("10.0.0.1"), &["198.51.100.7"], "198.51.100.7", false),
            // What the client wrote itself stands left of what our proxy appended.
            (Some("10.0.0.1"), &["127.0.0.1, 198.51.100.7"], "198.51.100.7", false),
            (Some("10.0.0.1"), &["1.1.1.1, 198.51.100.7, 10.2.2.2"], "198.51.100.7", false),
            // Several header lines are one list.
            (Some("10.0.0.1"), &["1.1.1.1", "198.51.100.7", "10.2.2.2,10.3.3.3"], "198.51.100.7", false),
            (Some("10.0.0.1"), &["10.9.9.9, 10.2.2.2"], "10.9.9.9", true),
            // A malformed entry ends the walk at the last hop that is known.
            (Some("10.0.0.1"), &["198.51.100.7, unknown"], "10.0.0.1", false),
            (Some("10.0.0.1"), &["198.51.100.7, , 10.2.2.2"], "10.2.2.2", false),
            (Some("10.0.0.1"), &[""], "10.0.0.1", false),
            // Ports, brackets, and IPv4 in IPv6 clothes.
            (Some("::ffff:10.0.0.1"), &["::ffff:198.51.100.7"], "198.51.100.7", false),
            (Some("10.0.0.1"), &["198.51.100.7:4711"], "198.51.100.7", false),
            (Some("fd00::1"), &["[2001:db8::7]:4711"], "2001:db8::7", false),
            (Some("fd00::1"), &["[2001:db8::7]"], "2001:db8::7", false),
            // The unix socket.
            (None, &["198.51.100.7"], "198.51.100.7", false),
            (None, &[], "127.0.0.1", true),
        ];
        for (peer, lines, address, inside) in cases {
            assert_eq!(walk(*peer, lines), ((*address).to_owned(), *inside), "{peer:?} {lines:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_a_client_writes_changes_the_address_our_proxy_saw(forged in "[ -~]{0,60}") {
            let line = format!("{forged},198.51.100.7, 10.2.2.2");
            prop_assert_eq!(walk(Some("10.0.0.1"), &[&line]), ("198.51.100.7".to_owned(), false));
        }

        #[test]
        fn a_stranger_is_always_taken_for_the_peer_it_is(forged in "[ -~]{0,60}") {
            prop_assert_eq!(walk(Some("203.0.113.9"), &[&forged]), ("203.0.113.9".to_owned(), false));
        }
    }
}

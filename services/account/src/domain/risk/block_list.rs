//! Addresses and devices that an operator keeps out, from a document that can change at any time.

use std::{collections::HashSet, net::IpAddr};

use common::config::Section;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The name of the document.
pub const RISK_DOCUMENT: &str = "playgate-risk.toml";

/// What the document `playgate-risk.toml` may say. Read whole or not at all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RiskDocument {
    /// Who may neither sign in nor register.
    pub(crate) blocked: BlockList,
}

/// Who is kept out. A look-up costs the logarithm of the list's length.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub(crate) struct BlockList {
    ipv4: Ranges,
    ipv6: Ranges,
    devices: HashSet<String>,
    written: Written,
}

/// Why somebody is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocked {
    Address,
    Device,
}

/// A list as an operator writes it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    /// `203.0.113.7`, `203.0.113.0/24`, `2001:db8::/32`.
    addresses: Vec<String>,
    /// Device ids as game clients send them.
    devices: Vec<String>,
}

/// Says where the mistake is, never what is written there.
#[derive(Debug, thiserror::Error)]
#[error("addresses: entry {0} is neither an address nor a range such as 203.0.113.0/24")]
struct NoAddress(usize);

/// First and last address of ranges that neither overlap nor touch, in order.
#[derive(Clone, Debug, Default)]
struct Ranges(Vec<(u128, u128)>);

impl Section for RiskDocument {
    const NAME: &'static str = "risk";
}

impl BlockList {
    /// Whether somebody at `address` on `device` is kept out.
    pub(crate) fn blocks(&self, address: Option<IpAddr>, device: Option<&str>) -> Option<Blocked> {
        let at_blocked = address.is_some_and(|address| match address.to_canonical() {
            IpAddr::V4(address) => self.ipv4.contains(address.to_bits().into()),
            IpAddr::V6(address) => self.ipv6.contains(address.to_bits()),
        });
        let on_blocked = || device.is_some_and(|device| self.devices.contains(device));
        match at_blocked {
            true => Some(Blocked::Address),
            false => on_blocked().then_some(Blocked::Device),
        }
    }
}

impl TryFrom<Written> for BlockList {
    type Error = NoAddress;

    fn try_from(written: Written) -> Result<Self, NoAddress> {
        let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
        for (place, text) in written.addresses.iter().enumerate() {
            match parse_range(text).ok_or(NoAddress(place + 1))? {
                IpNet::V4(net) => ipv4.push((net.network().to_bits().into(), net.broadcast().to_bits().into())),
                IpNet::V6(net) => ipv6.push((net.network().to_bits(), net.broadcast().to_bits())),
            }
        }
        let devices = written.devices.iter().cloned().collect();
        Ok(Self { ipv4: Ranges::new(ipv4), ipv6: Ranges::new(ipv6), devices, written })
    }
}

impl From<BlockList> for Written {
    fn from(list: BlockList) -> Self {
        list.written
    }
}

impl Ranges {
    fn new(mut ranges: Vec<(u128, u128)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    fn contains(&self, address: u128) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= address);
        after > 0 && address <= self.0[after - 1].1
    }
}

/// A range, or a single address.
pub(super) fn parse_range(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(addresses: &[&str], devices: &[&str]) -> BlockList {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Written { addresses: owned(addresses), devices: owned(devices) }.try_into().expect("a good list")
    }

    fn at(list: &BlockList, address: &str) -> bool {
        list.blocks(Some(address.parse().expect("an address")), None).is_some()
    }

    #[test]
    fn ranges_and_single_addresses_of_both_kinds_are_kept_out_and_their_neighbours_are_not() {
        let list = list(&["203.0.113.0/24", "198.51.100.7", "2001:db8::/32", "2001:db9::1"], &[]);
        for blocked in ["203.0.113.0", "203.0.113.255", "198.51.100.7", "::ffff:198.51.100.7", "2001:db8:ffff::9"] {
            assert!(at(&list, blocked), "{blocked}");
        }
        for free in ["203.0.112.255", "203.0.114.0", "198.51.100.8", "2001:db9::2", "::cb00:7101"] {
            assert!(!at(&list, free), "{free}");
        }
    }

    #[test]
    fn a_device_is_kept_out_by_its_exact_id() {
        let list = list(&[], &["emulator-1"]);
        assert_eq!(list.blocks(None, Some("emulator-1")), Some(Blocked::Device));
        assert_eq!(list.blocks(None, Some("Emulator-1")), None);
        assert_eq!(list.blocks(None, None), None);
    }

    #[test]
    fn a_document_with_one_bad_entry_is_refused_without_quoting_it() {
        let parse = |text: &str| toml::from_str::<RiskDocument>(text).map_err(|error| error.message().to_owned());
        let good = parse("[blocked]\naddresses = ['10.0.0.0/8']\ndevices = ['x']").expect("good");
        assert!(at(&good.blocked, "10.1.2.3"));
        assert!(parse("").expect("an empty one").blocked.blocks(None, Some("x")).is_none());
        let refusal = parse("[blocked]\naddresses = ['10.0.0.0/8', 'hunter2']").expect_err("no address");
        assert!(refusal.contains("entry 2") && !refusal.contains("hunter2"), "{refusal}");
        assert!(parse("[blocked]\naddresses = ['10.0.0.0/33']").is_err());
        assert!(parse("[blocked]\nadresses = []").is_err());
    }

    proptest! {
        /// Against a search through every range.
        #[test]
        fn a_look_up_finds_what_a_search_finds(
            nets in prop::collection::vec((any::<u32>(), 0_u8..=32), 0..20), near in any::<prop::sample::Index>(),
            offset in 0_u32..3,
        ) {
            let nets: Vec<IpNet> = nets
                .iter()
                .map(|(bits, prefix)| IpNet::new(std::net::Ipv4Addr::from_bits(*bits).into(), *prefix).expect("valid"))
                .collect();
            let texts: Vec<_> = nets.iter().map(ToString::to_string).collect();
            let list = list(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
            // Around an edge of a range, where mistakes would be.
            let edge = nets.get(near.index(nets.len().max(1))).map_or(0, |net| match net.broadcast() {
                IpAddr::V4(address) => address.to_bits(),
                IpAddr::V6(_) => 0,
            });
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(edge.wrapping_add(offset).wrapping_sub(1)));
            let expected = nets.iter().any(|net| net.contains(&address));
            prop_assert_eq!(list.blocks(Some(address), None).is_some(), expected);
        }
    }
}

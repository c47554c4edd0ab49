//! Bans of devices and of parts of the network: what is banned, and whom that keeps out.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use common::clock::Timestamp;
use ipnet::IpNet;

use super::{
    block_list::{Blocked, parse_range},
    subject::{DeviceDigest, SubjectKeys},
};
use crate::domain::{credential, device::DeviceId, field::FieldError, revocation::Ban};

/// Wider ranges are slips of the pen: they would keep out a continent.
const SHORTEST_IPV4_PREFIX: u8 = 8;
const SHORTEST_IPV6_PREFIX: u8 = 16;

/// What a ban keeps out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum BanSubject {
    Device(DeviceDigest),
    /// An address, or a range of them, without bits beyond its prefix.
    Network(IpNet),
}

/// What an operator names, with what is shown of it from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedSubject {
    pub(crate) subject: BanSubject,
    pub(crate) shown: String,
}

/// The bans there are, as they are asked. A look-up costs a search for each length of prefix that a ban has.
#[derive(Debug, Default)]
pub(crate) struct SubjectBans {
    devices: HashMap<DeviceDigest, Ban>,
    networks: HashMap<IpNet, Ban>,
    prefixes: BTreeSet<u8>,
}

impl BanSubject {
    /// Its kind as it is stored and told.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Device(_) => kind_of(Blocked::Device),
            Self::Network(_) => kind_of(Blocked::Address),
        }
    }

    /// As it is stored.
    pub(crate) fn to_text(self) -> String {
        match self {
            Self::Device(digest) => digest.to_hex(),
            Self::Network(range) => range.to_string(),
        }
    }

    /// `None`: a later version wrote it.
    pub(crate) fn from_text(kind: &str, text: &str) -> Option<Self> {
        if kind == kind_of(Blocked::Device) {
            DeviceDigest::from_hex(text).map(Self::Device)
        } else if kind == kind_of(Blocked::Address) {
            text.parse().ok().map(Self::Network)
        } else {
            None
        }
    }
}

/// The kind of a ban as it is stored and told.
pub(crate) fn kind_of(blocked: Blocked) -> &'static str {
    match blocked {
        Blocked::Address => "address",
        Blocked::Device => "device",
    }
}

impl NamedSubject {
    /// A device as game clients name it.
    pub(crate) fn device(raw: &str, keys: &SubjectKeys) -> Result<Self, FieldError> {
        let device = DeviceId::parse(raw).map_err(|error| FieldError::new("subject", error.reason))?;
        let subject = BanSubject::Device(keys.device_digest(device.as_str()));
        Ok(Self { subject, shown: credential::masked(device.as_str()) })
    }

    /// An address or a range. An IPv4 one in IPv6 clothes is the IPv4 one.
    pub(crate) fn network(raw: &str) -> Result<Self, FieldError> {
        let refused = FieldError::new("subject", "must be an address, or a range such as 203.0.113.0/24");
        let range = canonical(parse_range(raw).ok_or(refused)?).trunc();
        let shortest = if range.addr().is_ipv4() { SHORTEST_IPV4_PREFIX } else { SHORTEST_IPV6_PREFIX };
        if range.prefix_len() < shortest {
            return Err(FieldError::new("subject", "a range must not be wider than /8, or /16 with IPv6"));
        }
        Ok(Self { subject: BanSubject::Network(range), shown: range.to_string() })
    }
}

impl SubjectBans {
    pub(crate) fn new(bans: impl IntoIterator<Item = (BanSubject, Ban)>) -> Self {
        let mut known = Self::default();
        for (subject, ban) in bans {
            match subject {
                BanSubject::Device(digest) => {
                    known.devices.insert(digest, ban);
                }
                BanSubject::Network(range) => {
                    known.prefixes.insert(range.prefix_len());
                    known.networks.insert(range, ban);
                }
            }
        }
        known
    }

    /// The ban of an address at `now`; of several the one that lasts longest.
    pub(crate) fn of_address(&self, address: IpAddr, now: Timestamp) -> Option<&Ban> {
        let address = address.to_canonical();
        // A prefix of IPv6 that is longer than an IPv4 address makes no range of it.
        let ranges = self.prefixes.iter().filter_map(|prefix| IpNet::new(address, *prefix).ok());
        let bans = ranges.filter_map(|range| self.networks.get(&range.trunc()));
        bans.filter(|ban| ban.holds_at(now)).max_by_key(|ban| ban.until.map_or(i64::MAX, Timestamp::as_millis))
    }

    /// The ban of a device at `now`.
    pub(crate) fn of_device(&self, digest: impl FnOnce() -> DeviceDigest, now: Timestamp) -> Option<&Ban> {
        // The digest costs more than the rest of a verification's look at its bans: most platforms ban no device.
        if self.devices.is_empty() {
            return None;
        }
        self.devices.get(&digest()).filter(|ban| ban.holds_at(now))
    }
}

fn canonical(range: IpNet) -> IpNet {
    let mapped = match range {
        IpNet::V6(range) => range.addr().to_ipv4_mapped().zip(range.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    mapped.and_then(|(address, prefix)| IpNet::new(address.into(), prefix).ok()).unwrap_or(range)
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::master_key::MasterKey;

    const NOW: Timestamp = Timestamp::from_millis(1000);

    fn keys() -> SubjectKeys {
        SubjectKeys::new(&MasterKey::generate(&SeededRandom::new(1)))
    }

    fn ban(reason: &str, until: Option<i64>) -> Ban {
        Ban { reason: reason.to_owned().into(), until: until.map(Timestamp::from_millis) }
    }

    fn network(raw: &str) -> BanSubject {
        NamedSubject::network(raw).expect("a range").subject
    }

    fn reason<'a>(bans: &'a SubjectBans, address: &str) -> Option<&'a str> {
        bans.of_address(address.parse().expect("an address"), NOW).map(|ban| ban.reason.as_str())
    }

    #[test]
    fn what_is_stored_of_a_subject_is_read_back() {
        let subjects = [
            NamedSubject::device("phone", &keys()).expect("a device"),
            NamedSubject::network("203.0.113.9/24").expect("a range"),
            NamedSubject::network("2001:db8::1").expect("an address"),
        ];
        for NamedSubject { subject, .. } in &subjects {
            assert_eq!(BanSubject::from_text(subject.kind(), &subject.to_text()), Some(*subject));
        }
        let shown: Vec<&str> = subjects.iter().map(|subject| subject.shown.as_str()).collect();
        assert_eq!(shown, ["p***e", "203.0.113.0/24", "2001:db8::1/128"]);
        assert_eq!(BanSubject::from_text("planet", "earth"), None);
        assert_eq!(BanSubject::from_text("device", "earth"), None);
    }

    #[test]
    fn what_names_nothing_or_too_much_is_refused() {
        for bad in ["", "x", "203.0.113.0/33", "0.0.0.0/0", "10.0.0.0/7", "::/0", "2001::/15", "::ffff:0.0.0.0/96"] {
            assert_eq!(NamedSubject::network(bad).map_err(|error| error.field), Err("subject"), "{bad}");
        }
        for bad in ["", "a\nb"] {
            assert_eq!(NamedSubject::device(bad, &keys()).map_err(|error| error.field), Err("subject"));
        }
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }

    #[test]
    fn of_the_bans_of_an_address_the_one_that_lasts_longest_is_told_and_none_that_is_over() {
        let bans = SubjectBans::new([
            (network("203.0.113.0/24"), ban("short", Some(2000))),
            (network("203.0.113.7"), ban("long", Some(3000))),
            (network("203.0.0.0/16"), ban("over", Some(1000))),
            (network("2001:db8::/32"), ban("for good", None)),
        ]);
        assert_eq!(reason(&bans, "203.0.113.7"), Some("long"));
        assert_eq!(reason(&bans, "::ffff:203.0.113.8"), Some("short"));
        assert_eq!(reason(&bans, "203.0.112.1"), None);
        assert_eq!(reason(&bans, "2001:db8:1::1"), Some("for good"));
        assert_eq!(reason(&bans, "2001:db9::1"), None);
    }

    #[test]
    fn a_device_is_banned_by_its_exact_id_until_the_ban_is_over() {
        let keys = keys();
        let subject = NamedSubject::device("phone", &keys).expect("a device").subject;
        let bans = SubjectBans::new([(subject, ban("emulator", Some(2000)))]);
        let of = |device: &str, now: i64| {
            bans.of_device(|| keys.device_digest(device), Timestamp::from_millis(now)).is_some()
        };
        assert_eq!([of("phone", 1999), of("phone", 2000), of("Phone", 1000)], [true, false, false]);
    }

    proptest! {
        /// Against a search through every range.
        #[test]
        fn a_look_up_finds_what_a_search_finds(
            nets in prop::collection::vec((any::<u32>(), 8_u8..=32), 0..20), near in any::<prop::sample::Index>(),
            offset in 0_u32..3,
        ) {
            let texts: Vec<String> =
                nets.iter().map(|(bits, prefix)| format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(*bits))).collect();
            let bans = SubjectBans::new(texts.iter().map(|text| (network(text), ban("x", None))));
            let edge = nets.get(near.index(nets.len().max(1))).map_or(0, |(bits, _)| *bits);
            let address = IpAddr::V4(std::net::Ipv4Addr::from_bits(edge.wrapping_add(offset).wrapping_sub(1)));
            let expected = texts.iter().any(|text| text.parse::<IpNet>().expect("a range").contains(&address));
            prop_assert_eq!(bans.of_address(address, NOW).is_some(), expected);
        }
    }
}

//! Whose guesses at a phone code count against whom.
//!
//! Six digits are safe only while guesses are few, and a code that a stranger may guess at until it is dead keeps its
//! player out. So guesses are counted apart: those of whoever asked for the code, those of the devices that the phone's
//! account knows, and those of everybody else. No side can use up what is left to another one, and the sum is bounded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Of an IPv4 address the part that counts as one place: who moves within a network is not somebody else.
const IPV4_PREFIX: u32 = !0xff;

/// The same of an IPv6 address: whoever has one has its whole /64.
const IPV6_PREFIX: u128 = !(u64::MAX as u128);

const KEY_BYTES: usize = 16;

/// What stands for a device or a place where others can read it: a MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SourceKey([u8; KEY_BYTES]);

/// Where somebody comes from who asks for a code or guesses at one, as far as it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// If the client names it.
    pub(crate) device: Option<SourceKey>,
    /// The network; who comes from nowhere shares one with all who do.
    pub(crate) network: SourceKey,
}

/// Somebody who guesses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guesser {
    pub(crate) source: Source,
    /// The device has signed in to the account that has the phone.
    pub(crate) is_known: bool,
}

/// How many guesses a code withstands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TryLimits {
    /// By whoever asked for it; by known devices; and by each single device or network of the others.
    pub(crate) own: u32,
    /// By all others together.
    pub(crate) others: u32,
}

/// The guesses at one code so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    known: u8,
    asker: u8,
    others: u8,
    /// Of the others, by device and by network.
    sources: Vec<(SourceKey, u8)>,
}

impl SourceKey {
    pub(crate) const fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Source {
    /// What a code remembers of whoever asked for it: the device, and only without one the network, where a stranger may
    /// be, too.
    pub(crate) fn asker(&self) -> SourceKey {
        self.device.unwrap_or(self.network)
    }

    fn keys(&self) -> impl Iterator<Item = SourceKey> {
        self.device.into_iter().chain([self.network])
    }
}

impl TryLimits {
    /// Guesses in all.
    pub(crate) fn total(self) -> u32 {
        self.own.saturating_mul(2).saturating_add(self.others)
    }
}

impl Tally {
    const HEAD_BYTES: usize = 3;
    const ENTRY_BYTES: usize = KEY_BYTES + 1;

    /// Counts a guess. `false`: whoever makes it has none left, and nothing is counted.
    pub(crate) fn charge(&mut self, guesser: Guesser, asker: Option<SourceKey>, limits: TryLimits) -> bool {
        let Guesser { source, is_known } = guesser;
        if is_known {
            return charge_one(&mut self.known, limits.own);
        }
        if source.keys().any(|key| Some(key) == asker) {
            return charge_one(&mut self.asker, limits.own);
        }
        let has_left = |key: SourceKey| u32::from(self.made_by(key)) < limits.own;
        if !source.keys().all(has_left) || !charge_one(&mut self.others, limits.others) {
            return false;
        }
        for key in source.keys() {
            match self.sources.iter_mut().find(|(known, _)| *known == key) {
                Some((_, made)) => *made = made.saturating_add(1),
                None => self.sources.push((key, 1)),
            }
        }
        true
    }

    fn made_by(&self, key: SourceKey) -> u8 {
        self.sources.iter().find(|(known, _)| *known == key).map_or(0, |(_, made)| *made)
    }

    /// As it is stored: 3 bytes, and 34 for each guess of the others at most.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let head = [self.known, self.asker, self.others];
        let entries = self.sources.iter().flat_map(|(key, made)| key.0.into_iter().chain([*made]));
        head.into_iter().chain(entries).collect()
    }

    /// `None`: this is none.
    pub(crate) fn from_bytes(stored: &[u8]) -> Option<Self> {
        let (&[known, asker, others], entries) = stored.split_first_chunk::<{ Self::HEAD_BYTES }>()?;
        let (entries, rest) = entries.as_chunks::<{ Self::ENTRY_BYTES }>();
        let entry = |entry: &[u8; Self::ENTRY_BYTES]| {
            let (key, made) = entry.split_first_chunk::<KEY_BYTES>()?;
            Some((SourceKey(*key), *made.first()?))
        };
        let sources = entries.iter().map(entry).collect::<Option<_>>()?;
        rest.is_empty().then_some(Self { known, asker, others, sources })
    }
}

fn charge_one(made: &mut u8, most: u32) -> bool {
    let has_left = u32::from(*made) < most;
    if has_left {
        *made = made.saturating_add(1);
    }
    has_left
}

/// The place that guesses from an address count for, as text.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & IPV4_PREFIX).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & IPV6_PREFIX).into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: TryLimits = TryLimits { own: 5, others: 10 };

    fn key(number: u8) -> SourceKey {
        SourceKey([number; KEY_BYTES])
    }

    fn on(device: u8, network: u8) -> Source {
        Source { device: Some(key(device)), network: key(network) }
    }

    fn stranger(source: Source) -> Guesser {
        Guesser { source, is_known: false }
    }

    /// How many of a hundred guesses are counted.
    fn guesses(tally: &mut Tally, guesser: Guesser, asker: Source) -> usize {
        (0..100).filter(|_| tally.charge(guesser, Some(asker.asker()), LIMITS)).count()
    }

    #[test]
    fn whatever_strangers_do_the_asker_and_a_known_device_have_all_their_tries() {
        let (mut tally, player) = (Tally::default(), on(1, 101));
        let made: usize = (2..50).map(|n| guesses(&mut tally, stranger(on(n, 100 + n)), player)).sum();
        assert_eq!(made, 10);
        assert_eq!(guesses(&mut tally, stranger(player), player), 5);
        assert_eq!(guesses(&mut tally, Guesser { source: on(60, 160), is_known: true }, player), 5);
        assert_eq!(guesses(&mut tally, Guesser { source: on(61, 161), is_known: true }, player), 0);
        assert_eq!(LIMITS.total(), 20);
    }

    #[test]
    fn who_moves_between_devices_in_one_network_or_between_networks_on_one_device_is_one() {
        let player = on(1, 101);
        let mut tally = Tally::default();
        let made: usize = (2..50).map(|device| guesses(&mut tally, stranger(on(device, 102)), player)).sum();
        assert_eq!(made, 5);
        let mut tally = Tally::default();
        let made: usize = (102..150).map(|network| guesses(&mut tally, stranger(on(2, network)), player)).sum();
        assert_eq!(made, 5);
    }

    #[test]
    fn the_asker_is_the_device_wherever_it_is_and_without_one_the_network() {
        let mut tally = Tally::default();
        assert_eq!(guesses(&mut tally, stranger(on(1, 102)), on(1, 101)), 5);
        assert_eq!((tally.asker, tally.others), (5, 0), "it has gone from the Wi-Fi to the carrier");
        let mut tally = Tally::default();
        guesses(&mut tally, stranger(on(2, 101)), on(1, 101));
        assert_eq!((tally.asker, tally.others), (0, 5), "a neighbour is a stranger");
        let mut tally = Tally::default();
        guesses(&mut tally, stranger(on(2, 101)), Source { device: None, network: key(101) });
        assert_eq!((tally.asker, tally.others), (5, 0), "nobody else can be told apart");
    }

    #[test]
    fn a_place_is_a_small_network_however_its_address_is_written() {
        let place = |address: &str| network_of(address.parse().expect("an address")).to_string();
        assert_eq!(place("192.0.2.77"), "192.0.2.0");
        assert_eq!(place("::ffff:192.0.2.99"), "192.0.2.0");
        assert_eq!(place("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    #[test]
    fn what_is_no_tally_is_told() {
        assert_eq!(Tally::from_bytes(&[0, 0]), None);
        assert_eq!(Tally::from_bytes(&[0; 19]), None);
        assert_eq!(Tally::from_bytes(&[0, 0, 0]), Some(Tally::default()));
    }

    proptest! {
        #[test]
        fn no_row_of_guesses_exceeds_any_bound(
            guesses in prop::collection::vec((0_u8..6, 0_u8..6, prop::bool::weighted(0.1)), 0..200),
        ) {
            let (mut tally, mut made) = (Tally::default(), 0);
            for (device, network, is_known) in guesses {
                let guesser = Guesser { source: on(device, 100 + network), is_known };
                made += u32::from(tally.charge(guesser, Some(key(0)), LIMITS));
                prop_assert!(tally.sources.iter().all(|(_, made)| u32::from(*made) <= LIMITS.own));
            }
            prop_assert!(made <= LIMITS.total());
            prop_assert_eq!(made, u32::from(tally.known) + u32::from(tally.asker) + u32::from(tally.others));
            prop_assert_eq!(Tally::from_bytes(&tally.to_bytes()), Some(tally));
        }
    }
}

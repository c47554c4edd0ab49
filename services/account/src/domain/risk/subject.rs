//! Whose failures, sign-ups and tries are counted together, and under which key.
//!
//! Keys leave the process, so no name, device or address is in them: a key is a MAC of what it stands for, under a key
//! that is derived from the master key. Without that key nobody can tell whether a given name is among them.

use std::{
    fmt::{self, Write},
    net::{IpAddr, Ipv6Addr},
};

use aws_lc_rs::hmac;

use crate::domain::{
    device::DeviceId,
    ids::{AccountId, AppId},
    master_key::MasterKey,
    username::Username,
};

/// Of a MAC so much is the key: 128 bits, which no two subjects share by chance.
const KEY_BYTES: usize = 16;

/// Of an IPv6 address the part that a network gives to one customer: whoever has one address has all 2^64 of them.
const CUSTOMER_PREFIX: u128 = !(u64::MAX as u128);

/// Turns subjects into keys.
pub(crate) struct SubjectKeys(hmac::Key);

/// What is kept of a banned device: without the master key nobody can tell whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DeviceDigest([u8; KEY_BYTES]);

/// What is counted by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject<'a> {
    /// Everybody who tries a name, except on devices that its account knows. Whether there is such an account makes no
    /// difference.
    Name(&'a Username),
    /// One device that the account of that name knows.
    KnownDevice(&'a Username, &'a DeviceId),
    /// A device, whatever names are tried on it.
    Device(&'a DeviceId),
    /// A device whose secret is tried. Devices are known to each app separately.
    DeviceSecret(AppId, &'a DeviceId),
    /// A place in the network, whatever names are tried there.
    Network(Network),
    /// The different names that are tried at a place.
    NamesAtNetwork(Network),
    /// A name that is tried at a place.
    NameAtNetwork(&'a Username, Network),
    /// An account, whoever holds a token of it.
    Account(AccountId),
}

/// Addresses that count as one: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network(IpAddr);

impl Network {
    /// Where that address is. An IPv4 address in IPv6 clothes is the IPv4 address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() & CUSTOMER_PREFIX).into()),
        }
    }
}

impl SubjectKeys {
    pub(crate) fn new(master_key: &MasterKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, master_key.derive("risk subjects, 1").as_ref()))
    }

    /// The digest of a device as game clients name it.
    pub(crate) fn device_digest(&self, device: &str) -> DeviceDigest {
        let mut mac = hmac::Context::with_key(&self.0);
        // The keys of subjects begin with a length, so none of them has this beginning.
        mac.update(b"banned device, 1");
        mac.update(device.as_bytes());
        let mut digest = [0; KEY_BYTES];
        digest.copy_from_slice(&mac.sign().as_ref()[..KEY_BYTES]);
        DeviceDigest(digest)
    }

    /// The key of a subject. Two subjects never have the same one.
    pub(crate) fn of(&self, subject: Subject<'_>) -> String {
        let mut mac = hmac::Context::with_key(&self.0);
        let mut part = |bytes: &[u8]| {
            // The lengths keep the parts apart, so that moving a byte from one to the next makes another subject.
            mac.update(&bytes.len().to_be_bytes());
            mac.update(bytes);
        };
        part(subject.kind().as_bytes());
        match subject {
            Subject::Name(name) => part(name.folded().as_bytes()),
            Subject::KnownDevice(name, device) => {
                part(name.folded().as_bytes());
                part(device.as_str().as_bytes());
            }
            Subject::Device(device) => part(device.as_str().as_bytes()),
            Subject::DeviceSecret(app_id, device) => {
                part(&app_id.get().to_be_bytes());
                part(device.as_str().as_bytes());
            }
            Subject::Account(account_id) => part(&account_id.get().to_be_bytes()),
            Subject::Network(network) | Subject::NamesAtNetwork(network) => part(&network.octets()),
            Subject::NameAtNetwork(name, network) => {
                part(name.folded().as_bytes());
                part(&network.octets());
            }
        }
        let mut key = format!("risk:{}:", subject.kind());
        for byte in &mac.sign().as_ref()[..KEY_BYTES] {
            // Writing to a string never fails.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }
}

impl DeviceDigest {
    pub(crate) fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut digest = [0; KEY_BYTES];
        hex::decode_to_slice(text, &mut digest).ok()?;
        Some(Self(digest))
    }
}

impl fmt::Debug for SubjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKeys(<redacted>)")
    }
}

impl Subject<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Name(_) => "name",
            Self::KnownDevice(..) => "known-device",
            Self::Device(_) => "device",
            Self::DeviceSecret(..) => "device-secret",
            Self::Network(_) => "network",
            Self::NamesAtNetwork(_) => "names-at-network",
            Self::NameAtNetwork(..) => "name-at-network",
            Self::Account(_) => "account",
        }
    }
}

impl Network {
    fn octets(self) -> Vec<u8> {
        match self.0 {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use common::clock::testing::SeededRandom;

    use super::*;

    fn keys() -> SubjectKeys {
        SubjectKeys::new(&MasterKey::generate(&SeededRandom::new(1)))
    }

    fn network(address: &str) -> Network {
        Network::of(address.parse().expect("an address"))
    }

    #[test]
    fn an_ipv6_customer_is_one_place_and_an_ipv4_address_is_one_however_it_is_written() {
        assert_eq!(network("2001:db8:1:2::1"), network("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.1"), network("192.0.2.2"));
    }

    #[test]
    fn every_subject_has_a_key_of_its_own_that_does_not_show_it() {
        let name = |raw: &str| Username::parse(raw).expect("a name");
        let device = |raw: &str| DeviceId::parse(raw).expect("a device");
        let app = |id| AppId::parse(id).expect("an app");
        let (ann, anna, bob) = (name("annabel"), name("annabelx"), name("bobbie"));
        let (phone, xphone) = (device("phone"), device("xphone"));
        let keys = keys();
        let all = [
            Subject::Name(&ann),
            Subject::Name(&bob),
            Subject::KnownDevice(&ann, &xphone),
            Subject::KnownDevice(&anna, &phone),
            Subject::Device(&phone),
            Subject::DeviceSecret(app(1), &phone),
            Subject::DeviceSecret(app(2), &phone),
            Subject::Network(network("192.0.2.1")),
            Subject::NamesAtNetwork(network("192.0.2.1")),
            Subject::NameAtNetwork(&ann, network("192.0.2.1")),
            Subject::Account(AccountId::parse(1).expect("an account")),
        ]
        .map(|subject| keys.of(subject));
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len(), "{all:?}");
        for key in &all {
            assert!(!["annabel", "phone\"", "192"].iter().any(|clear| key.contains(clear)), "{key}");
        }
        assert_eq!(keys.of(Subject::Name(&name("ANNABEL"))), all[0], "names that fold alike are one");
        let other = SubjectKeys::new(&MasterKey::generate(&SeededRandom::new(2)));
        assert_ne!(other.of(Subject::Name(&ann)), all[0]);
    }
}

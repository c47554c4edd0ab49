//! [`KeyedLimit`]: one rate for many keys, in memory that never grows.
//!
//! Protects: the process from one address, account, app or partner, and its memory from whoever makes keys up.
//!
//! A fixed table of sets with eight places each (as a processor's cache has), 16 bytes per key. A key is known by a
//! 64-bit hash under a seed that the process draws at start, so that nobody outside can aim at a set or at another's
//! key. When all places of a set are taken, a new key gets the place of the one that has most of its tokens:
//! - one that has all of them, whose state says nothing, goes first;
//! - otherwise the new key must have used at least as much as the one it displaces. So keys that come once displace
//!   each other, and never one that is being held back: forgetting it would give its burst back;
//! - a new key that finds only keys that have used more than itself is not remembered. Such strangers share one budget
//!   per set, eight times that of a key, so that not being remembered is no way around the limit.
//!
//! Cost: a hash and an uncontended lock, tens of nanoseconds, no allocation.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use crate::{
    gcra::{Decision, Rate, decide},
    moment::Moment,
};

/// Places per set. Eight keys of 16 bytes are two cache lines.
const WAYS: usize = 8;

/// The most keys that a table can be asked to hold: 64 MiB.
pub const MAX_KEYS: usize = 1 << 22;

/// A rate limit per key, with room for a fixed number of keys. Use one table per kind of limit: what is displaced is
/// chosen by the time that its key has used up, which compares well only under one rate.
#[derive(Debug)]
pub struct KeyedLimit<S = RandomState> {
    sets: Box<[Mutex<Set>]>,
    hasher: S,
}

#[derive(Clone, Copy, Debug, Default)]
struct Set {
    places: [Place; WAYS],
    /// The state that the keys without a place share.
    strangers: Moment,
}

/// A key's hash (0: free) and its theoretical arrival time.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key: u64,
    arrival: Moment,
}

impl KeyedLimit {
    /// A table with places for at least `keys` keys (rounded up to a power of two, within 8 and [`MAX_KEYS`]). Size it
    /// for the keys that are active within the time in which a burst comes back, twice over.
    pub fn with_capacity(keys: usize) -> Self {
        Self::with_capacity_and_hasher(keys, RandomState::new())
    }
}

impl<S: BuildHasher> KeyedLimit<S> {
    /// As [`KeyedLimit::with_capacity`], with a given hash. Only a seeded one keeps others from choosing collisions.
    pub fn with_capacity_and_hasher(keys: usize, hasher: S) -> Self {
        let sets = keys.clamp(WAYS, MAX_KEYS).div_ceil(WAYS).next_power_of_two();
        Self { sets: (0..sets).map(|_| Mutex::default()).collect(), hasher }
    }

    /// Decides on a request of weight `cost` by `key` and charges it.
    pub fn check(&self, key: &(impl Hash + ?Sized), rate: &Rate, now: Moment, cost: u32) -> Decision {
        let key = self.hasher.hash_one(key).max(1);
        let mut set = self.set_of(key).lock().unwrap_or_else(PoisonError::into_inner);
        set.check(key, rate, now, cost)
    }

    /// How many keys have used anything that has not come back yet. Walks the table: for showing, not for requests.
    pub fn active(&self, now: Moment) -> usize {
        let active = |set: &Mutex<Set>| {
            let set = set.lock().unwrap_or_else(PoisonError::into_inner);
            set.places.iter().filter(|place| place.arrival > now).count()
        };
        self.sets.iter().map(active).sum()
    }

    /// How many keys there are places for.
    pub fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    fn set_of(&self, key: u64) -> &Mutex<Set> {
        let last = self.sets.len() - 1;
        // The number of sets is a power of two. The upper bits choose, so that the lower ones tell keys of a set apart.
        &self.sets[usize::try_from(key >> 32).unwrap_or(0) & last]
    }
}

impl Set {
    fn check(&mut self, key: u64, rate: &Rate, now: Moment, cost: u32) -> Decision {
        if let Some(place) = self.places.iter_mut().find(|place| place.key == key) {
            let verdict = decide(rate, place.arrival, now, cost);
            place.arrival = verdict.arrival;
            return verdict.decision;
        }
        let verdict = decide(rate, Moment::START, now, cost);
        if !verdict.decision.is_allowed() {
            return verdict.decision;
        }
        if let Some(fullest) = self.places.iter_mut().min_by_key(|place| place.arrival)
            && fullest.arrival <= verdict.arrival
        {
            *fullest = Place { key, arrival: verdict.arrival };
            return verdict.decision;
        }
        let verdict = decide(&together(rate), self.strangers, now, cost);
        self.strangers = verdict.arrival;
        verdict.decision
    }
}

/// What the strangers of a set may use together: as much as its keys.
fn together(rate: &Rate) -> Rate {
    const KEYS: NonZeroU32 = NonZeroU32::new(8).expect("eight");
    Rate { limit: rate.limit.saturating_mul(KEYS), burst: rate.burst.saturating_mul(KEYS), ..*rate }
}

/// The block of addresses that one party usually holds: the /24 of an IPv4 address, the /64 of an IPv6 one (RFC 6177
/// gives a site no less). An IPv4 address in IPv6 clothing counts as what it is.
pub fn address_block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & (u32::MAX << 8))),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use std::{hash::Hasher, time::Duration};

    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment::from_nanos(1_000_000_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    /// Puts keys where the test wants them: a key is its own hash.
    #[derive(Clone, Default)]
    struct AsIs(u64);

    impl Hasher for AsIs {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, _: &[u8]) {
            unreachable!("the keys of these tests are u64")
        }
        fn write_u64(&mut self, key: u64) {
            self.0 = key;
        }
    }

    impl BuildHasher for AsIs {
        type Hasher = Self;
        fn build_hasher(&self) -> Self {
            Self(0)
        }
    }

    fn rate(limit: u32, burst: u32) -> Rate {
        Rate::new(NonZeroU32::new(limit).expect("positive"), SECOND).burst(NonZeroU32::new(burst).expect("positive"))
    }

    fn one_set() -> KeyedLimit<AsIs> {
        KeyedLimit::with_capacity_and_hasher(WAYS, AsIs::default())
    }

    #[test]
    fn every_key_has_its_own_rate() {
        let (limit, rate) = (KeyedLimit::with_capacity(1000), rate(1, 2));
        for key in ["ann", "bob"] {
            let passed = (0..5).filter(|_| limit.check(key, &rate, NOW, 1).is_allowed()).count();
            assert_eq!(passed, 2, "{key}");
        }
        assert!(limit.check("ann", &rate, NOW + SECOND, 1).is_allowed());
    }

    #[test]
    fn a_flood_of_made_up_keys_does_not_free_a_key_that_is_held_back() {
        let (limit, rate) = (one_set(), rate(1, 10));
        let hot = 7_u64;
        (0..10).for_each(|_| assert!(limit.check(&hot, &rate, NOW, 1).is_allowed()));
        for made_up in 100..100_000_u64 {
            limit.check(&made_up, &rate, NOW, 1);
        }
        assert!(!limit.check(&hot, &rate, NOW, 1).is_allowed());
    }

    #[test]
    fn a_flood_of_made_up_keys_does_not_keep_new_keys_out() {
        let (limit, rate) = (one_set(), rate(1, 10));
        (0..10_000_u64).for_each(|made_up| assert!(limit.check(&made_up, &rate, NOW, 1).is_allowed()));
        assert_eq!(limit.active(NOW), limit.capacity());
    }

    #[test]
    fn a_key_that_has_all_its_tokens_back_makes_room_first() {
        let (limit, rate) = (one_set(), rate(1, 10));
        limit.check(&1_u64, &rate, NOW, 1);
        let later = NOW + 5 * SECOND;
        (2..=8_u64).for_each(|key| assert!(limit.check(&key, &rate, later, 9).is_allowed()));
        limit.check(&9_u64, &rate, later, 1);
        assert_eq!(limit.active(later), 8, "it has a place of its own");
        assert!((2..=8_u64).all(|key| !limit.check(&key, &rate, later, 2).is_allowed()), "and nobody lost theirs");
    }

    #[test]
    fn among_keys_that_are_all_held_back_strangers_share_one_budget() {
        let (limit, rate) = (one_set(), rate(1, 10));
        (0..8_u64).for_each(|key| assert!(limit.check(&(key + 1), &rate, NOW, 10).is_allowed()));
        let passed = (100..1000_u64).filter(|key| limit.check(key, &rate, NOW, 1).is_allowed()).count();
        assert_eq!(passed, 80);
    }

    #[test]
    fn capacity_is_bounded_both_ways() {
        assert_eq!(KeyedLimit::with_capacity(0).capacity(), WAYS);
        assert_eq!(KeyedLimit::with_capacity(1000).capacity(), 1024);
        assert!(MAX_KEYS.is_power_of_two());
    }

    #[test]
    fn addresses_are_counted_by_the_block_that_one_party_holds() {
        let block = |address: &str| address_block(address.parse().expect("an address")).to_string();
        assert_eq!(block("203.0.113.77"), "203.0.113.0");
        assert_eq!(block("::ffff:203.0.113.77"), "203.0.113.0");
        assert_eq!(block("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }

    proptest! {
        /// Whoever else comes, once each: a key passes exactly as it would alone, as long as it has used more than
        /// they have.
        #[test]
        fn a_busy_key_is_limited_as_if_it_were_alone(
            steps in prop::collection::vec((0_u64..400, 0_u64..30), 1..150),
        ) {
            let (limit, rate) = (one_set(), rate(1, 10));
            let (mut now, mut arrival, mut next) = (NOW, Moment::START, 1_000_u64);
            prop_assert!(limit.check(&1_u64, &rate, now, 5).is_allowed());
            arrival = decide(&rate, arrival, now, 5).arrival;
            for (gap, strangers) in steps {
                now = now + Duration::from_millis(gap);
                let alone = decide(&rate, arrival, now, 1);
                prop_assert_eq!(limit.check(&1_u64, &rate, now, 1).is_allowed(), alone.decision.is_allowed());
                arrival = alone.arrival;
                if arrival <= now + SECOND {
                    break;
                }
                for _ in 0..strangers {
                    next += 1;
                    limit.check(&next, &rate, now, 1);
                }
            }
        }
    }
}

//! Numbers that do not repeat, at the rate of requests: unique, cheap, not secret.
//!
//! Asking the operating system for random bytes per request costs more than everything else an edge does. These are a
//! counter pushed through a bijective mixer instead, started at a random place: unique within the process by
//! construction, and between processes with the odds of the seed. Never for what must not be guessed.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::clock::{Random, Timestamp, random_bytes};

/// The increment and the mixer are those of SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
/// Generators", 2014).
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hands out numbers; each comes once in 2^64.
#[derive(Debug)]
pub(crate) struct Sequence(AtomicU64);

impl Sequence {
    /// Numbers from a random place on.
    pub(crate) fn new(random: &dyn Random) -> Self {
        Self(AtomicU64::new(u64::from_ne_bytes(random_bytes(random))))
    }

    /// The next number.
    pub(crate) fn next(&self) -> u64 {
        mix(self.0.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed).wrapping_add(GOLDEN_GAMMA))
    }
}

/// Hands out time-ordered identifiers (UUIDv7, RFC 9562) for what nobody keeps secret: events, for example. Where an
/// identifier must not be guessed, [`new_uuid`](crate::clock::new_uuid) makes it.
pub struct UuidSequence {
    numbers: Sequence,
    /// Tells those of two processes apart that happen to hand out the same number.
    process: u64,
}

impl UuidSequence {
    /// Identifiers from a random place on.
    pub fn new(random: &dyn Random) -> Self {
        Self { numbers: Sequence::new(random), process: u64::from_ne_bytes(random_bytes(random)) }
    }

    /// The next identifier, made at `now`. No other one of this sequence is the same, whatever the clock does.
    pub fn next(&self, now: Timestamp) -> uuid::Uuid {
        let number = self.numbers.next();
        let [a, b, c, d, e, f, g, h] = number.to_be_bytes();
        let [x, y, ..] = mix(number ^ self.process).to_be_bytes();
        // Version and variant take the upper bits of the first and the third byte: the number is in the others.
        let bits = [x, a, y, b, c, d, e, f, g, h];
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &bits).into_uuid()
    }
}

impl fmt::Debug for UuidSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UuidSequence").finish_non_exhaustive()
    }
}

/// Spreads the bits of a number over all of another one; different numbers stay different.
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::clock::testing::SeededRandom;

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        // The reference implementation's first outputs from the seed 0.
        let sequence = Sequence(AtomicU64::new(0));
        assert_eq!([sequence.next(), sequence.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }

    #[test]
    fn identifiers_are_version_7_of_their_moment_and_do_not_repeat_in_one_process_or_two() {
        let (one, other) = (UuidSequence::new(&SeededRandom::new(1)), UuidSequence::new(&SeededRandom::new(2)));
        let now = Timestamp::from_millis(1_796_033_702_123);
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            for id in [one.next(now), other.next(now)] {
                assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
                assert_eq!(id.get_timestamp().map(|at| at.to_unix()), Some((1_796_033_702, 123_000_000)));
                assert!(seen.insert(id));
            }
        }
    }

    #[test]
    fn all_of_the_number_is_in_the_identifier() {
        let sequence = UuidSequence { numbers: Sequence(AtomicU64::new(0)), process: 0 };
        let [_, _, _, _, _, _, _, a, _, b, c, d, e, f, g, h] = sequence.next(Timestamp::from_millis(0)).into_bytes();
        assert_eq!(u64::from_be_bytes([a, b, c, d, e, f, g, h]), 0xe220_a839_7b1d_cdaf);
    }
}

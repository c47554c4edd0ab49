//! Numbers that do not repeat, at the rate of requests: unique, cheap, not secret.
//!
//! Asking the operating system for random bytes per request costs more than everything else an edge does. These are a
//! counter pushed through a bijective mixer instead, started at a random place: unique within the process by
//! construction, and between processes with the odds of the seed.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::{Random, random_bytes};

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

/// Spreads the bits of a number over all of another one; different numbers stay different.
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_splitmix64() {
        // The reference implementation's first outputs from the seed 0.
        let sequence = Sequence(AtomicU64::new(0));
        assert_eq!([sequence.next(), sequence.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
    }
}

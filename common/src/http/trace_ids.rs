//! Trace ids at the rate of requests: unique, cheap, not secret.
//!
//! Asking the operating system for 16 bytes per request costs more than everything else the front layer does. The ids
//! are a counter pushed through a bijective mixer instead, started at a random place once per process: unique within
//! the process by construction, and between processes with the odds of 128 random bits of seed.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    clock::{Random, random_bytes},
    context::TraceId,
};

/// The increment and the mixer are those of SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
/// Generators", 2014).
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hands out trace ids.
pub(super) struct TraceIds {
    high: AtomicU64,
    low: u64,
}

impl TraceIds {
    /// Ids from a random place on.
    pub(super) fn new(random: &dyn Random) -> Self {
        Self {
            high: AtomicU64::new(u64::from_ne_bytes(random_bytes(random))),
            low: u64::from_ne_bytes(random_bytes(random)),
        }
    }

    /// The next id.
    pub(super) fn next(&self) -> TraceId {
        loop {
            let count = self.high.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed);
            // The all-zero id is forbidden; it comes at most once in 2^64.
            if let Some(id) = TraceId::from_u128((u128::from(mix(count)) << 64) | u128::from(mix(count ^ self.low))) {
                return id;
            }
        }
    }
}

impl fmt::Debug for TraceIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TraceIds").finish_non_exhaustive()
    }
}

fn mix(mut word: u64) -> u64 {
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
    fn ids_do_not_repeat_and_two_processes_do_not_share_them() {
        let (one, other) = (TraceIds::new(&SeededRandom::new(1)), TraceIds::new(&SeededRandom::new(2)));
        let mut seen = HashSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(one.next()));
            assert!(seen.insert(other.next()));
        }
    }

    #[test]
    fn the_mixer_is_that_of_splitmix64() {
        // The reference implementation's first output from the seed 0.
        assert_eq!(mix(GOLDEN_GAMMA), 0xe220_a839_7b1d_cdaf);
    }
}

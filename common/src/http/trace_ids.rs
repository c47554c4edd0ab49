//! Trace ids at the rate of requests: unique, cheap, not secret.

use std::fmt;

use crate::{
    clock::{Random, random_bytes},
    context::TraceId,
    sequence::{Sequence, mix},
};

/// Hands out trace ids.
pub(super) struct TraceIds {
    high: Sequence,
    low: u64,
}

impl TraceIds {
    /// Ids from a random place on.
    pub(super) fn new(random: &dyn Random) -> Self {
        Self { high: Sequence::new(random), low: u64::from_ne_bytes(random_bytes(random)) }
    }

    /// The next id. The upper half makes it unique, the lower half, which sampling looks at, is as evenly spread.
    pub(super) fn next(&self) -> TraceId {
        loop {
            let high = self.high.next();
            // The all-zero id is forbidden; it comes at most once in 2^64.
            if let Some(id) = TraceId::from_u128((u128::from(high) << 64) | u128::from(mix(high ^ self.low))) {
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
}

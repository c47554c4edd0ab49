//! [`Window`]: counts of the last seconds, in buckets.

use std::time::Duration;

use crate::moment::{Moment, nanos};

/// `COUNTERS` counters over the last `BUCKETS` buckets. The sums are kept, so reading costs nothing; the newest bucket
/// is the one that is being filled, so what is seen covers between `BUCKETS - 1` and `BUCKETS` widths.
#[derive(Clone, Debug)]
pub(crate) struct Window<const BUCKETS: usize, const COUNTERS: usize> {
    width_ns: u64,
    /// The number of the newest bucket, counted from the origin.
    newest: u64,
    buckets: [[u32; COUNTERS]; BUCKETS],
    sums: [u64; COUNTERS],
}

impl<const BUCKETS: usize, const COUNTERS: usize> Window<BUCKETS, COUNTERS> {
    /// An empty window of `length`.
    pub(crate) fn new(length: Duration) -> Self {
        let width_ns = (nanos(length) / BUCKETS as u64).max(1);
        Self { width_ns, newest: 0, buckets: [[0; COUNTERS]; BUCKETS], sums: [0; COUNTERS] }
    }

    /// Forgets what has become too old at `now`. A clock that goes back changes nothing.
    pub(crate) fn advance(&mut self, now: Moment) {
        let current = now.as_nanos() / self.width_ns;
        let passed = current.saturating_sub(self.newest);
        for step in 1..=passed.min(BUCKETS as u64) {
            let at = self.index(self.newest + step);
            for (sum, old) in self.sums.iter_mut().zip(self.buckets[at]) {
                *sum -= u64::from(old);
            }
            self.buckets[at] = [0; COUNTERS];
        }
        self.newest = self.newest.max(current);
    }

    /// Counts in the bucket of the last [`Self::advance`].
    pub(crate) fn add(&mut self, counter: usize, by: u32) {
        let at = self.index(self.newest);
        let bucket = &mut self.buckets[at][counter];
        let counted = bucket.saturating_add(by) - *bucket;
        *bucket += counted;
        self.sums[counter] += u64::from(counted);
    }

    /// All that was counted and is not too old.
    pub(crate) fn sum(&self, counter: usize) -> u64 {
        self.sums[counter]
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.buckets = [[0; COUNTERS]; BUCKETS];
        self.sums = [0; COUNTERS];
    }

    fn index(&self, number: u64) -> usize {
        usize::try_from(number % BUCKETS as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a list of everything that ever happened.
        #[test]
        fn the_sum_is_that_of_the_last_buckets(steps in prop::collection::vec((0_u64..40, 0_u32..5), 1..200)) {
            let mut window = Window::<10, 1>::new(Duration::from_nanos(100));
            let (mut now, mut all) = (0, Vec::new());
            for (gap, by) in steps {
                now += gap;
                window.advance(Moment::from_nanos(now));
                window.add(0, by);
                all.push((now / 10, u64::from(by)));
                let newest = now / 10;
                let expected: u64 = all.iter().filter(|(at, _)| at + 10 > newest).map(|(_, by)| by).sum();
                prop_assert_eq!(window.sum(0), expected);
            }
        }
    }

    #[test]
    fn counters_stop_at_their_end() {
        let mut window = Window::<2, 1>::new(Duration::from_secs(1));
        window.add(0, u32::MAX);
        window.add(0, u32::MAX);
        assert_eq!(window.sum(0), u64::from(u32::MAX));
        window.advance(Moment::from_nanos(u64::MAX));
        assert_eq!(window.sum(0), 0);
    }
}

//! [`Backup`]: when to ask a second instance because the first one is slower than usual.
//!
//! Protects: the slowest twentieth of the callers of a read from an instance that has a bad moment. Only for reads
//! (verify, settings), never for what changes anything.
//!
//! Source: hedged requests, "The Tail at Scale" (Dean and Barroso, CACM 2013): a second request after the 95th
//! percentile of the latency, which costs at most 5 % more; Kitex `pkg/retry/backup.go` for the shape. It is paid from
//! the budget of retries, so that a callee that has become slow as a whole does not get everything twice.
//!
//! The percentile comes from a histogram of 96 bins, each √√2 (19 %) wider than the one before, from 50 µs to about
//! 10 min, whose counts are halved every `half_life`: old latencies fade.

use std::{
    sync::{
        Mutex, TryLockError,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    moment::{Moment, nanos},
    number::floor_u64,
    problems::{Check, Problems},
};

const BINS: usize = 96;
const FIRST_BIN_NS: f64 = 50_000.0;
const BINS_PER_DOUBLING: f64 = 4.0;

/// When a second request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BackupConfig {
    /// The share of requests that is answered before.
    pub quantile: f64,
    /// Never earlier than this: below it a second request costs more than it saves.
    #[serde(with = "humantime_serde")]
    pub shortest: Duration,
    /// Never later than this.
    #[serde(with = "humantime_serde")]
    pub longest: Duration,
    /// Latencies that must be known.
    pub min_samples: u32,
    /// After which time a latency counts half.
    #[serde(with = "humantime_serde")]
    pub half_life: Duration,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self {
            quantile: 0.95,
            shortest: Duration::from_millis(2),
            longest: Duration::from_secs(1),
            min_samples: 100,
            half_life: Duration::from_secs(10),
        }
    }
}

impl Check for BackupConfig {
    fn check(&self, problems: &mut Problems) {
        problems.number("quantile", self.quantile, 0.5..=0.9999);
        problems.duration("shortest", self.shortest, Duration::ZERO..=Duration::from_secs(10));
        problems.duration("longest", self.longest, Duration::from_millis(1)..=Duration::from_secs(60));
        problems.number("min_samples", self.min_samples, 1..=1_000_000);
        problems.duration("half_life", self.half_life, Duration::from_secs(1)..=Duration::from_secs(3600));
        if self.shortest > self.longest {
            problems.add("shortest", "is longer than `longest`");
        }
    }
}

/// The latencies of one method, and what follows from them.
#[derive(Debug)]
pub struct Backup {
    config: BackupConfig,
    bins: [AtomicU32; BINS],
    halved_at: Mutex<Option<Moment>>,
    /// The delay that was computed last, in nanoseconds (0: too little is known), and until when it is good.
    delay_ns: AtomicU64,
    good_until: AtomicU64,
}

impl Backup {
    /// Nothing is known yet.
    pub fn new(config: BackupConfig) -> Self {
        Self {
            config,
            bins: std::array::from_fn(|_| AtomicU32::new(0)),
            halved_at: Mutex::new(None),
            delay_ns: AtomicU64::new(0),
            good_until: AtomicU64::new(0),
        }
    }

    /// Learns how long an answer took.
    pub fn learn(&self, latency: Duration) {
        self.bins[bin_of(latency)].fetch_add(1, Relaxed);
    }

    /// How long to wait for the first answer before a second request; nothing while too little is known. Whoever then
    /// sends one pays for it with [`crate::retry::RetryBudget::withdraw`]. Computed anew every 100 ms at most.
    pub fn delay(&self, now: Moment) -> Option<Duration> {
        if self.good_until.load(Relaxed) <= now.as_nanos() {
            self.compute(now);
        }
        match self.delay_ns.load(Relaxed) {
            0 => None,
            ns => Some(Duration::from_nanos(ns)),
        }
    }

    fn compute(&self, now: Moment) {
        let mut halved_at = match self.halved_at.try_lock() {
            Ok(halved_at) => halved_at,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody else does it.
            Err(TryLockError::WouldBlock) => return,
        };
        let half_lives = nanos(now.since(*halved_at.get_or_insert(now))) / nanos(self.config.half_life).max(1);
        if half_lives > 0 {
            let halvings = u32::try_from(half_lives).unwrap_or(u32::MAX).min(31);
            for bin in &self.bins {
                let count = bin.load(Relaxed);
                // What is added in this instant stays.
                bin.fetch_sub(count - (count >> halvings), Relaxed);
            }
            *halved_at = Some(now);
        }
        let delay = self
            .quantile()
            .map_or(0, |latency| nanos(latency.max(self.config.shortest).min(self.config.longest)).max(1));
        self.delay_ns.store(delay, Relaxed);
        self.good_until.store((now + Duration::from_millis(100)).as_nanos(), Relaxed);
    }

    /// The upper edge of the bin that holds the quantile.
    fn quantile(&self) -> Option<Duration> {
        let counts: [u64; BINS] = std::array::from_fn(|bin| u64::from(self.bins[bin].load(Relaxed)));
        let all: u64 = counts.iter().sum();
        if all < u64::from(self.config.min_samples) {
            return None;
        }
        let wanted = self.config.quantile * all as f64;
        let mut below = 0_u64;
        let bin = counts.iter().position(|count| {
            below += count;
            below as f64 >= wanted
        })?;
        Some(upper_edge(bin))
    }
}

fn bin_of(latency: Duration) -> usize {
    let doublings = (nanos(latency) as f64 / FIRST_BIN_NS).log2();
    usize::try_from(floor_u64((doublings * BINS_PER_DOUBLING).ceil())).unwrap_or(BINS).min(BINS - 1)
}

fn upper_edge(bin: usize) -> Duration {
    Duration::from_nanos(floor_u64(FIRST_BIN_NS * (bin as f64 / BINS_PER_DOUBLING).exp2()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Moment = Moment::from_nanos(1_000_000_000_000);
    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_second_request_waits_for_the_95th_percentile() {
        let backup = Backup::new(BackupConfig::default());
        (1..=100).for_each(|ms| backup.learn(MS * ms));
        let delay = backup.delay(NOW).expect("enough is known");
        assert!((95 * MS..=95 * MS * 119 / 100 + MS).contains(&delay), "{delay:?}");
    }

    #[test]
    fn while_little_is_known_there_is_no_second_request() {
        let backup = Backup::new(BackupConfig::default());
        (0..99).for_each(|_| backup.learn(MS));
        assert_eq!(backup.delay(NOW), None);
        backup.learn(MS);
        assert_eq!(backup.delay(NOW), None, "it is computed every 100 ms");
        assert_eq!(backup.delay(NOW + 100 * MS), Some(2 * MS), "and never earlier than the shortest");
    }

    #[test]
    fn old_latencies_fade() {
        let backup = Backup::new(BackupConfig::default());
        backup.delay(NOW);
        (0..1000).for_each(|_| backup.learn(500 * MS));
        assert!(backup.delay(NOW + 100 * MS).is_some_and(|delay| delay >= 500 * MS));
        let later = NOW + Duration::from_secs(60);
        (0..1000).for_each(|_| backup.learn(10 * MS));
        backup.delay(later);
        assert_eq!(backup.delay(later + Duration::from_secs(600)), None, "nothing is known any more");
    }

    proptest! {
        #[test]
        fn a_latency_is_in_the_bin_whose_edges_hold_it(ns in 0_u64..600_000_000_000) {
            let latency = Duration::from_nanos(ns);
            let bin = bin_of(latency);
            prop_assert!(latency <= upper_edge(bin) + Duration::from_nanos(2));
            prop_assert!(bin == 0 || latency + Duration::from_nanos(2) >= upper_edge(bin - 1));
        }
    }
}

//! [`Backlog`]: how long the disk will take for what waits, so that nobody is let into a queue that is longer than their
//! patience. Pushes that are written after their partners were told that they are not durable yet are work without use,
//! and on a slow disk nothing else would be done any more.

use std::time::Duration;

/// How much of the last write is in the mean of all (a moving average, as of round-trip times in RFC 6298).
const NEWEST: u32 = 8;

/// What is known about the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backlog {
    commit_bytes: u64,
    patience: Duration,
    commit_time: Duration,
}

impl Backlog {
    /// `commit_bytes` are written together; nobody should wait for longer than half of `ack_timeout`: it is an estimate.
    pub(crate) fn new(commit_bytes: u64, ack_timeout: Duration) -> Self {
        Self { commit_bytes: commit_bytes.max(1), patience: ack_timeout / 2, commit_time: Duration::ZERO }
    }

    /// Notes how long a write took. Until the first, the disk is taken for a fast one.
    pub(crate) fn note(&mut self, took: Duration) {
        self.commit_time = match self.commit_time {
            Duration::ZERO => took,
            mean => mean - mean / NEWEST + took / NEWEST,
        };
    }

    /// Whether so many bytes are written before anybody's patience ends. What fits into one write always is.
    pub(crate) fn is_bearable(&self, bytes: u64) -> bool {
        let commits = u32::try_from(bytes / self.commit_bytes).unwrap_or(u32::MAX);
        self.commit_time.saturating_mul(commits) <= self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    #[test]
    fn a_slow_disk_makes_the_queue_shorter_and_a_fast_one_longer_again() {
        let mut backlog = Backlog::new(256 * KIB, Duration::from_secs(5));
        assert!(backlog.is_bearable(u64::MAX), "nothing is known yet");
        backlog.note(Duration::from_millis(250));
        assert!(backlog.is_bearable(10 * 256 * KIB), "two seconds and a half");
        assert!(!backlog.is_bearable(11 * 256 * KIB));
        for _ in 0..100 {
            backlog.note(Duration::from_millis(1));
        }
        assert!(backlog.is_bearable(1000 * 256 * KIB));
        backlog.note(Duration::from_secs(1));
        assert!(backlog.is_bearable(10 * 256 * KIB), "one slow write is no slow disk");
    }

    #[test]
    fn what_fits_into_one_write_is_always_bearable() {
        let mut backlog = Backlog::new(256 * KIB, Duration::from_secs(5));
        backlog.note(Duration::from_secs(60));
        assert!(backlog.is_bearable(255 * KIB) && !backlog.is_bearable(256 * KIB));
    }
}

//! The revocations of this instance: loaded at start, followed while running, added to when it revokes itself.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use common::{
    clock::{Clock, Timestamp},
    sql::Database,
};
use prometheus::{IntGauge, Registry};

use crate::{
    domain::revocation::{FeedCursor, RevocationIndex},
    error::AccountError,
    store::{self, sessions::Ended},
};

/// Revocations outlive the longest token by this much, so that a token of an instance whose clock is ahead stays
/// covered.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

/// A row this many overlaps old has no neighbours left that could still appear, even if clocks differ.
const SETTLED_OVERLAPS: u32 = 4;

/// The feed and what was read from it.
#[derive(Debug)]
pub(crate) struct Revocations {
    store: store::revocations::Revocations,
    index: RevocationIndex,
    cursor: Mutex<FeedCursor>,
    metrics: Metrics,
}

impl Revocations {
    /// Reads everything that still matters. Until this has succeeded no token may be judged.
    pub(crate) async fn load(
        database: Database,
        overlap: Duration,
        clock: &dyn Clock,
        registry: &Registry,
    ) -> Result<Self, LoadError> {
        let store = store::revocations::Revocations::new(database);
        let (index, now) = (RevocationIndex::default(), clock.now());
        let settled_before = now.minus(overlap * SETTLED_OVERLAPS);
        let mut settled = 0;
        store
            .read_after(0, now, |entry| {
                index.apply(entry.revocation, entry.expires_at);
                if entry.created_at <= settled_before {
                    settled = entry.sequence;
                }
            })
            .await?;
        let cursor = Mutex::new(FeedCursor::new(overlap, settled, monotonic_now()));
        let revocations = Self { store, index, cursor, metrics: Metrics::register(registry)? };
        revocations.metrics.note(&revocations.index, now);
        Ok(revocations)
    }

    /// What is revoked, as far as this instance knows.
    pub(crate) fn index(&self) -> &RevocationIndex {
        &self.index
    }

    /// Makes what this instance has just committed count here at once; the others read it from the feed.
    pub(crate) fn apply(&self, ended: &Ended, remembered_until: Timestamp) {
        for revocation in &ended.revocations {
            self.index.apply(*revocation, remembered_until);
        }
    }

    /// Reads what is new, and forgets what no longer matters.
    pub(crate) async fn follow(&self, clock: &dyn Clock) -> Result<(), AccountError> {
        let now = clock.now();
        let start = self.with_cursor(|cursor| cursor.after(monotonic_now()));
        let mut newest = start;
        self.store
            .read_after(start, now, |entry| {
                self.index.apply(entry.revocation, entry.expires_at);
                newest = newest.max(entry.sequence);
            })
            .await?;
        // The time after the read: every number up to the newest was given out before it.
        self.with_cursor(|cursor| cursor.observe(newest, monotonic_now()));
        self.index.forget_expired(now);
        self.metrics.note(&self.index, now);
        Ok(())
    }

    fn with_cursor<R>(&self, use_cursor: impl FnOnce(&mut FeedCursor) -> R) -> R {
        use_cursor(&mut self.cursor.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Until when a revocation made at `now` has to be remembered.
pub(crate) fn remembered_until(now: Timestamp, longest_token: Duration) -> Timestamp {
    now + longest_token + CLOCK_SKEW
}

/// Why the revocations could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Store(#[from] AccountError),
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

#[derive(Debug)]
struct Metrics {
    entries: IntGauge,
    read_at: IntGauge,
}

impl Metrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let entries = IntGauge::new("playgate_revocation_entries", "Revocations that can still matter, in memory.")?;
        let read_at = IntGauge::new(
            "playgate_revocation_feed_last_read_timestamp_seconds",
            "When the feed of revocations was last read: how far this instance may be behind.",
        )?;
        registry.register(Box::new(entries.clone()))?;
        registry.register(Box::new(read_at.clone()))?;
        Ok(Self { entries, read_at })
    }

    fn note(&self, index: &RevocationIndex, now: Timestamp) {
        self.entries.set(i64::try_from(index.len()).unwrap_or(i64::MAX));
        self.read_at.set(now.as_millis() / 1000);
    }
}

/// The monotonic clock that tests can move.
fn monotonic_now() -> Instant {
    tokio::time::Instant::now().into_std()
}

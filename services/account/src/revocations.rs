//! The revocations of this instance: loaded at start, followed while running, added to when it revokes itself.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use common::{
    clock::{Clock, Timestamp},
    sql::Database,
    token::{
        feed::{Page, Place, RevocationFeed},
        revocation::{Revocation, RevocationIndex},
    },
};
use prometheus::{IntGauge, Registry};

use crate::{
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
    /// What is asked for every token.
    index: RevocationIndex,
    /// The same in the order in which it was written, for those who follow. Never held across a wait.
    feed: Mutex<RevocationFeed>,
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
        let (now, feed) = (clock.now(), Mutex::new(RevocationFeed::new(overlap, monotonic_now())));
        let metrics = Metrics::register(registry)?;
        let store = store::revocations::Revocations::new(database);
        let revocations = Self { store, index: RevocationIndex::default(), feed, metrics };
        let reading = revocations.with_feed(|feed| feed.begin(monotonic_now()));
        revocations.read(reading.after(), now).await?;
        let settled_before = now.minus(overlap * SETTLED_OVERLAPS);
        revocations.with_feed(|feed| feed.end_first(reading, settled_before, monotonic_now()));
        revocations.metrics.note(&revocations.index, now);
        Ok(revocations)
    }

    /// What is revoked, as far as this instance knows.
    pub(crate) fn index(&self) -> &RevocationIndex {
        &self.index
    }

    /// Makes what this instance has just committed count here at once; the others read it from the feed.
    pub(crate) fn apply(&self, ended: &Ended, remembered_until: Timestamp) {
        self.apply_unread(ended.revocations.iter().map(|revocation| (revocation.clone(), remembered_until)));
    }

    /// Makes what was committed, here or elsewhere, count before it is read from the database.
    pub(crate) fn apply_unread(&self, revocations: impl Iterator<Item = (Revocation, Timestamp)>) {
        self.with_feed(|feed| {
            for (revocation, expires_at) in revocations {
                self.index.apply(revocation.clone(), expires_at);
                feed.note_unread(revocation, expires_at);
            }
        });
    }

    /// Reads what is new, and forgets what no longer matters.
    pub(crate) async fn follow(&self, clock: &dyn Clock) -> Result<(), AccountError> {
        let now = clock.now();
        let reading = self.with_feed(|feed| feed.begin(monotonic_now()));
        self.read(reading.after(), now).await?;
        self.with_feed(|feed| {
            feed.end(reading, monotonic_now());
            feed.forget_expired(now);
        });
        self.index.forget_expired(now);
        self.metrics.note(&self.index, now);
        Ok(())
    }

    /// Up to `most` revocations after a place, and how old what is known here is. `None`: the place is not known.
    pub(crate) fn page(&self, after: Place, most: usize) -> (Option<Page>, Duration) {
        self.with_feed(|feed| (feed.page(after, most), monotonic_now().saturating_duration_since(feed.as_of())))
    }

    async fn read(&self, after: i64, now: Timestamp) -> Result<(), AccountError> {
        let take = |sequence, row: common::token::feed::Row| {
            self.index.apply(row.revocation.clone(), row.expires_at);
            self.with_feed(|feed| feed.add(sequence, row));
        };
        self.store.read_after(after, now, take).await
    }

    fn with_feed<R>(&self, use_feed: impl FnOnce(&mut RevocationFeed) -> R) -> R {
        use_feed(&mut self.feed.lock().unwrap_or_else(PoisonError::into_inner))
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

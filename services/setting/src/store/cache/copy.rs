//! What is known about one app.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::Copied;
use crate::store::Live;

/// What a copy weighs besides its settings: key, tag, bookkeeping of the cache.
const COPY_OVERHEAD_BYTES: usize = 256;

/// One app's place in memory.
#[derive(Debug)]
pub(super) struct AppCopy {
    state: ArcSwap<State>,
    made: Instant,
    /// When somebody asked for it last, in milliseconds since `made`.
    asked: AtomicU64,
}

/// What is known about one app. Replaced as a whole.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// The last good settings.
    pub(super) live: Option<Arc<Live>>,
    /// How the last read failed, if it did.
    pub(super) trouble: Option<Trouble>,
    /// When the store is asked again.
    pub(super) due: Instant,
    /// When the store said last that the settings are current.
    pub(super) confirmed: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Store,
    /// The text tells one broken state of a document from the next.
    Document(String),
}

impl AppCopy {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let state = State { live: None, trouble: None, due: now, confirmed: now };
        Self { state: ArcSwap::from_pointee(state), made: now, asked: AtomicU64::new(0) }
    }

    pub(super) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// Replaces the state, but not its settings by earlier ones: what was published here a moment ago is not undone by a
    /// read that began before. What the state is now.
    pub(super) fn set(&self, state: State) -> Arc<State> {
        let mut set = Arc::new(state);
        self.state.rcu(|before| {
            if before.revision() > set.revision() {
                set = Arc::new(State { live: before.live.clone(), ..State::clone(&set) });
            }
            Arc::clone(&set)
        });
        set
    }

    pub(super) fn is_asked_for(&self) {
        let millis = u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Most readers come within the same millisecond and leave the line alone.
        if self.asked.load(Ordering::Relaxed) != millis {
            self.asked.store(millis, Ordering::Relaxed);
        }
    }

    /// Whether somebody asked for the app's settings within `idle_after`.
    pub(super) fn is_in_use(&self, idle_after: Duration) -> bool {
        let asked = self.made + Duration::from_millis(self.asked.load(Ordering::Relaxed));
        asked.elapsed() <= idle_after
    }

    pub(super) fn weight(&self) -> u32 {
        let settings =
            self.state.load().live.as_ref().map_or(0, |live| if live.revision() > 0 { live.weight() } else { 0 });
        u32::try_from(settings + COPY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
    }
}

impl State {
    /// 0 when nothing good is known, and for an app that has published nothing.
    pub(super) fn revision(&self) -> i64 {
        self.live.as_ref().map_or(0, |live| live.revision())
    }

    pub(super) fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// Until the store is asked again; zero if that is now.
    pub(super) fn due_in(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Whether the follower may read it: after a failure only when its time has come.
    pub(super) fn may_be_read(&self) -> bool {
        self.trouble.is_none() || self.is_due()
    }

    /// What a reader is answered from, if there is anything good.
    pub(super) fn copied(&self) -> Option<Copied> {
        let live = Arc::clone(self.live.as_ref()?);
        Some(Copied { live, age: self.confirmed.elapsed() })
    }
}

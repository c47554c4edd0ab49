//! Copies of apps' settings in memory, one per app, made ready once per version.
//!
//! Per app there is at most one read of the store under way, whoever asked for it. A read runs on its own task and ends
//! when the store ends it: a caller that stops waiting neither cancels nor repeats it, and a directory that hangs holds up
//! no more than `reads_max` reads, however long it hangs.
//!
//! A copy never goes back: whatever a read finds, a revision that was answered once is not followed by an earlier one.
//! Readers take no lock; a new version is one pointer that is exchanged.

mod copy;
mod under_way;

use std::{
    collections::HashMap,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    clock::{SharedRandom, jittered},
    telemetry::trace::{self, Description},
};
use futures_util::{StreamExt, stream};
use moka::future::Cache;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use self::{
    copy::{AppCopy, State, Trouble},
    under_way::UnderWay,
};
use crate::{
    config::Config,
    domain::AppId,
    error::GetSettingsError,
    metrics::Metrics,
    store::{Live, Loaded, Look, ReadFailure, Source},
};

/// Spread of the times after which copies are looked at again, so that they do not all come due at one moment.
const DUE_JITTER_SHARE: f64 = 0.2;

/// A read that was under way already may have looked before what is waited for was published; the one after it has not.
const LOOKS_MAX: usize = 2;

/// The settings of every app somebody asked for lately.
#[derive(Debug)]
pub(crate) struct SettingsCache<S> {
    inner: Arc<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S> {
    source: S,
    copies: Cache<AppId, Arc<AppCopy>>,
    /// The reads under way. A reader takes the lock only when it finds no copy within its time.
    reads: Mutex<HashMap<AppId, ReadResult>>,
    /// Whether the store failed the last time it was asked: an outage is logged when it begins and when it ends.
    store_failing: AtomicBool,
    /// Of an app that has published nothing.
    empty: Arc<Live>,
    config: Config,
    random: SharedRandom,
    metrics: Arc<Metrics>,
}

/// Becomes `Some` when the read has ended.
type ReadResult = watch::Receiver<Option<Arc<State>>>;

/// How long a reader waits, and what for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wait {
    /// How long whoever asks still waits; `None` when it set no limit.
    pub(crate) patience: Option<Duration>,
    /// A revision that whoever asks has seen elsewhere; 0 for none.
    pub(crate) min_revision: i64,
}

/// What a reader is answered from.
#[derive(Clone, Debug)]
pub(crate) struct Copied {
    pub(crate) live: Arc<Live>,
    /// How long ago the store confirmed that this is the current revision.
    pub(crate) age: Duration,
}

impl<S: Source> SettingsCache<S> {
    /// An empty cache over `source`.
    pub(crate) fn new(source: S, config: Config, random: SharedRandom, metrics: Arc<Metrics>) -> Self {
        let copies = Cache::builder()
            .max_capacity(config.cache_bytes_max.get())
            .weigher(|_, copy: &Arc<AppCopy>| copy.weight())
            .time_to_idle(config.forget_idle_after)
            .build();
        let empty = Arc::new(Live::empty());
        let (reads, store_failing) = (Mutex::default(), AtomicBool::new(false));
        Self { inner: Arc::new(Inner { source, copies, reads, store_failing, empty, config, random, metrics }) }
    }

    /// The settings of `app`: at once when there is a copy, however old, unless the caller has seen a later revision;
    /// otherwise when the store has answered, but no later than the caller's patience or `first_read_wait` from now,
    /// whichever is sooner.
    pub(crate) async fn get(&self, app: AppId, wait: Wait) -> Result<Copied, GetSettingsError> {
        let served = &self.inner.metrics.served;
        let copy = self.inner.copies.get(&app).await;
        let state = copy.map(|copy| {
            copy.is_asked_for();
            copy.state()
        });
        if let Some(copied) = state.as_ref().and_then(|state| state.copied()) {
            if copied.live.revision() < wait.min_revision && state.as_ref().is_none_or(|state| state.may_be_read()) {
                served.waited.inc();
                return Ok(self.caught_up(app, wait, copied).await);
            }
            if state.is_some_and(|state| state.is_due()) {
                // The result is for later readers; so is a refusal to read now.
                self.read(app, Look::AtPointer);
                served.stale.inc();
            } else {
                served.fresh.inc();
            }
            return Ok(copied);
        }
        let known = match state {
            Some(state) if !state.is_due() => self.inner.known(&state),
            _ => self.first_read(app, wait).await,
        };
        if known.is_ok() {
            served.waited.inc();
        } else {
            served.refused.inc();
        }
        known
    }

    /// The settings of `app` after a look into the store, or what there is if that takes too long.
    pub(crate) async fn get_after_look(&self, app: AppId, wait: Wait) -> Result<Copied, GetSettingsError> {
        self.get(app, Wait { min_revision: i64::MAX, ..wait }).await
    }

    /// The revision of `app`, if there is a copy; otherwise begins to read it. Waits for nothing.
    pub(crate) async fn revision(&self, app: AppId) -> Option<i64> {
        let copy = self.inner.copies.get(&app).await;
        let state = copy.map(|copy| {
            copy.is_asked_for();
            copy.state()
        });
        if state.as_ref().is_none_or(|state| state.is_due()) {
            self.read(app, Look::AtPointer);
        }
        state?.copied().map(|copied| copied.live.revision())
    }

    /// The revision that is known of `app`; 0 for none.
    pub(crate) async fn known(&self, app: AppId) -> i64 {
        let copy = self.inner.copies.get(&app).await;
        copy.map_or(0, |copy| copy.state().revision())
    }

    /// Answers with this version from now on: it was just published here.
    pub(crate) async fn show(&self, app: AppId, live: Arc<Live>) {
        let copy = self.inner.copy_of(app).await;
        self.inner.place(app, &copy, self.inner.good(live)).await;
    }

    /// Somebody says that `app` is at this revision: looks into the store if the copy there is is older.
    pub(crate) async fn hear(&self, app: AppId, revision: i64) {
        let Some(copy) = self.inner.copies.get(&app).await else { return };
        if copy.state().revision() < revision {
            let until = Instant::now() + self.inner.config.first_read_wait;
            self.look_for(app, revision, until).await;
        }
    }

    /// Looks at the revision of every app in use, and at what lies beyond it if `look` says so. How old the oldest copy of
    /// them is afterwards.
    pub(crate) async fn follow(&self, look: Look) -> Duration {
        let Config { follow_parallel, first_read_wait, .. } = self.inner.config;
        let in_use = self.in_use();
        stream::iter(in_use.iter().filter(|(_, copy)| copy.state().may_be_read()))
            .for_each_concurrent(follow_parallel.get(), |(app, _)| async {
                // One that takes longer goes on without us.
                if let Some(mut read) = self.read(*app, look) {
                    let _ = timeout(first_read_wait, read.wait_for(Option::is_some)).await;
                }
            })
            .await;
        in_use.iter().filter_map(|(_, copy)| copy.state().copied()).map(|copied| copied.age).max().unwrap_or_default()
    }

    /// The apps that are followed: all that have settings, and some of those that have published nothing.
    fn in_use(&self) -> Vec<(AppId, Arc<AppCopy>)> {
        let Config { follow_idle_after, follow_absent_max, .. } = self.inner.config;
        let in_use = self.inner.copies.iter().filter(|(_, copy)| copy.is_in_use(follow_idle_after));
        let in_use = in_use.map(|(app, copy)| (*app, copy));
        let (mut followed, absent): (Vec<_>, Vec<_>) = in_use.partition(|(_, copy)| copy.state().revision() > 0);
        followed.extend(absent.into_iter().take(follow_absent_max));
        followed
    }

    /// What there is once the store was asked for the revision that the caller has seen.
    async fn caught_up(&self, app: AppId, wait: Wait, copied: Copied) -> Copied {
        let until = Instant::now() + self.inner.patience(wait);
        let span = trace::leaf(|| Description::client("object store read"));
        let found = self.look_for(app, wait.min_revision, until).await;
        span.end(found.is_none());
        found.and_then(|state| state.copied()).unwrap_or(copied)
    }

    /// Reads until there is this revision, at most twice; what the last read came to.
    async fn look_for(&self, app: AppId, revision: i64, until: Instant) -> Option<Arc<State>> {
        let mut found: Option<Arc<State>> = None;
        for _ in 0..LOOKS_MAX {
            let (mut read, is_own) = self.read_beyond(app)?;
            let Ok(Ok(ended)) = timeout_at(until, read.wait_for(Option::is_some)).await else { return found };
            found.clone_from(&ended);
            if is_own || found.as_ref().is_some_and(|state| state.revision() >= revision) {
                break;
            }
        }
        found
    }

    async fn first_read(&self, app: AppId, wait: Wait) -> Result<Copied, GetSettingsError> {
        let retry_after = self.inner.config.retry_after;
        let Some(mut read) = self.read(app, Look::Beyond) else {
            return Err(GetSettingsError::TooManyReads { retry_after });
        };
        // The read serves everybody who waits; each of them has waited for it.
        let span = trace::leaf(|| Description::client("object store read"));
        let known = match timeout(self.inner.patience(wait), read.wait_for(Option::is_some)).await {
            Ok(Ok(ended)) => match ended.as_ref() {
                Some(state) => self.inner.known(state),
                None => Err(GetSettingsError::StoreUnavailable { retry_after }),
            },
            // The read's task is gone without a result.
            Ok(Err(_)) => Err(GetSettingsError::StoreUnavailable { retry_after }),
            Err(_) => Err(GetSettingsError::FirstReadSlow { retry_after }),
        };
        span.end(known.is_err());
        known
    }

    /// Joins the read of `app` that is under way, or starts one. `None` when there are too many.
    fn read(&self, app: AppId, look: Look) -> Option<ReadResult> {
        self.join_or_read(app, look).map(|(read, _)| read)
    }

    /// The same, looking beyond the pointer, and whether it was started here.
    fn read_beyond(&self, app: AppId) -> Option<(ReadResult, bool)> {
        self.join_or_read(app, Look::Beyond)
    }

    fn join_or_read(&self, app: AppId, look: Look) -> Option<(ReadResult, bool)> {
        let mut reads = self.inner.reads();
        if let Some(read) = reads.get(&app) {
            return Some((read.clone(), false));
        }
        if reads.len() >= self.inner.config.reads_max.get() {
            self.inner.metrics.reads.skipped.inc();
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        reads.insert(app, receiver.clone());
        UnderWay::begin(Arc::clone(&self.inner), app, look, sender);
        Some((receiver, true))
    }
}

impl<S> Inner<S> {
    fn reads(&self) -> MutexGuard<'_, HashMap<AppId, ReadResult>> {
        // The map is whole after every statement, so a panic while it was locked left nothing half done.
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn copy_of(&self, app: AppId) -> Arc<AppCopy> {
        self.copies.get_with(app, async { Arc::new(AppCopy::new()) }).await
    }

    fn patience(&self, wait: Wait) -> Duration {
        let longest = self.config.first_read_wait;
        wait.patience.map_or(longest, |patience| patience.min(longest))
    }

    /// What a state means to a reader.
    fn known(&self, state: &State) -> Result<Copied, GetSettingsError> {
        let left = state.due_in();
        let retry_after = if left.is_zero() { self.config.retry_after } else { left };
        match (state.copied(), &state.trouble) {
            (Some(copied), _) => Ok(copied),
            (None, Some(Trouble::Document(_))) => Err(GetSettingsError::DocumentBroken { retry_after }),
            (None, Some(Trouble::Store) | None) => Err(GetSettingsError::StoreUnavailable { retry_after }),
        }
    }

    /// Puts what a read found in the place of what there was. A failed read keeps the settings there were, and so does one
    /// that found an earlier version.
    async fn apply(&self, app: AppId, copy: Arc<AppCopy>, loaded: Result<Loaded, ReadFailure>) -> Arc<State> {
        let before = copy.state();
        let state = match loaded {
            Ok(loaded) => self.state_of(loaded, &before),
            Err(failure) => {
                let trouble = self.note(&failure, before.trouble.as_ref());
                State { trouble: Some(trouble), due: self.later(self.config.retry_after), ..State::clone(&before) }
            }
        };
        self.place(app, &copy, state).await
    }

    /// Makes this the app's state, unless an earlier revision would come back with it. What the state is now.
    async fn place(&self, app: AppId, copy: &Arc<AppCopy>, state: State) -> Arc<State> {
        let before = copy.state().revision();
        let mut state = copy.set(state);
        // It may have been dropped for lack of memory meanwhile, and another may have taken its place.
        let kept = self.copies.get_with(app, async { Arc::clone(copy) }).await;
        let is_another = !Arc::ptr_eq(&kept, copy);
        if is_another {
            state = kept.set(State::clone(&state));
        }
        if is_another || state.revision() != before {
            // Its weight has changed.
            self.copies.insert(app, kept).await;
        }
        let bytes = self.copies.weighted_size();
        self.metrics.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        state
    }

    fn state_of(&self, loaded: Loaded, before: &State) -> State {
        self.store_answered();
        let reads = &self.metrics.reads;
        let (count, live) = match loaded {
            Loaded::Newer(live) => (&reads.found, Some(live)),
            Loaded::Unchanged => (&reads.unchanged, before.live.clone()),
            Loaded::Absent => (&reads.absent, Some(Arc::clone(&self.empty))),
        };
        count.inc();
        // What is unchanged was known, and so it is there.
        live.map_or_else(|| before.clone(), |live| self.good(live))
    }

    /// The state of an app whose settings the store has just confirmed.
    fn good(&self, live: Arc<Live>) -> State {
        let time = if live.revision() == 0 { self.config.absent_fresh_for } else { self.config.fresh_for };
        State { live: Some(live), trouble: None, due: self.later(time), confirmed: Instant::now() }
    }

    /// Counts a failure, and logs it unless it is the one that is known already.
    fn note(&self, failure: &ReadFailure, known: Option<&Trouble>) -> Trouble {
        match failure {
            ReadFailure::Store(cause) => {
                self.metrics.reads.failed.inc();
                if !self.store_failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(error = %cause, "the settings store fails; serving the last good settings");
                }
                Trouble::Store
            }
            ReadFailure::Broken { path, reason } => {
                self.metrics.reads.broken.inc();
                self.store_answered();
                let trouble = Trouble::Document(failure.to_string());
                if known != Some(&trouble) {
                    tracing::error!(%path, error = %reason, "a settings document is broken and is not used");
                }
                trouble
            }
        }
    }

    fn store_answered(&self) {
        if self.store_failing.load(Ordering::Relaxed) && self.store_failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the settings store answers again");
        }
    }

    fn later(&self, time: Duration) -> Instant {
        Instant::now() + jittered(time, DUE_JITTER_SHARE, self.random.as_ref())
    }
}

impl<S: Source> Inner<S> {
    /// Reads the store, and says so when it takes long. A slow read is not given up: see the module's text.
    async fn load(&self, app: AppId, known: i64, look: Look) -> Result<Loaded, ReadFailure> {
        let timer = self.metrics.read_seconds.start_timer();
        let mut load = pin!(self.source.load(app, known, look));
        let loaded = match timeout(self.config.slow_read_after, &mut load).await {
            Ok(loaded) => loaded,
            Err(_) => {
                tracing::warn!(app_id = %app, "a read of the settings store is slow and goes on");
                load.await
            }
        };
        timer.observe_duration();
        loaded
    }
}

#[cfg(test)]
mod tests;

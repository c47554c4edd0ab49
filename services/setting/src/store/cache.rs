//! Copies of evaluated settings in memory.
//!
//! Per audience there is at most one read of the store under way, whoever asked for it. A read runs on its own task and
//! ends when the store ends it: a caller that stops waiting neither cancels nor repeats it, and a directory that hangs
//! holds up no more than `reads_max` reads, however long it hangs.

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
use moka::future::Cache;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use crate::{
    config::Config,
    domain::{Audience, Snapshot},
    error::GetSettingsError,
    metrics::Metrics,
    store::{Loaded, ReadFailure, Source},
};

/// Spread of the times after which copies are looked at again, so that they do not all come due at one moment.
const DUE_JITTER_SHARE: f64 = 0.2;

/// What an entry weighs besides its text: key, tag, bookkeeping of the cache.
const ENTRY_OVERHEAD_BYTES: usize = 256;

/// The evaluated settings of every audience somebody asked for lately.
#[derive(Debug)]
pub(crate) struct SettingsCache<S> {
    inner: Arc<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S> {
    source: S,
    entries: Cache<Audience, Arc<Entry>>,
    /// The reads under way. A reader takes the lock only when it finds no copy within its time.
    reads: Mutex<HashMap<Audience, ReadResult>>,
    /// Whether the store failed the last time it was asked: an outage is logged when it begins and when it ends.
    store_failing: AtomicBool,
    config: Config,
    random: SharedRandom,
    metrics: Arc<Metrics>,
}

/// Becomes `Some` when the read has ended.
type ReadResult = watch::Receiver<Option<Arc<Entry>>>;

/// What is known about one audience. Replaced as a whole by every read.
#[derive(Clone, Debug)]
struct Entry {
    /// The last good settings.
    snapshot: Option<Arc<Snapshot>>,
    /// How the last read failed, if it did.
    trouble: Option<Trouble>,
    /// When the store is asked again.
    due: Instant,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    Store,
    /// The text tells one broken state of a document from the next.
    Document(String),
}

impl<S: Source> SettingsCache<S> {
    /// An empty cache over `source`.
    pub(crate) fn new(source: S, config: Config, random: SharedRandom, metrics: Arc<Metrics>) -> Self {
        let entries = Cache::builder()
            .max_capacity(config.cache_bytes_max.get())
            .weigher(|_, entry: &Arc<Entry>| entry.weight())
            .time_to_idle(config.forget_idle_after)
            .build();
        let (reads, store_failing) = (Mutex::default(), AtomicBool::new(false));
        Self { inner: Arc::new(Inner { source, entries, reads, store_failing, config, random, metrics }) }
    }

    /// The settings of `audience`: at once when there is a copy, however old; otherwise when the store has answered, but
    /// no later than `patience` or `first_read_wait` from now, whichever is sooner.
    pub(crate) async fn get(
        &self,
        audience: &Audience,
        patience: Option<Duration>,
    ) -> Result<Arc<Snapshot>, GetSettingsError> {
        let served = &self.inner.metrics.served;
        let entry = self.inner.entries.get(audience).await;
        let due = entry.as_ref().is_none_or(|entry| entry.due <= Instant::now());
        if let Some(snapshot) = entry.as_ref().and_then(|entry| entry.snapshot.clone()) {
            if due {
                // The result is for later readers; so is a refusal to read now.
                self.read(audience, entry);
                served.stale.inc();
            } else {
                served.fresh.inc();
            }
            return Ok(snapshot);
        }
        let known = match entry {
            Some(entry) if !due => self.inner.known(&entry),
            entry => self.first_read(audience, entry, patience).await,
        };
        if known.is_ok() {
            served.waited.inc();
        } else {
            served.refused.inc();
        }
        known
    }

    async fn first_read(
        &self,
        audience: &Audience,
        last: Option<Arc<Entry>>,
        patience: Option<Duration>,
    ) -> Result<Arc<Snapshot>, GetSettingsError> {
        let Config { first_read_wait, retry_after, .. } = self.inner.config;
        let Some(mut read) = self.read(audience, last) else {
            return Err(GetSettingsError::TooManyReads { retry_after });
        };
        let wait = patience.map_or(first_read_wait, |patience| patience.min(first_read_wait));
        // The read serves everybody who waits; each of them has waited for it.
        let span = trace::leaf(|| Description::client("object store read"));
        let known = match timeout(wait, read.wait_for(Option::is_some)).await {
            Ok(Ok(ended)) => match ended.as_ref() {
                Some(entry) => self.inner.known(entry),
                None => Err(GetSettingsError::StoreUnavailable { retry_after }),
            },
            // The read's task is gone without a result.
            Ok(Err(_)) => Err(GetSettingsError::StoreUnavailable { retry_after }),
            Err(_) => Err(GetSettingsError::FirstReadSlow { retry_after }),
        };
        span.end(known.is_err());
        known
    }

    /// Joins the read of `audience` that is under way, or starts one. `None` when there are too many.
    fn read(&self, audience: &Audience, last: Option<Arc<Entry>>) -> Option<ReadResult> {
        let mut reads = self.inner.reads();
        if let Some(read) = reads.get(audience) {
            return Some(read.clone());
        }
        if reads.len() >= self.inner.config.reads_max.get() {
            self.inner.metrics.reads.skipped.inc();
            return None;
        }
        let (sender, receiver) = watch::channel(None);
        reads.insert(audience.clone(), receiver.clone());
        let running = UnderWay { inner: Arc::clone(&self.inner), audience: audience.clone(), sender };
        spawn_read(running.run(last));
        Some(receiver)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a read serves every later reader: it belongs to no request's trace or deadline, and a drain need not wait for it"
)]
fn spawn_read(read: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(read);
}

/// A read that is registered in `reads`; taken out again however it ends.
struct UnderWay<S: Source> {
    inner: Arc<Inner<S>>,
    audience: Audience,
    sender: watch::Sender<Option<Arc<Entry>>>,
}

impl<S: Source> UnderWay<S> {
    async fn run(self, last: Option<Arc<Entry>>) {
        let inner = &self.inner;
        let loaded = inner.load(&self.audience).await;
        let entry = Arc::new(inner.entry_after(loaded, last.as_deref()));
        inner.entries.insert(self.audience.clone(), Arc::clone(&entry)).await;
        let bytes = inner.entries.weighted_size();
        inner.metrics.cache_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        // Waiters get the entry from here: the cache is free not to keep it.
        self.sender.send_replace(Some(entry));
    }
}

impl<S: Source> Drop for UnderWay<S> {
    fn drop(&mut self) {
        self.inner.reads().remove(&self.audience);
    }
}

impl<S> Inner<S> {
    fn reads(&self) -> MutexGuard<'_, HashMap<Audience, ReadResult>> {
        // The map is whole after every statement, so a panic while it was locked left nothing half done.
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `entry` means to a reader.
    fn known(&self, entry: &Entry) -> Result<Arc<Snapshot>, GetSettingsError> {
        let left = entry.due.saturating_duration_since(Instant::now());
        let retry_after = if left.is_zero() { self.config.retry_after } else { left };
        match (&entry.snapshot, &entry.trouble) {
            (Some(snapshot), _) => Ok(Arc::clone(snapshot)),
            (None, Some(Trouble::Document(_))) => Err(GetSettingsError::DocumentBroken { retry_after }),
            (None, Some(Trouble::Store) | None) => Err(GetSettingsError::StoreUnavailable { retry_after }),
        }
    }

    /// The entry that replaces `last` after a read. A failed read keeps the settings there were.
    fn entry_after(&self, loaded: Result<Loaded, ReadFailure>, last: Option<&Entry>) -> Entry {
        let reads = &self.metrics.reads;
        match loaded {
            Ok(Loaded { snapshot, exists }) => {
                self.store_answered();
                let (count, time) = if exists {
                    (&reads.found, self.config.fresh_for)
                } else {
                    (&reads.absent, self.config.absent_fresh_for)
                };
                count.inc();
                Entry { snapshot: Some(Arc::new(snapshot)), trouble: None, due: self.due_in(time) }
            }
            Err(failure) => {
                let trouble = self.note(&failure, last.and_then(|last| last.trouble.as_ref()));
                let snapshot = last.and_then(|last| last.snapshot.clone());
                Entry { snapshot, trouble: Some(trouble), due: self.due_in(self.config.retry_after) }
            }
        }
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

    fn due_in(&self, time: Duration) -> Instant {
        Instant::now() + jittered(time, DUE_JITTER_SHARE, self.random.as_ref())
    }
}

impl<S: Source> Inner<S> {
    /// Reads the store, and says so when it takes long. A slow read is not given up: see the module's text.
    async fn load(&self, audience: &Audience) -> Result<Loaded, ReadFailure> {
        let timer = self.metrics.read_seconds.start_timer();
        let mut load = pin!(self.source.load(audience));
        let loaded = match timeout(self.config.slow_read_after, &mut load).await {
            Ok(loaded) => loaded,
            Err(_) => {
                let (app_id, channel) = (audience.app, &audience.channel);
                tracing::warn!(%app_id, %channel, "a read of the settings store is slow and goes on");
                load.await
            }
        };
        timer.observe_duration();
        loaded
    }
}

impl Entry {
    fn weight(&self) -> u32 {
        let text = self.snapshot.as_ref().map_or(0, |snapshot| snapshot.settings_json.len());
        u32::try_from(text + ENTRY_OVERHEAD_BYTES).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;

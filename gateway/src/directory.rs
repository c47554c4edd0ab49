//! What account knows about those who sign their requests, kept for a moment so that checking a signature costs no call.
//!
//! An entry is fresh for a second; after that it is still used while a new one is fetched in the background, and for
//! up to ten minutes when account cannot be asked: an outage there must not make signatures "bad". For the same reason
//! a secret that fits nothing known is looked for once more before it is refused. What this module never does is decide
//! that somebody does not exist, or a secret is wrong, without account having said so.

use std::{
    fmt,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{error_code::PublicError, lifecycle::RequestTasks};
use futures_util::future::BoxFuture;
use moka::{
    future::Cache,
    ops::compute::{CompResult, Op},
};
use papaya::Operation;
use tokio::{sync::Mutex, time::Instant};

/// How long an entry is used without asking again. Who was disabled is refused this soon after the first request that
/// finds the entry stale.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(1);

/// How long an entry is used when account cannot be asked.
const USABLE_FOR: Duration = Duration::from_secs(600);

/// A stale entry older than this is replaced before it is used (unless account cannot be asked): somebody who did not
/// call for a while may have been disabled in the meantime.
pub(crate) const ASK_FIRST_AFTER: Duration = Duration::from_secs(60);

/// The time between two looks into the database because of secrets that fit nothing known. A wrong secret waits for the
/// next look, and all that wait share it: guesses cost ten looks per key and second, however many they are.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How long a failure to ask answers for the questions that follow. Bounds what an account that hangs can cost: one
/// call per key and second.
pub(crate) const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Asks account about a key.
pub(crate) type Ask<K, V> =
    Arc<dyn Fn(Question<K>) -> BoxFuture<'static, Result<Option<V>, PublicError>> + Send + Sync>;

/// What account is asked.
#[derive(Clone, Debug)]
pub(crate) struct Question<K> {
    pub(crate) key: K,
    /// Look into the database rather than into memory.
    pub(crate) read_again: bool,
}

struct Entry<V> {
    /// `None`: account said that there is nothing under this key.
    value: Option<Arc<V>>,
    /// When account was asked.
    loaded_at: Instant,
    /// It was read from the database, not from account's memory.
    read_again: bool,
    refreshing: AtomicBool,
    /// Held by the one request that asks before the entry is used again; how that failed the last time.
    turn: Mutex<Option<Failure>>,
}

/// An attempt to replace an entry that came to nothing.
struct Failure {
    at: Instant,
    error: PublicError,
}

/// Values of account by their keys. Cheap to clone.
pub(crate) struct Directory<K, V> {
    ask: Ask<K, V>,
    entries: Cache<K, Arc<Entry<V>>>,
    /// The newest entries, for as long as they are fresh: nearly every request finds its own here, without the bookkeeping
    /// that a look into [`Self::entries`] takes. Has as many at most; beyond that it is emptied, and fills again at once.
    newest: Arc<papaya::HashMap<K, Arc<Entry<V>>>>,
    capacity: usize,
    tasks: RequestTasks,
}

impl<K, V> Clone for Directory<K, V> {
    fn clone(&self) -> Self {
        Self {
            ask: self.ask.clone(),
            entries: self.entries.clone(),
            newest: self.newest.clone(),
            capacity: self.capacity,
            tasks: self.tasks.clone(),
        }
    }
}

impl<K, V> fmt::Debug for Directory<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}

impl<K, V> Directory<K, V>
where
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A directory of up to `capacity` keys.
    pub(crate) fn new(ask: Ask<K, V>, capacity: u64, tasks: RequestTasks) -> Self {
        Self {
            ask,
            entries: Cache::builder().max_capacity(capacity).time_to_live(USABLE_FOR).build(),
            newest: Arc::default(),
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            tasks,
        }
    }

    /// What is known of the key; `None` if account said that there is nothing.
    pub(crate) async fn get(&self, key: &K) -> Result<Option<Arc<V>>, PublicError> {
        if let Some(entry) = self.newest.pin().get(key).filter(|entry| entry.loaded_at.elapsed() <= FRESH_FOR) {
            return Ok(entry.value.clone());
        }
        // Boxed: nearly every request ends above, and would carry the room for what is below.
        Box::pin(self.asked_for(key)).await
    }

    async fn asked_for(&self, key: &K) -> Result<Option<Arc<V>>, PublicError> {
        let entry = self.entry(key).await?;
        let age = entry.loaded_at.elapsed();
        if age <= FRESH_FOR {
            self.find_at_once(key, &entry);
            return Ok(entry.value.clone());
        }
        if age > ASK_FIRST_AFTER || entry.value.is_none() {
            // Account said "no such" a while ago, or the entry is old: ask, and fall back on what is known.
            return match self.replace(key, &entry, false).await {
                Ok(replaced) => Ok(replaced.value.clone()),
                Err(error) if entry.value.is_none() => Err(error),
                Err(_) => Ok(entry.value.clone()),
            };
        }
        if !entry.refreshing.swap(true, Ordering::Relaxed) {
            self.refresh_in_background(key.clone(), entry.clone());
        }
        Ok(entry.value.clone())
    }

    /// The same after a secret fitted nothing that is known: there may be a new one. What is answered was read after
    /// this was called.
    pub(crate) async fn after_a_mismatch(&self, key: &K) -> Result<Option<Arc<V>>, PublicError> {
        let entry = self.entry(key).await?;
        Ok(self.replace(key, &entry, true).await?.value.clone())
    }

    async fn entry(&self, key: &K) -> Result<Arc<Entry<V>>, PublicError> {
        match self.entries.get(key).await {
            Some(entry) => Ok(entry),
            None => {
                let load = async {
                    let loaded = self.load(key, false).await?;
                    Ok(self.newer_than(key, &loaded).await.unwrap_or(loaded))
                };
                let loaded = self.entries.try_get_with(key.clone(), load).await;
                loaded.map_err(|error: Arc<PublicError>| PublicError::clone(&error))
            }
        }
    }

    /// Replaces an entry. Requests that want the same one replaced wait for the first, and share what it met.
    async fn replace(&self, key: &K, old: &Arc<Entry<V>>, read_again: bool) -> Result<Arc<Entry<V>>, PublicError> {
        let called_at = Instant::now();
        let mut failure = old.turn.lock().await;
        if let Some(Failure { at, error }) = &*failure
            && at.elapsed() <= ASK_AGAIN_AFTER
        {
            return Err(error.clone());
        }
        let current = self.entries.get(key).await.filter(|current| !Arc::ptr_eq(current, old));
        let answers = |current: &Arc<Entry<V>>| !read_again || (current.read_again && current.loaded_at >= called_at);
        if let Some(current) = current.filter(answers) {
            return Ok(current);
        }
        if read_again && old.read_again {
            tokio::time::sleep_until(old.loaded_at + BETWEEN_LOOKS).await;
        }
        match self.load(key, read_again).await {
            Ok(loaded) => Ok(self.keep(key, loaded).await),
            Err(error) => {
                *failure = Some(Failure { at: Instant::now(), error: error.clone() });
                Err(error)
            }
        }
    }

    fn refresh_in_background(&self, key: K, entry: Arc<Entry<V>>) {
        let directory = self.clone();
        self.tasks.spawn_in_context(async move {
            match directory.load(&key, false).await {
                Ok(loaded) => drop(directory.keep(&key, loaded).await),
                Err(_) => entry.refreshing.store(false, Ordering::Relaxed),
            }
        });
    }

    /// Keeps what was looked up, unless something is kept that was looked up later: an answer that was long on its way says
    /// what was so when it was asked for, and must not bring a secret back that has been revoked since. Answers the newer one.
    async fn keep(&self, key: &K, loaded: Arc<Entry<V>>) -> Arc<Entry<V>> {
        let kept = self.entries.entry(key.clone()).and_compute_with(|current| {
            let newest = current.is_none_or(|current| current.value().loaded_at <= loaded.loaded_at);
            std::future::ready(if newest { Op::Put(loaded.clone()) } else { Op::Nop })
        });
        let kept = match kept.await {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry) => {
                entry.into_value()
            }
            CompResult::StillNone(_) | CompResult::Removed(_) => loaded,
        };
        self.find_at_once(key, &kept);
        kept
    }

    /// Has the requests of the next moment find an entry without a look into the cache, unless they find a newer one.
    fn find_at_once(&self, key: &K, entry: &Arc<Entry<V>>) {
        let newest = self.newest.pin();
        // What account does not know has no place here: strangers make up keys as they like.
        let is_known = entry.value.is_some();
        if is_known && newest.len() >= self.capacity && !newest.contains_key(key) {
            newest.clear();
        }
        newest.compute(key.clone(), |found| match found {
            Some((_, found)) if found.loaded_at > entry.loaded_at => Operation::Abort(()),
            Some(_) if !is_known => Operation::Remove,
            None if !is_known => Operation::Abort(()),
            _ => Operation::Insert(entry.clone()),
        });
    }

    async fn newer_than(&self, key: &K, loaded: &Entry<V>) -> Option<Arc<Entry<V>>> {
        self.entries.get(key).await.filter(|current| current.loaded_at > loaded.loaded_at)
    }

    async fn load(&self, key: &K, read_again: bool) -> Result<Arc<Entry<V>>, PublicError> {
        let loaded_at = Instant::now();
        let value = (self.ask)(Question { key: key.clone(), read_again }).await?;
        Ok(Arc::new(Entry {
            value: value.map(Arc::new),
            loaded_at,
            read_again,
            refreshing: AtomicBool::new(false),
            turn: Mutex::new(None),
        }))
    }
}

#[cfg(test)]
impl<K, V> Directory<K, V>
where
    K: Clone + Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Waits for the looks in the background.
    pub(crate) async fn settled(&self) {
        self.tasks.tracker().close();
        self.tasks.tracker().wait().await;
    }

    /// How many entries are found without a look into the cache.
    pub(crate) fn found_at_once(&self) -> usize {
        self.newest.len()
    }

    /// What is kept, without asking.
    pub(crate) async fn kept(&self, key: &K) -> Option<Arc<V>> {
        self.entries.get(key).await.and_then(|entry| entry.value.clone())
    }
}

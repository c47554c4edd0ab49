//! The apps' secrets as account knows them, kept for a moment so that checking a signature costs no call.
//!
//! An entry is fresh for a second; after that it is still used while a new one is fetched in the background, and for
//! up to ten minutes when account cannot be asked: an outage there must not make signatures "bad". For the same reason
//! a secret that fits nothing known is looked for once more before it is refused. What this module never does is decide
//! that an app does not exist, or a secret is wrong, without account having said so.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::{
    error_code::PublicError,
    http::{AppCredentials, AppSecrets, SigningKey},
    lifecycle::RequestTasks,
};
use futures_util::future::BoxFuture;
use idl::account::{AccountServiceClient, AppInfo, GetAppRequest};
use moka::{
    future::Cache,
    ops::compute::{CompResult, Op},
};
use subtle::ConstantTimeEq;
use tokio::{sync::Mutex, time::Instant};

use crate::upstream::{open_question, within};

/// How long an entry is used without asking again. A disabled app is refused this soon after the first request that
/// finds the entry stale.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// How long an entry is used when account cannot be asked.
const USABLE_FOR: Duration = Duration::from_secs(600);

/// A stale entry older than this is replaced before it is used (unless account cannot be asked): an app that nobody
/// called for a while may have been disabled in the meantime.
const ASK_FIRST_AFTER: Duration = Duration::from_secs(60);

/// The time between two looks into the database because of secrets that fit nothing known. A wrong secret waits for the
/// next look, and all that wait share it: guesses cost ten looks per app and second, however many they are.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// How long a failure to ask answers for the questions that follow. Bounds what an account that hangs can cost: one
/// call per app and second.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Asks account about an app.
type Ask = Arc<dyn Fn(GetAppRequest) -> BoxFuture<'static, Result<Option<AppInfo>, PublicError>> + Send + Sync>;

/// An app, ready to check requests against.
struct App {
    credentials: Arc<AppCredentials>,
    secrets: Vec<secrecy::SecretString>,
}

struct Entry {
    /// `None`: account said that there is no such app.
    app: Option<Arc<App>>,
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

/// The directory of apps. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AppDirectory {
    ask: Ask,
    entries: Cache<i64, Arc<Entry>>,
    tasks: RequestTasks,
}

impl fmt::Debug for AppDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppDirectory").field("entries", &self.entries.entry_count()).finish_non_exhaustive()
    }
}

impl AppDirectory {
    /// A directory of up to `capacity` apps that waits up to `patience` for account.
    pub(crate) fn new(account: AccountServiceClient, patience: Duration, capacity: u64, tasks: RequestTasks) -> Self {
        let ask: Ask = Arc::new(move |request| {
            let account = account.clone();
            Box::pin(async move {
                let answer = within(patience, account.get_app(request)).await;
                Ok(answer.map_err(open_question)?.app)
            })
        });
        Self::asking(ask, capacity, tasks)
    }

    fn asking(ask: Ask, capacity: u64, tasks: RequestTasks) -> Self {
        Self { ask, tasks, entries: Cache::builder().max_capacity(capacity).time_to_live(USABLE_FOR).build() }
    }

    /// Is this the secret of this app? For HTTP Basic; compared in constant time against every live secret.
    pub(crate) async fn authenticate(&self, app_id: i64, secret: &str) -> Result<bool, PublicError> {
        let Some(app) = self.app(app_id).await? else { return Ok(false) };
        if app.has_secret(secret) {
            return Ok(app.credentials.enabled);
        }
        let newest = self.app_after_a_mismatch(app_id).await?;
        Ok(newest.is_some_and(|app| app.has_secret(secret) && app.credentials.enabled))
    }

    async fn app(&self, app_id: i64) -> Result<Option<Arc<App>>, PublicError> {
        match self.entries.get(&app_id).await {
            Some(entry) if entry.loaded_at.elapsed() <= FRESH_FOR => Ok(entry.app.clone()),
            // Boxed: nearly every request ends above, and would carry the room for what is below.
            _ => Box::pin(self.app_asked_for(app_id)).await,
        }
    }

    async fn app_asked_for(&self, app_id: i64) -> Result<Option<Arc<App>>, PublicError> {
        let entry = self.entry(app_id).await?;
        let age = entry.loaded_at.elapsed();
        if age <= FRESH_FOR {
            return Ok(entry.app.clone());
        }
        if age > ASK_FIRST_AFTER || entry.app.is_none() {
            // Account said "no such app" a while ago, or the entry is old: ask, and fall back on what is known.
            return match self.replace(app_id, &entry, false).await {
                Ok(replaced) => Ok(replaced.app.clone()),
                Err(error) if entry.app.is_none() => Err(error),
                Err(_) => Ok(entry.app.clone()),
            };
        }
        if !entry.refreshing.swap(true, Ordering::Relaxed) {
            self.refresh_in_background(app_id, entry.clone());
        }
        Ok(entry.app.clone())
    }

    /// The app after a secret fitted nothing that is known of it: it may have a new one. What is answered was read after
    /// this was called.
    async fn app_after_a_mismatch(&self, app_id: i64) -> Result<Option<Arc<App>>, PublicError> {
        let entry = self.entry(app_id).await?;
        Ok(self.replace(app_id, &entry, true).await?.app.clone())
    }

    async fn entry(&self, app_id: i64) -> Result<Arc<Entry>, PublicError> {
        match self.entries.get(&app_id).await {
            Some(entry) => Ok(entry),
            None => {
                let load = async {
                    let loaded = self.load(app_id, false).await?;
                    Ok(self.newer_than(app_id, &loaded).await.unwrap_or(loaded))
                };
                let loaded = self.entries.try_get_with(app_id, load).await;
                loaded.map_err(|error: Arc<PublicError>| PublicError::clone(&error))
            }
        }
    }

    /// Replaces an entry. Requests that want the same one replaced wait for the first, and share what it met.
    async fn replace(&self, app_id: i64, old: &Arc<Entry>, read_again: bool) -> Result<Arc<Entry>, PublicError> {
        let called_at = Instant::now();
        let mut failure = old.turn.lock().await;
        if let Some(Failure { at, error }) = &*failure
            && at.elapsed() <= ASK_AGAIN_AFTER
        {
            return Err(error.clone());
        }
        let current = self.entries.get(&app_id).await.filter(|current| !Arc::ptr_eq(current, old));
        let answers = |current: &Arc<Entry>| !read_again || (current.read_again && current.loaded_at >= called_at);
        if let Some(current) = current.filter(answers) {
            return Ok(current);
        }
        if read_again && old.read_again {
            tokio::time::sleep_until(old.loaded_at + BETWEEN_LOOKS).await;
        }
        match self.load(app_id, read_again).await {
            Ok(loaded) => Ok(self.keep(app_id, loaded).await),
            Err(error) => {
                *failure = Some(Failure { at: Instant::now(), error: error.clone() });
                Err(error)
            }
        }
    }

    fn refresh_in_background(&self, app_id: i64, entry: Arc<Entry>) {
        let directory = self.clone();
        self.tasks.spawn_in_context(async move {
            match directory.load(app_id, false).await {
                Ok(loaded) => drop(directory.keep(app_id, loaded).await),
                Err(_) => entry.refreshing.store(false, Ordering::Relaxed),
            }
        });
    }

    /// Keeps what was looked up, unless something is kept that was looked up later: an answer that was long on its way says
    /// what was so when it was asked for, and must not bring a secret back that has been revoked since. Answers the newer one.
    async fn keep(&self, app_id: i64, loaded: Arc<Entry>) -> Arc<Entry> {
        let kept = self.entries.entry(app_id).and_compute_with(|current| {
            let newest = current.is_none_or(|current| current.value().loaded_at <= loaded.loaded_at);
            std::future::ready(if newest { Op::Put(loaded.clone()) } else { Op::Nop })
        });
        match kept.await {
            CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry) => {
                entry.into_value()
            }
            CompResult::StillNone(_) | CompResult::Removed(_) => loaded,
        }
    }

    async fn newer_than(&self, app_id: i64, loaded: &Entry) -> Option<Arc<Entry>> {
        self.entries.get(&app_id).await.filter(|current| current.loaded_at > loaded.loaded_at)
    }

    async fn load(&self, app_id: i64, read_again: bool) -> Result<Arc<Entry>, PublicError> {
        let loaded_at = Instant::now();
        let app = (self.ask)(GetAppRequest { app_id, read_again: read_again.then_some(true) }).await?;
        Ok(Arc::new(Entry {
            app: app.map(|info| Arc::new(App::from(info))),
            loaded_at,
            read_again,
            refreshing: AtomicBool::new(false),
            turn: Mutex::new(None),
        }))
    }
}

impl App {
    fn has_secret(&self, presented: &str) -> bool {
        let matches = self.secrets.iter().fold(subtle::Choice::from(0), |found, live| {
            found | secrecy::ExposeSecret::expose_secret(live).as_bytes().ct_eq(presented.as_bytes())
        });
        bool::from(matches)
    }
}

impl From<AppInfo> for App {
    fn from(info: AppInfo) -> Self {
        Self {
            credentials: Arc::new(AppCredentials {
                enabled: info.enabled,
                keys: info.secrets.iter().map(|secret| SigningKey::new(secret.as_bytes())).collect(),
            }),
            secrets: info.secrets.iter().map(|secret| secrecy::SecretString::from(secret.as_str())).collect(),
        }
    }
}

impl AppSecrets for AppDirectory {
    fn secrets(&self, app_id: i64) -> BoxFuture<'_, Result<Option<Arc<AppCredentials>>, PublicError>> {
        Box::pin(async move { Ok(self.app(app_id).await?.map(|app| app.credentials.clone())) })
    }

    fn secrets_after_a_mismatch(&self, app_id: i64) -> BoxFuture<'_, Result<Option<Arc<AppCredentials>>, PublicError>> {
        Box::pin(async move { Ok(self.app_after_a_mismatch(app_id).await?.map(|app| app.credentials.clone())) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{PoisonError, atomic::AtomicUsize};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    const APP: i64 = 7;

    /// Account, as far as this module sees it.
    #[derive(Default)]
    struct Account {
        /// In the database; account's memory follows only when it is made to look.
        secrets: std::sync::Mutex<Vec<&'static str>>,
        remembered: std::sync::Mutex<Vec<&'static str>>,
        away: AtomicBool,
        asked: AtomicUsize,
        /// Answers from memory wait for it, once they are made up.
        gate: std::sync::Mutex<Option<Arc<Notify>>>,
    }

    impl Account {
        fn with(secret: &'static str) -> Arc<Self> {
            let account = Arc::new(Self::default());
            account.rotate_to(vec![secret]);
            account.remember();
            account
        }

        fn rotate_to(&self, secrets: Vec<&'static str>) {
            *self.secrets.lock().unwrap_or_else(PoisonError::into_inner) = secrets;
        }

        fn remember(&self) {
            let secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner).clone();
            *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = secrets;
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }

        async fn answer(&self, request: GetAppRequest) -> Result<Option<AppInfo>, PublicError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if self.away.load(Ordering::Relaxed) {
                return Err(PublicError::unavailable(Duration::from_secs(1)));
            }
            if request.read_again.unwrap_or_default() {
                self.remember();
            }
            let secrets = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(gate) = gate.filter(|_| request.read_again.is_none()) {
                gate.notified().await;
            }
            let secrets = secrets.into_iter().map(Into::into).collect();
            Ok((request.app_id == APP).then(|| AppInfo {
                app_id: APP,
                name: "Game".into(),
                enabled: true,
                secrets,
                delivery_url: None,
                refund_url: None,
            }))
        }
    }

    fn directory(account: &Arc<Account>) -> AppDirectory {
        let account = account.clone();
        let ask: Ask = Arc::new(move |request| {
            let account = account.clone();
            Box::pin(async move { account.answer(request).await })
        });
        AppDirectory::asking(ask, 100, RequestTasks::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_is_good_from_the_moment_it_was_made_and_the_one_before_stays_good() {
        let account = Account::with("old");
        let apps = directory(&account);
        assert_eq!(apps.authenticate(APP, "old").await, Ok(true));
        for [new, old] in [["second", "old"], ["third", "second"], ["fourth", "third"]] {
            account.rotate_to(vec![new, old]);
            assert_eq!(apps.authenticate(APP, new).await, Ok(true), "{new}");
            assert_eq!(apps.authenticate(APP, old).await, Ok(true), "{old}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_wins_over_a_back_fill() {
        let account = Account::with("old");
        let (apps, gate) = (directory(&account), Arc::new(Notify::new()));
        assert_eq!(apps.authenticate(APP, "old").await, Ok(true));
        // The entry is stale: the next use looks in the background, and that look is long on its way.
        tokio::time::advance(FRESH_FOR * 2).await;
        *account.gate.lock().unwrap_or_else(PoisonError::into_inner) = Some(gate.clone());
        let before = account.asked();
        assert_eq!(apps.authenticate(APP, "old").await, Ok(true));
        while account.asked() == before {
            tokio::task::yield_now().await;
        }
        // Meanwhile the secret is revoked, and a signature with the new one makes the gateway look again.
        tokio::time::advance(Duration::from_millis(1)).await;
        account.rotate_to(vec!["new"]);
        assert_eq!(apps.authenticate(APP, "new").await, Ok(true));
        gate.notify_one();
        apps.tasks.tracker().close();
        apps.tasks.tracker().wait().await;
        let kept = apps.entries.get(&APP).await.and_then(|entry| entry.app.clone()).expect("kept");
        assert_eq!((kept.has_secret("new"), kept.has_secret("old")), (true, false));
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_cost_ten_looks_a_second_however_many_they_are() {
        let account = Account::with("right");
        let apps = directory(&account);
        assert_eq!(apps.authenticate(APP, "right").await, Ok(true));
        let before = account.asked();
        let guesses = join_all((0..100).map(|_| apps.authenticate(APP, "guess"))).await;
        assert!(guesses.into_iter().all(|guess| guess == Ok(false)));
        assert_eq!(account.asked() - before, 1, "those that come at once share one");
        let (before, start) = (account.asked(), Instant::now());
        while start.elapsed() < Duration::from_secs(1) {
            assert_eq!(apps.authenticate(APP, "guess").await, Ok(false));
        }
        assert!(account.asked() - before <= 12, "{}", account.asked() - before);
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_was_quiet_for_long_is_asked_about_once_however_many_come_at_once() {
        let account = Account::with("right");
        let apps = directory(&account);
        assert_eq!(apps.authenticate(APP, "right").await, Ok(true));
        tokio::time::advance(ASK_FIRST_AFTER + Duration::from_secs(1)).await;
        let before = account.asked();
        let answers = join_all((0..100).map(|_| apps.authenticate(APP, "right"))).await;
        assert!(answers.into_iter().all(|answer| answer == Ok(true)));
        assert_eq!(account.asked() - before, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn while_account_is_away_what_is_known_stays_good_and_what_is_not_is_an_open_question() {
        let account = Account::with("right");
        let apps = directory(&account);
        assert_eq!(apps.authenticate(APP, "right").await, Ok(true));
        assert_eq!(apps.authenticate(4711, "any").await, Ok(false));
        account.away.store(true, Ordering::Relaxed);
        tokio::time::advance(ASK_FIRST_AFTER + Duration::from_secs(1)).await;
        let before = account.asked();
        for _ in 0..100 {
            assert_eq!(apps.authenticate(APP, "right").await, Ok(true));
            assert!(apps.authenticate(APP, "perhaps new").await.is_err());
            assert!(apps.authenticate(4711, "any").await.is_err());
        }
        assert_eq!(account.asked() - before, 2, "one call for each app");
        account.away.store(false, Ordering::Relaxed);
        tokio::time::advance(ASK_AGAIN_AFTER * 2).await;
        assert_eq!(apps.authenticate(APP, "wrong").await, Ok(false));
    }
}

//! The apps' secrets as account knows them, kept for a moment so that checking a signature costs no call.
//!
//! An entry is fresh for one second; after that it is still used while a new one is fetched in the background, and for
//! up to ten minutes when account cannot be asked: an outage there must not make signatures "bad". What this module
//! never does is decide that an app does not exist without account having said so.

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
use moka::future::Cache;
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::upstream::could_not_tell;

/// How long an entry is used without asking again. A disabled app is refused, and a new secret accepted, this soon
/// after the first request that finds the entry stale.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// How long an entry is used when account cannot be asked.
const USABLE_FOR: Duration = Duration::from_secs(600);

/// A stale entry older than this is replaced before it is used (unless account cannot be asked): an app that nobody
/// called for a while may have been disabled in the meantime.
const ASK_FIRST_AFTER: Duration = Duration::from_secs(60);

/// An app, ready to check requests against.
struct App {
    credentials: Arc<AppCredentials>,
    secrets: Vec<secrecy::SecretString>,
}

struct Entry {
    /// `None`: account said that there is no such app.
    app: Option<Arc<App>>,
    loaded_at: Instant,
    refreshing: AtomicBool,
}

/// The directory of apps. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AppDirectory {
    account: AccountServiceClient,
    entries: Cache<i64, Arc<Entry>>,
    tasks: RequestTasks,
}

impl fmt::Debug for AppDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppDirectory").field("entries", &self.entries.entry_count()).finish_non_exhaustive()
    }
}

impl AppDirectory {
    pub(crate) fn new(account: AccountServiceClient, capacity: u64, tasks: RequestTasks) -> Self {
        Self { account, tasks, entries: Cache::builder().max_capacity(capacity).time_to_live(USABLE_FOR).build() }
    }

    /// Is this the secret of this app? For HTTP Basic; compared in constant time against every live secret.
    pub(crate) async fn authenticate(&self, app_id: i64, secret: &str) -> Result<bool, PublicError> {
        let Some(app) = self.app(app_id).await? else { return Ok(false) };
        let matches = app.secrets.iter().fold(subtle::Choice::from(0), |found, live| {
            found | secrecy::ExposeSecret::expose_secret(live).as_bytes().ct_eq(secret.as_bytes())
        });
        Ok(app.credentials.enabled && bool::from(matches))
    }

    async fn app(&self, app_id: i64) -> Result<Option<Arc<App>>, PublicError> {
        let Some(entry) = self.entries.get(&app_id).await else {
            let loaded = self.entries.try_get_with(app_id, self.load(app_id)).await;
            return loaded.map(|entry| entry.app.clone()).map_err(|error| PublicError::clone(&error));
        };
        let age = entry.loaded_at.elapsed();
        if age <= FRESH_FOR {
            return Ok(entry.app.clone());
        }
        if age > ASK_FIRST_AFTER || entry.app.is_none() {
            // Account said "no such app" a while ago, or the entry is old: ask, and fall back on what is known.
            return Ok(match self.load(app_id).await {
                Ok(loaded) => {
                    self.entries.insert(app_id, loaded.clone()).await;
                    loaded.app.clone()
                }
                Err(error) if entry.app.is_none() => return Err(error),
                Err(_) => entry.app.clone(),
            });
        }
        if !entry.refreshing.swap(true, Ordering::Relaxed) {
            self.refresh_in_background(app_id, entry.clone());
        }
        Ok(entry.app.clone())
    }

    fn refresh_in_background(&self, app_id: i64, entry: Arc<Entry>) {
        let directory = self.clone();
        self.tasks.spawn_in_context(async move {
            match directory.load(app_id).await {
                Ok(loaded) => directory.entries.insert(app_id, loaded).await,
                Err(_) => entry.refreshing.store(false, Ordering::Relaxed),
            }
        });
    }

    async fn load(&self, app_id: i64) -> Result<Arc<Entry>, PublicError> {
        let answer = self.account.get_app(GetAppRequest { app_id }).await.map_err(could_not_tell)?;
        Ok(Arc::new(Entry {
            app: answer.app.map(|info| Arc::new(App::from(info))),
            loaded_at: Instant::now(),
            refreshing: AtomicBool::new(false),
        }))
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
}

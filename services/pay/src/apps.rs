//! The apps as account knows them: where they are delivered to, and what signs.
//!
//! An answer is used for a moment, and for longer while account can't be asked: an outage there delays no delivery to a
//! game server that is known. What this module never says is that an app does not exist, without account having said so.

use std::{fmt, sync::Arc, time::Duration};

use common::{error_code::PublicError, rpc::CallError};
use futures_util::future::BoxFuture;
use idl::account::{AccountServiceClient, AppInfo, GetAppRequest};
use moka::sync::Cache;
use secrecy::SecretString;
use tokio::time::Instant;

/// How long an answer is used without asking again.
const FRESH_FOR: Duration = Duration::from_secs(1);

/// How long it is used when account can't be asked.
const USABLE_FOR: Duration = Duration::from_secs(600);

/// Apps that are remembered. Beyond it the least used are asked for again; protects memory against made-up ids.
const CAPACITY: u64 = 10_000;

/// Asks account.
pub type AskApp = Arc<dyn Fn(GetAppRequest) -> BoxFuture<'static, Result<Option<AppInfo>, PublicError>> + Send + Sync>;

/// An app.
#[derive(Debug)]
pub(crate) struct App {
    /// One or two, newest first.
    pub(crate) secrets: Vec<SecretString>,
    /// Where paid orders are told.
    pub(crate) delivery_url: Option<String>,
    /// Where refunds are told.
    pub(crate) refund_url: Option<String>,
}

#[derive(Clone)]
struct Entry {
    app: Option<Arc<App>>,
    asked_at: Instant,
    /// It was read from the database, not from account's memory.
    read_again: bool,
}

/// Every app. Cheap to clone.
#[derive(Clone)]
pub struct Apps {
    ask: AskApp,
    known: Cache<i64, Entry>,
}

impl Apps {
    /// As account knows them. The client's own limit says how long it is waited for.
    pub fn of_account(account: AccountServiceClient) -> Self {
        Self::asking(Arc::new(move |request| {
            let account = account.clone();
            Box::pin(async move {
                match account.get_app(request).await.map_err(CallError::from) {
                    Ok(answer) => Ok(answer.app),
                    Err(error) => Err(PublicError::from(error)),
                }
            })
        }))
    }

    /// As whoever is asked knows them.
    pub fn asking(ask: AskApp) -> Self {
        Self { ask, known: Cache::builder().max_capacity(CAPACITY).time_to_live(USABLE_FOR).build() }
    }

    /// The app; `None` when account says that there is none.
    pub(crate) async fn find(&self, app_id: i64) -> Result<Option<Arc<App>>, PublicError> {
        let known = self.known.get(&app_id);
        match known {
            Some(known) if known.asked_at.elapsed() <= FRESH_FOR => Ok(known.app),
            known => match self.look(app_id, false).await {
                Ok(app) => Ok(app),
                Err(error) => known.and_then(|known| known.app).map(Some).ok_or(error),
            },
        }
    }

    /// The same after something did not fit: account reads it again, unless it did a moment ago.
    pub(crate) async fn newest(&self, app_id: i64) -> Result<Option<Arc<App>>, PublicError> {
        match self.known.get(&app_id) {
            Some(known) if known.read_again && known.asked_at.elapsed() <= FRESH_FOR => Ok(known.app),
            _ => self.look(app_id, true).await,
        }
    }

    async fn look(&self, app_id: i64, read_again: bool) -> Result<Option<Arc<App>>, PublicError> {
        let asked_at = Instant::now();
        let answer = (self.ask)(GetAppRequest { app_id, read_again: read_again.then_some(true) }).await?;
        let app = answer.map(|app| {
            let secrets = app.secrets.iter().map(|secret| SecretString::from(secret.to_string())).collect();
            let url = |url: Option<pilota::FastStr>| url.map(|url| url.to_string());
            Arc::new(App { secrets, delivery_url: url(app.delivery_url), refund_url: url(app.refund_url) })
        });
        self.known.insert(app_id, Entry { app: app.clone(), asked_at, read_again });
        Ok(app)
    }
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apps").field("known", &self.known.entry_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Account {
        away: AtomicBool,
        asked: AtomicUsize,
    }

    fn apps() -> (Arc<Account>, Apps) {
        let account = Arc::new(Account::default());
        let asked = Arc::clone(&account);
        let apps = Apps::asking(Arc::new(move |request: GetAppRequest| {
            let account = Arc::clone(&asked);
            Box::pin(async move {
                account.asked.fetch_add(1, Ordering::Relaxed);
                if account.away.load(Ordering::Relaxed) {
                    return Err(PublicError::unavailable(Duration::from_secs(1)));
                }
                let secrets = vec!["secret".into()];
                Ok((request.app_id == 1).then(|| AppInfo { app_id: 1, secrets, ..AppInfo::default() }))
            })
        }));
        (account, apps)
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_is_known_stays_known_while_account_is_away_and_another_is_an_open_question() {
        let (account, apps) = apps();
        assert!(apps.find(1).await.expect("an answer").is_some());
        assert!(apps.find(2).await.expect("an answer").is_none());
        account.away.store(true, Ordering::Relaxed);
        tokio::time::advance(FRESH_FOR * 2).await;
        assert!(apps.find(1).await.expect("an answer").is_some());
        assert!(apps.find(2).await.is_err(), "it may have been made since");
        assert!(apps.find(3).await.is_err());
        assert!(apps.newest(1).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_cost_one_look_a_second() {
        let (account, apps) = apps();
        for _ in 0..100 {
            apps.newest(1).await.expect("an answer");
        }
        assert_eq!(account.asked.load(Ordering::Relaxed), 1);
    }
}

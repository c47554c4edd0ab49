//! The apps' secrets as account knows them, kept for a moment in a [`Directory`].

use std::{fmt, sync::Arc, time::Duration};

use common::{
    error_code::PublicError,
    http::{AppCredentials, AppSecrets, SigningKey},
    lifecycle::RequestTasks,
};
use futures_util::future::BoxFuture;
use idl::account::{AccountServiceClient, AppInfo, GetAppRequest};
use subtle::ConstantTimeEq;

use crate::{
    directory::{Ask, Directory, Question},
    upstream::{open_question, within},
};

/// An app, ready to check requests against.
struct App {
    credentials: Arc<AppCredentials>,
    secrets: Vec<secrecy::SecretString>,
}

/// The directory of apps. Cheap to clone.
#[derive(Clone)]
pub(crate) struct AppDirectory(Directory<i64, App>);

impl fmt::Debug for AppDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppDirectory").finish_non_exhaustive()
    }
}

impl AppDirectory {
    /// A directory of up to `capacity` apps that waits up to `patience` for account.
    pub(crate) fn new(account: AccountServiceClient, patience: Duration, capacity: u64, tasks: RequestTasks) -> Self {
        let ask: Ask<i64, App> = Arc::new(move |Question { key: app_id, read_again }| {
            let account = account.clone();
            Box::pin(async move {
                let request = GetAppRequest { app_id, read_again: read_again.then_some(true) };
                let answer = within(patience, account.get_app(request)).await;
                Ok(answer.map_err(open_question)?.app.map(App::from))
            })
        });
        Self(Directory::new(ask, capacity, tasks))
    }

    /// Is this the secret of this app? For HTTP Basic; compared in constant time against every live secret.
    pub(crate) async fn authenticate(&self, app_id: i64, secret: &str) -> Result<bool, PublicError> {
        let Some(app) = self.0.get(&app_id).await? else { return Ok(false) };
        if app.has_secret(secret) {
            return Ok(app.credentials.enabled);
        }
        let newest = self.0.after_a_mismatch(&app_id).await?;
        Ok(newest.is_some_and(|app| app.has_secret(secret) && app.credentials.enabled))
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
        Box::pin(async move { Ok(self.0.get(&app_id).await?.map(|app| app.credentials.clone())) })
    }

    fn secrets_after_a_mismatch(&self, app_id: i64) -> BoxFuture<'_, Result<Option<Arc<AppCredentials>>, PublicError>> {
        Box::pin(async move { Ok(self.0.after_a_mismatch(&app_id).await?.map(|app| app.credentials.clone())) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    use futures_util::future::join_all;
    use tokio::{sync::Notify, time::Instant};

    use super::*;
    use crate::directory::{ASK_AGAIN_AFTER, ASK_FIRST_AFTER, FRESH_FOR};

    const APP: i64 = 7;
    /// Apps there are, [`APP`] being the first.
    const APPS: i64 = 250;
    /// Apps that a directory has room for.
    const ROOM: u64 = 100;

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

        async fn answer(
            &self,
            Question { key: app_id, read_again }: Question<i64>,
        ) -> Result<Option<AppInfo>, PublicError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if self.away.load(Ordering::Relaxed) {
                return Err(PublicError::unavailable(Duration::from_secs(1)));
            }
            if read_again {
                self.remember();
            }
            let secrets = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(gate) = gate.filter(|_| !read_again) {
                gate.notified().await;
            }
            let secrets = secrets.into_iter().map(Into::into).collect();
            Ok((APP..APP + APPS).contains(&app_id).then(|| AppInfo {
                app_id,
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
        let ask: Ask<i64, App> = Arc::new(move |question| {
            let account = account.clone();
            Box::pin(async move { Ok(account.answer(question).await?.map(App::from)) })
        });
        AppDirectory(Directory::new(ask, ROOM, RequestTasks::default()))
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
        apps.0.settled().await;
        let kept = apps.0.kept(&APP).await.expect("kept");
        assert_eq!((kept.has_secret("new"), kept.has_secret("old")), (true, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_was_revoked_is_refused_as_soon_as_another_one_has_shown_it() {
        let account = Account::with("old");
        let apps = directory(&account);
        assert_eq!(apps.authenticate(APP, "old").await, Ok(true));
        account.rotate_to(vec!["new"]);
        assert_eq!(apps.authenticate(APP, "new").await, Ok(true));
        let before = account.asked();
        assert_eq!(apps.authenticate(APP, "new").await, Ok(true));
        assert_eq!(account.asked(), before, "the newer entry is the one that is found");
        assert_eq!(apps.authenticate(APP, "old").await, Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn more_apps_than_there_is_room_for_are_all_known() {
        let account = Account::with("right");
        let apps = directory(&account);
        for app_id in APP..APP + APPS {
            assert_eq!(apps.authenticate(app_id, "right").await, Ok(true), "{app_id}");
            assert!(apps.0.found_at_once() <= 100, "no more than there is room for");
        }
        for stranger in 0..APP {
            assert_eq!(apps.authenticate(stranger, "right").await, Ok(false), "{stranger}");
        }
        assert_eq!(apps.0.found_at_once(), 50, "strangers push nobody out");
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

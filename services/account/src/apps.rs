//! The apps, in memory: a sign-in reads them without asking the database.
//!
//! The whole table is kept: apps are few. It is read again every few seconds, and at once when somebody asks for an app
//! that is not there, so that a new app works from its first request. While the database is away the last known apps
//! stay good.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use common::sql::Database;
use tokio::sync::Mutex;

use crate::{
    domain::{
        app::{App, AppSecret},
        app_details::AppDetails,
        field::FieldError,
        ids::AppId,
        master_key::{Secret, Vault},
    },
    error::AccountError,
    store::{self, apps::StoredApp},
};

/// Every app this instance knows.
#[derive(Debug)]
pub(crate) struct Apps {
    store: store::apps::Apps,
    vault: Arc<Vault>,
    known: ArcSwap<HashMap<AppId, Arc<App>>>,
    /// How many reads have begun.
    begun: AtomicU64,
    /// Held while reading, so that one read runs at a time.
    last_read: Mutex<LastRead>,
}

/// How the last read that ended went.
#[derive(Debug)]
struct LastRead {
    number: u64,
    outcome: Result<(), AccountError>,
}

impl Apps {
    pub(crate) async fn load(database: Database, vault: Arc<Vault>) -> Result<Self, AccountError> {
        let apps = Self {
            store: store::apps::Apps::new(database),
            vault,
            known: ArcSwap::default(),
            begun: AtomicU64::new(0),
            last_read: Mutex::new(LastRead { number: 0, outcome: Ok(()) }),
        };
        apps.refresh().await?;
        Ok(apps)
    }

    /// The app that a player signs in to: it exists and is enabled.
    pub(crate) async fn enabled(&self, raw_id: i64) -> Result<Arc<App>, AccountError> {
        let id = AppId::parse(raw_id)?;
        let app = self.find(id).await?.ok_or(FieldError::new("app_id", "no such app"))?;
        if !app.enabled {
            return Err(AccountError::AppDisabled);
        }
        Ok(app)
    }

    /// The app; `None` when there certainly is none.
    pub(crate) async fn find(&self, id: AppId) -> Result<Option<Arc<App>>, AccountError> {
        if let Some(app) = self.known.load().get(&id) {
            return Ok(Some(Arc::clone(app)));
        }
        self.refresh().await?;
        Ok(self.known.load().get(&id).cloned())
    }

    /// Reads every app again. Callers that come while a read runs share the next one, whatever its outcome: a storm of
    /// unknown ids, or a database that does not answer, costs one read at a time.
    pub(crate) async fn refresh(&self) -> Result<(), AccountError> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last_read.lock().await;
        if last.number > begun_before {
            // It began after this call did, so it has seen everything this call could ask for.
            return last.outcome.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let outcome = self.read().await.map(|apps| self.known.store(Arc::new(apps)));
        *last = LastRead { number, outcome: outcome.clone() };
        outcome
    }

    async fn read(&self) -> Result<HashMap<AppId, Arc<App>>, AccountError> {
        let stored = self.store.all().await?;
        stored.into_iter().map(|app| Ok((app.details.app_id, Arc::new(self.unseal(app)?)))).collect()
    }

    fn unseal(&self, stored: StoredApp) -> Result<App, AccountError> {
        let StoredApp { details: AppDetails { app_id, name, enabled, policy, delivery_url, refund_url, .. }, secrets } =
            stored;
        let unseal_secret = |secret: &store::apps::SealedSecret| {
            let text = self.vault.open(Secret::AppSecret { app_id, version: secret.version }, &secret.sealed);
            let text = text.and_then(|text| String::from_utf8(text.to_vec()).ok());
            text.map(AppSecret::new).ok_or(AccountError::Damaged("an app secret"))
        };
        let secrets = secrets.iter().map(unseal_secret).collect::<Result<_, _>>()?;
        Ok(App { app_id, name, enabled, policy, delivery_url, refund_url, secrets })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::{domain::ids::AppId, testing::Service};

    common::on_each_database! {
        async fn a_storm_of_unknown_apps_shares_its_reads(database: TestDatabase) {
            let service = Service::start(database).await;
            let apps = &service.account.parts().apps;
            let before = apps.begun.load(Ordering::SeqCst);
            let turn = apps.last_read.lock().await;
            let mut waiting: Vec<_> =
                (5000..5100).map(|id| Box::pin(apps.find(AppId::parse(id).expect("in range")))).collect();
            for asked in &mut waiting {
                assert!(futures_util::poll!(asked.as_mut()).is_pending());
            }
            drop(turn);
            for asked in waiting {
                assert!(asked.await.expect("an answer").is_none());
            }
            assert_eq!(apps.begun.load(Ordering::SeqCst) - before, 1);
        }
    }
}

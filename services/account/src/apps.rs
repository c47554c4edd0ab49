//! The apps, in memory: a sign-in reads them without asking the database.
//!
//! The whole table is kept: apps are few. It is read again every few seconds, and at once when somebody asks for an app
//! that is not there, so that a new app works from its first request. While the database is away the last known apps
//! stay good.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use common::sql::Database;

use crate::{
    domain::{
        app::{App, AppSecret},
        app_details::AppDetails,
        field::FieldError,
        ids::AppId,
        master_key::{Secret, Vault},
    },
    error::AccountError,
    shared_read::SharedRead,
    store::{self, apps::StoredApp},
};

/// Every app this instance knows.
#[derive(Debug)]
pub(crate) struct Apps {
    store: store::apps::Apps,
    vault: Arc<Vault>,
    known: ArcSwap<HashMap<AppId, Arc<App>>>,
    reads: SharedRead,
}

impl Apps {
    pub(crate) async fn load(database: Database, vault: Arc<Vault>) -> Result<Self, AccountError> {
        let apps = Self {
            store: store::apps::Apps::new(database),
            vault,
            known: ArcSwap::default(),
            reads: SharedRead::default(),
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

    /// Reads every app again.
    pub(crate) async fn refresh(&self) -> Result<(), AccountError> {
        let read = async {
            self.known.store(Arc::new(self.read().await?));
            Ok(())
        };
        self.reads.run(read).await
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

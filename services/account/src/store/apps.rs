//! Apps and their sealed secrets.

use std::time::Duration;

use common::{
    clock::Timestamp,
    sql::{Database, SqlError, Text},
};

use super::app_id;
use crate::{
    domain::{app::Policy, ids::AppId},
    error::AccountError,
};

/// Apps are few and all of them are kept in memory; this many are far beyond any platform.
const MOST_APPS: i64 = 20_000;

/// The smallest app id that is given out by itself.
const FIRST_APP_ID: i64 = 1001;

/// Apps as they are stored.
#[derive(Clone, Debug)]
pub(crate) struct Apps {
    database: Database,
}

/// One app with its secrets still sealed.
#[derive(Clone, Debug)]
pub(crate) struct StoredApp {
    pub(crate) app_id: AppId,
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) policy: Policy,
    /// Newest first; never empty.
    pub(crate) secrets: Vec<SealedSecret>,
}

/// A secret under the master key.
#[derive(Clone, Debug)]
pub(crate) struct SealedSecret {
    pub(crate) version: i64,
    pub(crate) sealed: Vec<u8>,
}

/// Why an app was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotCreated {
    #[error("an app of this id exists")]
    Exists,
    #[error("there are {MOST_APPS} apps already")]
    TooMany,
    #[error(transparent)]
    Sql(#[from] SqlError),
}

impl Apps {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Every app, as of one moment.
    pub(crate) async fn all(&self) -> Result<Vec<StoredApp>, AccountError> {
        let rows: Vec<Row> = self
            .database
            .read(
                "SELECT a.app_id, a.name, a.enabled, a.password_login, a.device_login, a.access_ttl_ms, \
                 a.refresh_ttl_ms, s.version, s.sealed FROM account_apps AS a \
                 JOIN account_app_secrets AS s ON s.app_id = a.app_id ORDER BY a.app_id, s.version DESC",
            )
            .all()
            .await?;
        let mut apps: Vec<StoredApp> = Vec::new();
        for mut row in rows {
            let secret = SealedSecret { version: row.version, sealed: std::mem::take(&mut row.sealed) };
            match apps.last_mut() {
                Some(app) if app.app_id.get() == row.app_id => app.secrets.push(secret),
                _ => apps.push(row.into_app(secret)?),
            }
        }
        Ok(apps)
    }

    /// Whether there is any app.
    pub(crate) async fn any(&self) -> Result<bool, SqlError> {
        let one: Option<(i64,)> = self.database.read("SELECT app_id FROM account_apps LIMIT 1").optional().await?;
        Ok(one.is_some())
    }

    /// The next free id. Nothing reserves it: making an app of it may still find it taken.
    pub(crate) async fn next_id(&self) -> Result<i64, SqlError> {
        let (next,): (i64,) = self
            .database
            .read("SELECT COALESCE(MAX(app_id) + 1, ?) FROM account_apps WHERE app_id >= ?")
            .bind(FIRST_APP_ID)
            .bind(FIRST_APP_ID)
            .one()
            .await?;
        Ok(next)
    }

    /// Makes an app that allows every kind of sign-in, with its first secret.
    pub(crate) async fn create(
        &self,
        app_id: AppId,
        name: &str,
        secret: &SealedSecret,
        now: Timestamp,
    ) -> Result<(), NotCreated> {
        let mut tx = self.database.begin().await?;
        let (count,): (i64,) = tx.sql("SELECT COUNT(*) FROM account_apps").one().await?;
        if count >= MOST_APPS {
            return Err(NotCreated::TooMany);
        }
        let created = tx
            .sql(
                "INSERT INTO account_apps (app_id, name, enabled, password_login, device_login, created_at) \
                 VALUES (?, ?, ?, ?, ?, ?)",
            )
            .bind(app_id.get())
            .bind(name)
            .bind(true)
            .bind(true)
            .bind(true)
            .bind(now.as_millis())
            .execute()
            .await;
        match created {
            Err(SqlError::UniqueViolation { .. }) => return Err(NotCreated::Exists),
            created => created?,
        };
        tx.sql(INSERT_SECRET)
            .bind(app_id.get())
            .bind(secret.version)
            .bind(secret.sealed.as_slice())
            .bind(now.as_millis())
            .execute()
            .await?;
        Ok(tx.commit().await?)
    }

    /// Adds a secret of the next version, made by `seal`, and deletes all but it and the one before. `None`: there is
    /// no such app.
    pub(crate) async fn rotate_secret(
        &self,
        app_id: AppId,
        now: Timestamp,
        seal: impl Fn(i64) -> Vec<u8>,
    ) -> Result<Option<i64>, SqlError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let (newest,): (Option<i64>,) = tx
                    .sql("SELECT MAX(version) FROM account_app_secrets WHERE app_id = ?")
                    .bind(app_id.get())
                    .one()
                    .await?;
                let Some(newest) = newest else { return Ok(None) };
                let version = newest + 1;
                // Two rotations at once: the primary key lets one of them through.
                tx.sql(INSERT_SECRET)
                    .bind(app_id.get())
                    .bind(version)
                    .bind(seal(version))
                    .bind(now.as_millis())
                    .execute()
                    .await?;
                tx.sql("DELETE FROM account_app_secrets WHERE app_id = ? AND version < ?")
                    .bind(app_id.get())
                    .bind(newest)
                    .execute()
                    .await?;
                tx.commit().await?;
                Ok(Some(version))
            })
            .await
    }
}

const INSERT_SECRET: &str = "INSERT INTO account_app_secrets (app_id, version, sealed, created_at) VALUES (?, ?, ?, ?)";

#[derive(sqlx::FromRow)]
struct Row {
    app_id: i64,
    name: Text,
    enabled: bool,
    password_login: bool,
    device_login: bool,
    access_ttl_ms: Option<i64>,
    refresh_ttl_ms: Option<i64>,
    version: i64,
    sealed: Vec<u8>,
}

impl Row {
    fn into_app(self, secret: SealedSecret) -> Result<StoredApp, AccountError> {
        Ok(StoredApp {
            app_id: app_id(self.app_id)?,
            name: self.name.into(),
            enabled: self.enabled,
            policy: Policy {
                password_login: self.password_login,
                device_login: self.device_login,
                access_ttl: lifetime(self.access_ttl_ms)?,
                refresh_ttl: lifetime(self.refresh_ttl_ms)?,
            },
            secrets: vec![secret],
        })
    }
}

fn lifetime(millis: Option<i64>) -> Result<Option<Duration>, AccountError> {
    let millis = millis.map(u64::try_from).transpose().map_err(|_| AccountError::Damaged("a lifetime"))?;
    Ok(millis.map(Duration::from_millis))
}

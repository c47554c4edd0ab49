//! Apps and their sealed secrets.

use std::{collections::BTreeSet, time::Duration};

use common::{
    clock::Timestamp,
    sql::{Database, Sql, SqlError, Text, Tx},
};

use super::{app_id, at};
use crate::{
    domain::{
        app_details::AppDetails,
        ids::AppId,
        policy::{AppPolicy, LoginKind},
    },
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
    pub(crate) details: AppDetails,
    /// Newest first; never empty.
    pub(crate) secrets: Vec<SealedSecret>,
}

/// A secret under the master key.
#[derive(Clone, Debug)]
pub(crate) struct SealedSecret {
    pub(crate) version: i64,
    pub(crate) sealed: Vec<u8>,
}

/// The columns of [`AppRow`], of a table that is called `a`.
macro_rules! app_columns {
    () => {
        "a.app_id, a.name, a.enabled, a.delivery_url, a.refund_url, a.password_login, a.device_login, a.phone_login, \
         a.channel_login, a.registration_open, a.id_token, a.access_ttl_ms, a.refresh_ttl_ms, \
         a.refresh_absolute_ttl_ms, a.device_limits, a.created_at"
    };
}

impl Apps {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Every app, as of one moment.
    pub(crate) async fn all(&self) -> Result<Vec<StoredApp>, AccountError> {
        let rows: Vec<RowWithSecret> = self
            .database
            .read(concat!(
                "SELECT ",
                app_columns!(),
                ", s.version, s.sealed FROM account_apps AS a \
                 JOIN account_app_secrets AS s ON s.app_id = a.app_id ORDER BY a.app_id, s.version DESC"
            ))
            .all()
            .await?;
        let mut apps: Vec<StoredApp> = Vec::new();
        for RowWithSecret { app: row, version, sealed } in rows {
            let secret = SealedSecret { version, sealed };
            match apps.last_mut() {
                Some(app) if app.details.app_id.get() == row.app_id => app.secrets.push(secret),
                _ => apps.push(StoredApp { details: row.try_into()?, secrets: vec![secret] }),
            }
        }
        Ok(apps)
    }

    /// The app; `None` when there is none.
    pub(crate) async fn find(&self, app_id: AppId) -> Result<Option<AppDetails>, AccountError> {
        let row: Option<AppRow> = self
            .database
            .read(concat!("SELECT ", app_columns!(), " FROM account_apps AS a WHERE a.app_id = ?"))
            .bind(app_id.get())
            .optional()
            .await?;
        row.map(AppDetails::try_from).transpose()
    }

    /// At most `limit` apps with ids above `after`, by id.
    pub(crate) async fn page(&self, after: i64, limit: u32) -> Result<Vec<AppDetails>, AccountError> {
        let rows: Vec<AppRow> = self
            .database
            .read(concat!(
                "SELECT ",
                app_columns!(),
                " FROM account_apps AS a WHERE a.app_id > ? ORDER BY a.app_id LIMIT ?"
            ))
            .bind(after)
            .bind(i64::from(limit))
            .all()
            .await?;
        rows.into_iter().map(AppDetails::try_from).collect()
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
}

/// Makes an app with its first secret.
pub(crate) async fn insert(tx: &mut Tx, app: &AppDetails, secret: &SealedSecret) -> Result<(), AccountError> {
    let (count,): (i64,) = tx.sql("SELECT COUNT(*) FROM account_apps").one().await?;
    if count >= MOST_APPS {
        return Err(AccountError::TooManyApps);
    }
    let inserted = tx
        .sql(
            "INSERT INTO account_apps (name, enabled, delivery_url, refund_url, password_login, device_login, phone_login, \
             channel_login, registration_open, id_token, access_ttl_ms, refresh_ttl_ms, refresh_absolute_ttl_ms, \
             device_limits, app_id, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(app.name.as_str())
        .bind(app.enabled)
        .bind(app.delivery_url.as_deref())
        .bind(app.refund_url.as_deref())
        .bind(app.policy.login_kinds.contains(&LoginKind::Password))
        .bind(app.policy.login_kinds.contains(&LoginKind::Device))
        .bind(app.policy.login_kinds.contains(&LoginKind::Phone))
        .bind(app.policy.login_kinds.contains(&LoginKind::Channel))
        .bind(app.policy.registration_open)
        .bind(app.policy.id_token)
        .bind(millis(app.policy.access_ttl))
        .bind(millis(app.policy.refresh_ttl))
        .bind(millis(app.policy.refresh_absolute_ttl))
        .bind(device_limits_json(&app.policy))
        .bind(app.app_id.get())
        .bind(app.created_at.as_millis())
        .execute()
        .await;
    match inserted {
        Err(SqlError::UniqueViolation { .. }) => return Err(AccountError::AppIdTaken),
        inserted => inserted?,
    };
    Ok(insert_secret(tx, app.app_id, secret, app.created_at).await?)
}

/// The app, for a transaction that is to change it: nobody else changes it meanwhile.
pub(crate) async fn find_to_change(tx: &mut Tx, app_id: AppId) -> Result<Option<AppDetails>, AccountError> {
    let statement = Sql::Each {
        mysql: concat!("SELECT ", app_columns!(), " FROM account_apps AS a WHERE a.app_id = ? FOR UPDATE"),
        sqlite: concat!("SELECT ", app_columns!(), " FROM account_apps AS a WHERE a.app_id = ?"),
    };
    let row: Option<AppRow> = tx.sql(statement).bind(app_id.get()).optional().await?;
    row.map(AppDetails::try_from).transpose()
}

/// Writes everything about an app that can change.
pub(crate) async fn update(tx: &mut Tx, app: &AppDetails) -> Result<(), SqlError> {
    tx.sql(
        "UPDATE account_apps SET name = ?, enabled = ?, delivery_url = ?, refund_url = ?, password_login = ?, device_login = ?, \
         phone_login = ?, channel_login = ?, registration_open = ?, id_token = ?, access_ttl_ms = ?, \
         refresh_ttl_ms = ?, refresh_absolute_ttl_ms = ?, device_limits = ? WHERE app_id = ?",
    )
    .bind(app.name.as_str())
    .bind(app.enabled)
    .bind(app.delivery_url.as_deref())
        .bind(app.refund_url.as_deref())
    .bind(app.policy.login_kinds.contains(&LoginKind::Password))
    .bind(app.policy.login_kinds.contains(&LoginKind::Device))
    .bind(app.policy.login_kinds.contains(&LoginKind::Phone))
    .bind(app.policy.login_kinds.contains(&LoginKind::Channel))
    .bind(app.policy.registration_open)
    .bind(app.policy.id_token)
    .bind(millis(app.policy.access_ttl))
    .bind(millis(app.policy.refresh_ttl))
    .bind(millis(app.policy.refresh_absolute_ttl))
    .bind(device_limits_json(&app.policy))
    .bind(app.app_id.get())
    .execute()
    .await
    .map(drop)
}

/// Adds a secret of the next version, made by `seal`, and deletes all but it and the one before. Answers the version;
/// `None`: there is no such app.
pub(crate) async fn rotate_secret(
    tx: &mut Tx,
    app_id: AppId,
    now: Timestamp,
    seal: impl FnOnce(i64) -> Vec<u8>,
) -> Result<Option<i64>, SqlError> {
    let (newest,): (Option<i64>,) =
        tx.sql("SELECT MAX(version) FROM account_app_secrets WHERE app_id = ?").bind(app_id.get()).one().await?;
    let Some(newest) = newest else { return Ok(None) };
    let version = newest + 1;
    // Two rotations at once: the primary key lets one of them through.
    insert_secret(tx, app_id, &SealedSecret { version, sealed: seal(version) }, now).await?;
    tx.sql("DELETE FROM account_app_secrets WHERE app_id = ? AND version < ?")
        .bind(app_id.get())
        .bind(newest)
        .execute()
        .await?;
    Ok(Some(version))
}

async fn insert_secret(tx: &mut Tx, app_id: AppId, secret: &SealedSecret, now: Timestamp) -> Result<(), SqlError> {
    tx.sql("INSERT INTO account_app_secrets (app_id, version, sealed, created_at) VALUES (?, ?, ?, ?)")
        .bind(app_id.get())
        .bind(secret.version)
        .bind(secret.sealed.as_slice())
        .bind(now.as_millis())
        .execute()
        .await
        .map(drop)
}

#[derive(sqlx::FromRow)]
struct AppRow {
    app_id: i64,
    name: Text,
    enabled: bool,
    delivery_url: Option<Text>,
    refund_url: Option<Text>,
    password_login: bool,
    device_login: bool,
    phone_login: bool,
    channel_login: bool,
    registration_open: bool,
    id_token: bool,
    access_ttl_ms: Option<i64>,
    refresh_ttl_ms: Option<i64>,
    refresh_absolute_ttl_ms: Option<i64>,
    device_limits: Option<Text>,
    created_at: i64,
}

#[derive(sqlx::FromRow)]
struct RowWithSecret {
    #[sqlx(flatten)]
    app: AppRow,
    version: i64,
    sealed: Vec<u8>,
}

impl AppRow {
    fn login_kinds(&self) -> BTreeSet<LoginKind> {
        let allowed = [
            (LoginKind::Password, self.password_login),
            (LoginKind::Device, self.device_login),
            (LoginKind::Phone, self.phone_login),
            (LoginKind::Channel, self.channel_login),
        ];
        allowed.into_iter().filter(|(_, allowed)| *allowed).map(|(kind, _)| kind).collect()
    }
}

impl TryFrom<AppRow> for AppDetails {
    type Error = AccountError;

    fn try_from(row: AppRow) -> Result<Self, AccountError> {
        let devices = row.device_limits.as_deref().map(serde_json::from_str).transpose();
        let policy = AppPolicy {
            login_kinds: row.login_kinds(),
            registration_open: row.registration_open,
            id_token: row.id_token,
            access_ttl: lifetime(row.access_ttl_ms)?,
            refresh_ttl: lifetime(row.refresh_ttl_ms)?,
            refresh_absolute_ttl: lifetime(row.refresh_absolute_ttl_ms)?,
            devices: devices.map_err(|_| AccountError::Damaged("device_limits"))?.unwrap_or_default(),
        };
        Ok(Self {
            app_id: app_id(row.app_id)?,
            name: row.name.into(),
            enabled: row.enabled,
            delivery_url: row.delivery_url.map(String::from),
            refund_url: row.refund_url.map(String::from),
            policy,
            created_at: at(row.created_at),
        })
    }
}

fn lifetime(millis: Option<i64>) -> Result<Option<Duration>, AccountError> {
    let millis = millis.map(u64::try_from).transpose().map_err(|_| AccountError::Damaged("a lifetime"))?;
    Ok(millis.map(Duration::from_millis))
}

fn millis(lifetime: Option<Duration>) -> Option<i64> {
    lifetime.map(|lifetime| i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX))
}

/// `None` without limits. A map of classes always serialises.
fn device_limits_json(policy: &AppPolicy) -> Option<String> {
    let limits = (!policy.devices.is_empty()).then_some(&policy.devices);
    limits.map(|limits| serde_json::to_string(limits).unwrap_or_default())
}

//! What owners, operators and the risk rules read of sessions.

use common::{clock::Timestamp, sql::Text};

use super::{Sessions, device_class};
use crate::{
    domain::{
        device::DeviceId,
        device_class::DeviceClass,
        ids::{AccountId, AppId, SessionId},
    },
    error::AccountError,
    store::{account_id, app_id, at, session_batches::is_live, session_id},
};

/// A live session as its owner and operators see it.
#[derive(Clone, Debug)]
pub(crate) struct ListedSession {
    pub(crate) session_id: SessionId,
    pub(crate) app_id: AppId,
    pub(crate) device_id: Option<String>,
    pub(crate) device_class: DeviceClass,
    pub(crate) channel: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// The columns of [`ListedRow`].
macro_rules! listed_columns {
    () => {
        "session_id, app_id, device_id, device_class, channel, address, created_at, last_seen_at, refresh_expires_at"
    };
}

impl Sessions {
    /// Why a session was ended before its time; `None` if it was not, or is not known any more.
    pub(crate) async fn revoke_reason(&self, id: SessionId) -> Result<Option<String>, AccountError> {
        let row: Option<(Option<Text>,)> = self
            .database
            .read("SELECT revoke_reason FROM account_sessions WHERE session_id = ?")
            .bind(id.as_bytes().as_slice())
            .optional()
            .await?;
        Ok(row.and_then(|(reason,)| reason).map(String::from))
    }

    /// Whose session it is; `None` if it is not known any more, or never was.
    pub(crate) async fn owner(&self, id: SessionId) -> Result<Option<AccountId>, AccountError> {
        let row: Option<(i64,)> = self
            .database
            .read("SELECT account_id FROM account_sessions WHERE session_id = ?")
            .bind(id.as_bytes().as_slice())
            .optional()
            .await?;
        row.map(|(owner,)| account_id(owner)).transpose()
    }

    /// Whether the device has signed in to the account before, as far back as sessions are kept. Without an account the
    /// same question is asked, in vain, so that the time taken does not tell which usernames exist.
    pub(crate) async fn knows_device(
        &self,
        account_id: Option<AccountId>,
        device_id: &DeviceId,
    ) -> Result<bool, AccountError> {
        let row: Option<(i64,)> = self
            .database
            .read("SELECT account_id FROM account_sessions WHERE account_id = ? AND device_id = ? LIMIT 1")
            .bind(account_id.map_or(0, AccountId::get))
            .bind(device_id.as_str())
            .optional()
            .await?;
        Ok(row.is_some())
    }

    /// The devices that the account knows, the latest used first, at most `limit`.
    pub(crate) async fn known_devices(&self, account_id: AccountId, limit: u32) -> Result<Vec<String>, AccountError> {
        let rows: Vec<(Text,)> = self
            .database
            .read(
                "SELECT device_id FROM account_sessions WHERE account_id = ? AND device_id IS NOT NULL \
                 GROUP BY device_id ORDER BY MAX(last_seen_at) DESC LIMIT ?",
            )
            .bind(account_id.get())
            .bind(i64::from(limit))
            .all()
            .await?;
        Ok(rows.into_iter().map(|(device_id,)| device_id.into()).collect())
    }

    /// The live sessions of an account in an app, the latest first, at most `limit`.
    pub(crate) async fn live(
        &self,
        account_id: AccountId,
        app_id: AppId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ListedSession>, AccountError> {
        let rows: Vec<ListedRow> = self
            .database
            .read(concat!(
                "SELECT ",
                listed_columns!(),
                " FROM account_sessions WHERE account_id = ? AND app_id = ? AND ",
                is_live!(),
                " ORDER BY last_seen_at DESC LIMIT ?"
            ))
            .bind(account_id.get())
            .bind(app_id.get())
            .bind(now.as_millis())
            .bind(i64::from(limit))
            .all()
            .await?;
        rows.into_iter().map(ListedSession::try_from).collect()
    }

    /// The live sessions of an account in every app, the latest first, at most `limit`.
    pub(crate) async fn live_in_every_app(
        &self,
        account_id: AccountId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ListedSession>, AccountError> {
        let rows: Vec<ListedRow> = self
            .database
            .read(concat!(
                "SELECT ",
                listed_columns!(),
                " FROM account_sessions WHERE account_id = ? AND ",
                is_live!(),
                " ORDER BY last_seen_at DESC LIMIT ?"
            ))
            .bind(account_id.get())
            .bind(now.as_millis())
            .bind(i64::from(limit))
            .all()
            .await?;
        rows.into_iter().map(ListedSession::try_from).collect()
    }
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    session_id: Vec<u8>,
    app_id: i64,
    device_id: Option<Text>,
    device_class: Option<Text>,
    channel: Option<Text>,
    address: Option<Text>,
    created_at: i64,
    last_seen_at: i64,
    refresh_expires_at: i64,
}

impl TryFrom<ListedRow> for ListedSession {
    type Error = AccountError;

    fn try_from(row: ListedRow) -> Result<Self, AccountError> {
        Ok(Self {
            session_id: session_id(&row.session_id)?,
            app_id: app_id(row.app_id)?,
            device_id: row.device_id.map(String::from),
            device_class: device_class(row.device_class),
            channel: row.channel.map(String::from),
            address: row.address.map(String::from),
            created_at: at(row.created_at),
            last_seen_at: at(row.last_seen_at),
            expires_at: at(row.refresh_expires_at),
        })
    }
}

//! What happened to accounts: added in batches, read in pages, newest first.

use common::{
    clock::Timestamp,
    sql::{Database, Sql, SqlError, Text, Tx},
};

use super::{app_id, at, bytes, session_id};
use crate::{
    domain::{
        history::{Event, EventId},
        ids::{AccountId, AppId, SessionId},
    },
    error::AccountError,
};

/// The history of accounts.
#[derive(Clone, Debug)]
pub(crate) struct Histories {
    database: Database,
}

/// An event that was written down.
#[derive(Clone, Debug)]
pub(crate) struct StoredEvent {
    pub(crate) id: EventId,
    pub(crate) at: Timestamp,
    pub(crate) kind: String,
    pub(crate) app_id: Option<AppId>,
    pub(crate) session_id: Option<SessionId>,
    pub(crate) device_id: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) request_id: Option<String>,
}

/// Forgets what an account's history tells of its player, and keeps what happened when.
pub(super) async fn anonymise(tx: &mut Tx, account: AccountId) -> Result<(), SqlError> {
    tx.sql("UPDATE account_history SET device_id = NULL, address = NULL WHERE account_id = ?")
        .bind(account.get())
        .execute()
        .await
        .map(drop)
}

impl Histories {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Adds events, all or none. One that is there is a unique violation.
    pub(crate) async fn append(&self, events: &[&Event]) -> Result<(), SqlError> {
        let before = "INSERT INTO account_history (event_id, account_id, at, kind, app_id, session_id, device_id, \
                      address, reason, request_id) VALUES ";
        let row = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let attempt = || async {
            let mut statement = self.database.write(Sql::repeated(before, row, events.len(), ""));
            for event in events {
                let happening = &event.happening;
                statement = statement
                    .bind(event.id.as_bytes())
                    .bind(happening.account_id.get())
                    .bind(event.at.as_millis())
                    .bind(happening.kind.as_str())
                    .bind(happening.app_id.map(AppId::get))
                    .bind(happening.session_id.as_ref().map(|id| id.as_bytes().as_slice()))
                    .bind(happening.device_id.as_deref())
                    .bind(happening.address.as_deref())
                    .bind(happening.reason.as_deref())
                    .bind(event.request_id.as_deref());
            }
            statement.execute().await.map(drop)
        };
        self.database.retrying(attempt).await
    }

    /// At most `limit` events of an account older than `before`, newest first.
    pub(crate) async fn older_than(
        &self,
        account: AccountId,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, AccountError> {
        let before = before.unwrap_or(EventId::from_bytes([0xff; 16]));
        let rows: Vec<Row> = self
            .database
            .read(
                "SELECT event_id, at, kind, app_id, session_id, device_id, address, reason, request_id \
                 FROM account_history WHERE account_id = ? AND event_id < ? ORDER BY event_id DESC LIMIT ?",
            )
            .bind(account.get())
            .bind(before.as_bytes())
            .bind(i64::from(limit))
            .all()
            .await?;
        rows.into_iter().map(StoredEvent::try_from).collect()
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    event_id: Vec<u8>,
    at: i64,
    kind: Text,
    app_id: Option<i64>,
    session_id: Option<Vec<u8>>,
    device_id: Option<Text>,
    address: Option<Text>,
    reason: Option<Text>,
    request_id: Option<Text>,
}

impl TryFrom<Row> for StoredEvent {
    type Error = AccountError;

    fn try_from(row: Row) -> Result<Self, AccountError> {
        Ok(Self {
            id: EventId::from_bytes(bytes(&row.event_id, "event_id")?),
            at: at(row.at),
            kind: row.kind.into(),
            app_id: row.app_id.map(app_id).transpose()?,
            session_id: row.session_id.as_deref().map(session_id).transpose()?,
            device_id: row.device_id.map(String::from),
            address: row.address.map(String::from),
            reason: row.reason.map(String::from),
            request_id: row.request_id.map(String::from),
        })
    }
}

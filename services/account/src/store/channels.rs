//! The documents of channels, sealed.

use common::{
    clock::Timestamp,
    sql::{Database, SqlError, Text, Tx},
};

use super::{app_id, at};
use crate::{
    domain::{channel::identity::ChannelName, ids::AppId},
    error::AccountError,
};

/// The documents of every app.
#[derive(Clone, Debug)]
pub(crate) struct Channels {
    database: Database,
}

/// A document as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct StoredChannel {
    pub(crate) channel: ChannelName,
    pub(crate) version: i64,
    pub(crate) sealed: Vec<u8>,
    pub(crate) updated_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct Row {
    channel: Text,
    version: i64,
    sealed: Vec<u8>,
    updated_at: i64,
}

impl Channels {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Which documents there are, in which version.
    pub(crate) async fn versions(&self) -> Result<Vec<(AppId, ChannelName, i64)>, AccountError> {
        let rows: Vec<(i64, Text, i64)> =
            self.database.read("SELECT app_id, channel, version FROM account_channels").all().await?;
        rows.into_iter().map(|(id, channel, version)| Ok((app_id(id)?, name(channel)?, version))).collect()
    }

    /// One document; `None` when there is none.
    pub(crate) async fn find(
        &self,
        app_id: AppId,
        channel: &ChannelName,
    ) -> Result<Option<StoredChannel>, AccountError> {
        let row: Option<Row> = self
            .database
            .read("SELECT channel, version, sealed, updated_at FROM account_channels WHERE app_id = ? AND channel = ?")
            .bind(app_id.get())
            .bind(channel.as_str())
            .optional()
            .await?;
        row.map(StoredChannel::try_from).transpose()
    }

    /// The documents of an app, by name. There are as many as one app may have.
    pub(crate) async fn of_app(&self, app_id: AppId) -> Result<Vec<StoredChannel>, AccountError> {
        let rows: Vec<Row> = self
            .database
            .read("SELECT channel, version, sealed, updated_at FROM account_channels WHERE app_id = ? ORDER BY channel")
            .bind(app_id.get())
            .all()
            .await?;
        rows.into_iter().map(StoredChannel::try_from).collect()
    }
}

/// The documents of an app, for a transaction that has locked the app and is to change one of them.
pub(crate) async fn find_to_change(tx: &mut Tx, app_id: AppId) -> Result<Vec<StoredChannel>, AccountError> {
    let rows: Vec<Row> = tx
        .sql("SELECT channel, version, sealed, updated_at FROM account_channels WHERE app_id = ?")
        .bind(app_id.get())
        .all()
        .await?;
    rows.into_iter().map(StoredChannel::try_from).collect()
}

/// Writes a document, the first one of its channel or over the one before.
pub(crate) async fn write(tx: &mut Tx, app_id: AppId, document: &StoredChannel) -> Result<(), SqlError> {
    let replaced = tx
        .sql("UPDATE account_channels SET version = ?, sealed = ?, updated_at = ? WHERE app_id = ? AND channel = ?")
        .bind(document.version)
        .bind(document.sealed.as_slice())
        .bind(document.updated_at.as_millis())
        .bind(app_id.get())
        .bind(document.channel.as_str())
        .execute()
        .await?;
    if replaced > 0 {
        return Ok(());
    }
    tx.sql("INSERT INTO account_channels (app_id, channel, version, sealed, updated_at) VALUES (?, ?, ?, ?, ?)")
        .bind(app_id.get())
        .bind(document.channel.as_str())
        .bind(document.version)
        .bind(document.sealed.as_slice())
        .bind(document.updated_at.as_millis())
        .execute()
        .await
        .map(drop)
}

fn name(stored: Text) -> Result<ChannelName, AccountError> {
    ChannelName::parse(&String::from(stored)).map_err(|_| AccountError::Damaged("account_channels.channel"))
}

impl TryFrom<Row> for StoredChannel {
    type Error = AccountError;

    fn try_from(row: Row) -> Result<Self, AccountError> {
        let (channel, updated_at) = (name(row.channel)?, at(row.updated_at));
        Ok(Self { channel, version: row.version, sealed: row.sealed, updated_at })
    }
}

//! The audit: written in the transaction of what it records, read by operators.

use common::{
    clock::Timestamp,
    sql::{Database, SqlError, Text, Tx},
};

use super::at;
use crate::{
    domain::audit::{AuditRecord, Details, Target},
    error::AccountError,
};

/// The audit as operators read it.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    database: Database,
}

/// A record that was written.
#[derive(Clone, Debug)]
pub(crate) struct StoredRecord {
    /// Counts up.
    pub(crate) id: i64,
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) target_kind: String,
    pub(crate) target_id: String,
    pub(crate) request_id: Option<String>,
    /// A JSON object.
    pub(crate) details: String,
}

/// Writes a record. It is there if and only if what the transaction changes is.
pub(crate) async fn append(tx: &mut Tx, record: &AuditRecord, now: Timestamp) -> Result<(), SqlError> {
    tx.sql(
        "INSERT INTO account_audit (at, actor, action, target_kind, target_id, request_id, details) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(now.as_millis())
    .bind(record.actor.as_str())
    .bind(record.action.as_str())
    .bind(record.target.kind())
    .bind(record.target.id())
    .bind(record.request_id.as_deref())
    .bind(record.details.to_json())
    .execute()
    .await
    .map(drop)
}

impl Audit {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Writes a record of what was changed elsewhere.
    pub(crate) async fn record(&self, record: &AuditRecord, now: Timestamp) -> Result<(), AccountError> {
        let mut tx = self.database.begin().await?;
        append(&mut tx, record, now).await?;
        Ok(tx.commit().await?)
    }

    /// Writes a record of what `change` does elsewhere, with the details it answers. Nothing is changed while no record can
    /// be written, and nothing is recorded when the change fails. If the very commit fails there is a change without a
    /// record: it must be one that may be repeated.
    pub(crate) async fn record_with(
        &self,
        mut record: AuditRecord,
        now: Timestamp,
        change: impl Future<Output = Result<Details, AccountError>> + Send,
    ) -> Result<(), AccountError> {
        let mut tx = self.database.begin().await?;
        record.details = change.await?;
        append(&mut tx, &record, now).await?;
        Ok(tx.commit().await?)
    }

    /// At most `limit` records older than `before`, newest first.
    pub(crate) async fn older_than(&self, before: i64, limit: u32) -> Result<Vec<StoredRecord>, AccountError> {
        let rows: Vec<Row> = self
            .database
            .read(
                "SELECT id, at, actor, action, target_kind, target_id, request_id, details FROM account_audit \
                 WHERE id < ? ORDER BY id DESC LIMIT ?",
            )
            .bind(before)
            .bind(i64::from(limit))
            .all()
            .await?;
        Ok(rows.into_iter().map(StoredRecord::from).collect())
    }

    /// The same of one target.
    pub(crate) async fn of_target_older_than(
        &self,
        target: &Target,
        before: i64,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, AccountError> {
        let rows: Vec<Row> = self
            .database
            .read(
                "SELECT id, at, actor, action, target_kind, target_id, request_id, details FROM account_audit \
                 WHERE target_kind = ? AND target_id = ? AND id < ? ORDER BY id DESC LIMIT ?",
            )
            .bind(target.kind())
            .bind(target.id())
            .bind(before)
            .bind(i64::from(limit))
            .all()
            .await?;
        Ok(rows.into_iter().map(StoredRecord::from).collect())
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    id: i64,
    at: i64,
    actor: Text,
    action: Text,
    target_kind: Text,
    target_id: Text,
    request_id: Option<Text>,
    details: Text,
}

impl From<Row> for StoredRecord {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            at: at(row.at),
            actor: row.actor.into(),
            action: row.action.into(),
            target_kind: row.target_kind.into(),
            target_id: row.target_id.into(),
            request_id: row.request_id.map(String::from),
            details: row.details.into(),
        }
    }
}

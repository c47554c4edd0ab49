//! Deleting what no longer matters, in batches.

use common::{
    clock::Timestamp,
    sql::{SqlError, Tx},
};

/// Deletes at most `batch` revocations that nobody needs at `now` any more.
pub(crate) async fn revocations(tx: &mut Tx, now: Timestamp, batch: u32) -> Result<u64, SqlError> {
    // The derived table, because MySQL takes no LIMIT directly inside IN.
    delete(
        tx,
        "DELETE FROM account_revocations WHERE sequence IN (SELECT sequence FROM \
         (SELECT sequence FROM account_revocations WHERE expires_at <= ? ORDER BY expires_at LIMIT ?) AS expired)",
        now,
        batch,
    )
    .await
}

/// Deletes at most `batch` sessions that had ended by `ended_before` without being used again.
pub(crate) async fn sessions(tx: &mut Tx, ended_before: Timestamp, batch: u32) -> Result<u64, SqlError> {
    delete(
        tx,
        "DELETE FROM account_sessions WHERE session_id IN (SELECT session_id FROM \
         (SELECT session_id FROM account_sessions WHERE refresh_expires_at <= ? \
         ORDER BY refresh_expires_at LIMIT ?) AS expired)",
        ended_before,
        batch,
    )
    .await
}

/// Deletes at most `batch` phone codes that have expired. Where nobody may ask for another one yet that is known from
/// them: the configuration keeps codes alive for longer than that.
pub(crate) async fn phone_codes(tx: &mut Tx, now: Timestamp, batch: u32) -> Result<u64, SqlError> {
    delete(
        tx,
        "DELETE FROM account_phone_codes WHERE expires_at <= ? AND (phone, app_id, scene) IN \
         (SELECT phone, app_id, scene FROM (SELECT phone, app_id, scene, expires_at FROM account_phone_codes \
         ORDER BY expires_at LIMIT ?) AS oldest)",
        now,
        batch,
    )
    .await
}

async fn delete(tx: &mut Tx, statement: &'static str, before: Timestamp, batch: u32) -> Result<u64, SqlError> {
    tx.sql(statement).bind(before.as_millis()).bind(i64::from(batch)).execute().await
}

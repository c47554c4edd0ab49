//! Authentic callbacks as they came: `pay_callbacks`.

use aws_lc_rs::digest::{SHA256, digest};
use common::{
    clock::Timestamp,
    sql::{Sql, SqlError, Tx},
};

use crate::domain::OrderId;

const INSERT: Sql = Sql::Each {
    mysql: "INSERT IGNORE INTO pay_callbacks (order_id, digest, channel, app_id, verdict, headers, body, received_at) \
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    sqlite: "INSERT OR IGNORE INTO pay_callbacks \
             (order_id, digest, channel, app_id, verdict, headers, body, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
};

/// A callback exactly as it came, beside what its channel says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence<'a> {
    pub(crate) channel: &'a str,
    pub(crate) app_id: i64,
    /// A JSON list of pairs.
    pub(crate) headers: &'a str,
    /// The raw body; of a callback without one, its query.
    pub(crate) body: &'a [u8],
}

/// Keeps it; `false`: this very body is kept already.
pub(crate) async fn keep(
    tx: &mut Tx,
    order_id: OrderId,
    evidence: Evidence<'_>,
    verdict: &str,
    now: Timestamp,
) -> Result<bool, SqlError> {
    let rows = tx
        .sql(INSERT)
        .bind(order_id.as_str())
        .bind(digest(&SHA256, evidence.body).as_ref())
        .bind(evidence.channel)
        .bind(evidence.app_id)
        .bind(verdict)
        .bind(evidence.headers)
        .bind(evidence.body)
        .bind(now.as_millis())
        .execute()
        .await?;
    Ok(rows == 1)
}

//! Refunds that come before their payment, or in place of it: `pay_early_refunds`.
//!
//! Notices of a channel overtake each other, and what a channel has signed can be handed in long after it took the money
//! back. Such a payment pays for nothing.

use std::time::Duration;

use common::{
    clock::Timestamp,
    sql::{Sql, SqlError, Tx},
};

use super::Orders;
use crate::{domain::Payment, store::StoreError};

const INSERT: Sql = Sql::Each {
    mysql: "INSERT IGNORE INTO pay_early_refunds (app_id, channel, channel_order_id, noted_at) VALUES (?, ?, ?, ?)",
    sqlite: "INSERT OR IGNORE INTO pay_early_refunds (app_id, channel, channel_order_id, noted_at) VALUES (?, ?, ?, ?)",
};

const NOTED_AT: &str =
    "SELECT noted_at FROM pay_early_refunds WHERE app_id = ? AND channel = ? AND channel_order_id = ?";

/// A payment that did not see the note has ended long before: no transaction takes that long.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

impl Orders {
    /// Notes that the whole of a payment was taken back that no order was paid with. `true`: it has been noted for so long
    /// that every payment has seen it, and nobody has to say it again. `false`: the payment may be under way at this very
    /// moment, and would miss it.
    pub(crate) async fn note_early_refund(
        &self,
        app_id: i64,
        channel: &str,
        channel_order_id: &str,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let noted_at = self
            .database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let insert = tx.sql(INSERT).bind(app_id).bind(channel).bind(channel_order_id).bind(now.as_millis());
                insert.execute().await?;
                let (noted_at,): (i64,) =
                    tx.sql(NOTED_AT).bind(app_id).bind(channel).bind(channel_order_id).one().await?;
                tx.commit().await?;
                Ok::<_, SqlError>(Timestamp::from_millis(noted_at))
            })
            .await?;
        Ok(now.since(noted_at) >= SETTLED_AFTER)
    }
}

/// Whether the channel has taken the payment back.
pub(super) async fn is_taken_back(tx: &mut Tx, payment: &Payment) -> Result<bool, SqlError> {
    let query = tx.sql(NOTED_AT).bind(payment.app_id).bind(payment.channel.as_str());
    let noted: Option<(i64,)> = query.bind(payment.channel_order_id.as_str()).optional().await?;
    Ok(noted.is_some())
}

//! What nobody paid, and what no longer matters.

use std::time::Duration;

use common::{
    clock::Timestamp,
    sql::{Sql, SqlError, Text, Tx},
};

use super::{Hand, Orders, row};
use crate::{
    domain::{Order, OrderEvent, OrderState, Step},
    store::StoreError,
};

/// Without those whose channel was not asked yet, or did not answer the last question: for them it is too early.
const OVERDUE: &str = "SELECT order_id FROM pay_orders WHERE state = ? AND expires_at <= ? \
     AND (expires_at <= ? OR NOT EXISTS (SELECT 1 FROM pay_questions WHERE pay_questions.order_id = pay_orders.order_id \
     AND pay_questions.kind = 1 AND (pay_questions.answers = 0 OR pay_questions.failures > 0))) \
     ORDER BY expires_at LIMIT ?";

const FORGET_REQUESTS: Sql = Sql::Each {
    mysql: "DELETE FROM pay_order_requests WHERE created_at < ? ORDER BY created_at LIMIT ?",
    sqlite: "DELETE FROM pay_order_requests WHERE (app_id, account_id, idempotency_key) IN \
             (SELECT app_id, account_id, idempotency_key FROM pay_order_requests WHERE created_at < ? LIMIT ?)",
};

impl Orders {
    /// Lets up to `most` orders expire whose time is over, within `tx`; answers those it did. The caller commits, and then
    /// says [`Orders::expired`]. One whose channel can be asked and could not be is kept for `patience` longer.
    pub(crate) async fn expire(&self, tx: &mut Tx, most: u32, patience: Duration) -> Result<Vec<Order>, StoreError> {
        let (now, mut expired) = (self.clock.now(), Vec::new());
        for state in [OrderState::Created, OrderState::Paying] {
            let overdue = tx.sql(OVERDUE).bind(state.number()).bind(now.as_millis());
            let rows: Vec<(Text,)> = overdue.bind(now.minus(patience).as_millis()).bind(i64::from(most)).all().await?;
            for (order_id,) in rows {
                // It may be paid by the time that its lock is ours: then nothing happens to it.
                let Some(mut order) = row::lock(tx, row::order_id(&order_id)?).await? else { continue };
                let hand = Hand { actor: "clock", reason: "" };
                if let Ok(Step::Moves(_)) = self.happen(tx, &mut order, OrderEvent::TimedOut, hand, now).await? {
                    expired.push(order);
                }
            }
        }
        Ok(expired)
    }

    /// Counts orders whose expiry is committed.
    pub(crate) fn expired(&self, orders: &[Order]) {
        for order in orders {
            self.moved(order, &[OrderState::Expired]);
        }
    }

    /// Deletes up to `most` keys of requests from before `before`: a repetition of theirs would make another order. Answers
    /// how many.
    pub(crate) async fn forget_requests(&self, tx: &mut Tx, before: Timestamp, most: u32) -> Result<u64, SqlError> {
        tx.sql(FORGET_REQUESTS).bind(before.as_millis()).bind(i64::from(most)).execute().await
    }
}

//! What happened to an order, who did it and why: `pay_order_journal`. Only ever added to, in the transaction that changes
//! the order.

use common::{
    clock::Timestamp,
    sql::{Database, Text, Tx},
};

use super::row;
use crate::{
    domain::{OrderId, OrderState},
    store::StoreError,
};

const INSERT: &str = "INSERT INTO pay_order_journal (order_id, seq, from_state, to_state, event, actor, reason, at) \
     SELECT ?, COALESCE(MAX(seq), 0) + 1, ?, ?, ?, ?, ?, ? FROM pay_order_journal WHERE order_id = ?";

/// An order has a handful; a channel or an operator that goes on and on makes no answer without end.
const LIST: &str = "SELECT from_state, to_state, event, actor, reason, at FROM pay_order_journal \
     WHERE order_id = ? ORDER BY seq LIMIT 500";

const REASON_BYTES_MAX: usize = 512;

/// Who does something to an order, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hand<'a> {
    /// Of whom there is one of a kind: `player`, `worker`, `clock`; a channel's name; an operator.
    pub(crate) actor: &'a str,
    /// For operators. Holds nothing secret.
    pub(crate) reason: &'a str,
}

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) from: OrderState,
    pub(crate) to: OrderState,
    pub(crate) event: String,
    pub(crate) actor: String,
    pub(crate) reason: String,
    pub(crate) at: Timestamp,
}

/// Adds a line. For whoever has locked the order: its lines are numbered without a gap.
pub(crate) async fn append(
    tx: &mut Tx,
    order_id: OrderId,
    (from, to): (OrderState, OrderState),
    event: &str,
    hand: Hand<'_>,
    now: Timestamp,
) -> Result<(), StoreError> {
    tx.sql(INSERT)
        .bind(order_id.as_str())
        .bind(from.number())
        .bind(to.number())
        .bind(event)
        .bind(hand.actor)
        .bind(shortened(hand.reason))
        .bind(now.as_millis())
        .bind(order_id.as_str())
        .execute()
        .await?;
    Ok(())
}

/// Everything that happened to an order, oldest first.
pub(crate) async fn of_order(database: &Database, order_id: OrderId) -> Result<Vec<Line>, StoreError> {
    let rows: Vec<(i16, i16, Text, Text, Text, i64)> = database.read(LIST).bind(order_id.as_str()).all().await?;
    let line = |(from, to, event, actor, reason, at): (i16, i16, Text, Text, Text, i64)| {
        Ok(Line {
            from: row::state(from)?,
            to: row::state(to)?,
            event: event.into(),
            actor: actor.into(),
            reason: reason.into(),
            at: Timestamp::from_millis(at),
        })
    };
    rows.into_iter().map(line).collect()
}

fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
}

//! What is old enough to be forgotten: callbacks, and attempts to tell game servers. Never those of an order that is not
//! settled: somebody may still have to look into them, or count them again.

use common::{
    clock::Timestamp,
    sql::{Text, Tx},
};

use super::{StoreError, orders::row};

const CALLBACKS: &str = "SELECT c.received_at, c.order_id, c.digest, o.state FROM pay_callbacks AS c \
     LEFT JOIN pay_orders AS o ON o.order_id = c.order_id \
     WHERE c.received_at < ? AND c.received_at >= ? AND (c.received_at > ? OR c.order_id > ?) \
     ORDER BY c.received_at, c.order_id LIMIT ?";

const FORGET_CALLBACK: &str = "DELETE FROM pay_callbacks WHERE order_id = ? AND digest = ?";

const DELIVERIES: &str = "SELECT d.at, d.order_id, d.attempt, o.state FROM pay_deliveries AS d \
     LEFT JOIN pay_orders AS o ON o.order_id = d.order_id \
     WHERE d.at < ? AND d.at >= ? AND (d.at > ? OR d.order_id > ?) ORDER BY d.at, d.order_id LIMIT ?";

const FORGET_DELIVERY: &str = "DELETE FROM pay_deliveries WHERE order_id = ? AND attempt = ?";

/// How far a walk through a table has come, oldest first: what is kept is passed once, and not in every step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    at: i64,
    order_id: String,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Swept {
    pub(crate) forgotten: u32,
    /// Everything that is old enough was looked at.
    pub(crate) is_end: bool,
}

impl Place {
    /// Before everything.
    pub(crate) fn start() -> Self {
        Self { at: i64::MIN, order_id: String::new() }
    }
}

/// Looks at up to `most` callbacks from before `before`, from `place` on, and forgets those of settled orders.
pub(crate) async fn forget_callbacks(
    tx: &mut Tx,
    before: Timestamp,
    place: &mut Place,
    most: u32,
) -> Result<Swept, StoreError> {
    let query = tx.sql(CALLBACKS).bind(before.as_millis()).bind(place.at).bind(place.at);
    let rows: Vec<(i64, Text, Vec<u8>, Option<i16>)> =
        query.bind(place.order_id.clone()).bind(i64::from(most)).all().await?;
    let (is_end, mut forgotten) = (rows.len() < most as usize, 0);
    for (at, order_id, digest, state) in rows {
        if is_settled(state)? {
            tx.sql(FORGET_CALLBACK).bind(&*order_id).bind(digest).execute().await?;
            forgotten += 1;
        }
        *place = Place { at, order_id: order_id.into() };
    }
    Ok(Swept { forgotten, is_end })
}

/// The same of attempts to tell game servers.
pub(crate) async fn forget_deliveries(
    tx: &mut Tx,
    before: Timestamp,
    place: &mut Place,
    most: u32,
) -> Result<Swept, StoreError> {
    let query = tx.sql(DELIVERIES).bind(before.as_millis()).bind(place.at).bind(place.at);
    let rows: Vec<(i64, Text, i32, Option<i16>)> =
        query.bind(place.order_id.clone()).bind(i64::from(most)).all().await?;
    let (is_end, mut forgotten) = (rows.len() < most as usize, 0);
    for (at, order_id, attempt, state) in rows {
        if is_settled(state)? {
            tx.sql(FORGET_DELIVERY).bind(&*order_id).bind(attempt).execute().await?;
            forgotten += 1;
        }
        *place = Place { at, order_id: order_id.into() };
    }
    Ok(Swept { forgotten, is_end })
}

/// Without an order nobody waits for anything.
fn is_settled(state: Option<i16>) -> Result<bool, StoreError> {
    state.map_or(Ok(true), |state| Ok(row::state(state)?.is_settled()))
}

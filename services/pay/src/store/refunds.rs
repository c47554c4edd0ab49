//! The rows of `pay_refunds`: what went back of orders, each time it did.
//!
//! A refund is also what the game server is told of it: see `refund_notices`.

use common::{
    clock::Timestamp,
    sql::{Database, SqlError, Text, Tx},
};

use super::StoreError;
use crate::domain::{NoticeState, Order, OrderId, Refund};

const INSERT: &str = "INSERT INTO pay_refunds \
     (order_id, seq, app_id, channel, channel_refund_id, amount, reason, in_books, refunded_at, created_at, \
     notice, attempts, failures, due_at, claim, claimed_until, since) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, NULL, 0, ?)";

/// No channel refunds an order in more pieces; protects the answer and the lock.
const OF_ORDER: &str = "SELECT seq, channel, channel_refund_id, amount, reason, in_books, refunded_at, notice \
     FROM pay_refunds WHERE order_id = ? ORDER BY seq LIMIT 500";

const BOOK: &str = "UPDATE pay_refunds SET in_books = 1 WHERE order_id = ? AND in_books = 0";

const NOT_IN_BOOKS: &str = "SELECT COUNT(*) FROM pay_refunds WHERE in_books = 0";

const REASON_BYTES_MAX: usize = 512;

type Row = (i32, Option<Text>, Option<Text>, Option<i64>, Text, i16, i64, i16);

/// Adds one. For whoever has locked the order. `due_at`: the game server is not told of it before.
pub(super) async fn insert(
    tx: &mut Tx,
    order: &Order,
    refund: &Refund,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<(), SqlError> {
    tx.sql(INSERT)
        .bind(order.order_id.as_str())
        .bind(refund.seq)
        .bind(order.app_id)
        .bind(refund.channel.as_deref())
        .bind(refund.channel_refund_id.as_deref())
        .bind(refund.amount)
        .bind(&refund.reason[..refund.reason.floor_char_boundary(REASON_BYTES_MAX)])
        .bind(i32::from(refund.in_books))
        .bind(refund.refunded_at.as_millis())
        .bind(now.as_millis())
        .bind(i32::from(refund.notice.number()))
        .bind(due_at.as_millis())
        .bind(now.as_millis())
        .execute()
        .await
        .map(drop)
}

/// The refunds of an order, oldest first. Whoever has locked the order sees all of them.
pub(super) async fn of_order_in(tx: &mut Tx, order_id: OrderId) -> Result<Vec<Refund>, StoreError> {
    let rows: Vec<Row> = tx.sql(OF_ORDER).bind(order_id.as_str()).all().await?;
    rows.into_iter().map(refund).collect()
}

/// The same without a lock.
pub(crate) async fn of_order(database: &Database, order_id: OrderId) -> Result<Vec<Refund>, StoreError> {
    let rows: Vec<Row> = database.read(OF_ORDER).bind(order_id.as_str()).all().await?;
    rows.into_iter().map(refund).collect()
}

/// What was not in the books is now. For whoever has locked the order.
pub(super) async fn book(tx: &mut Tx, order_id: OrderId) -> Result<(), SqlError> {
    tx.sql(BOOK).bind(order_id.as_str()).execute().await.map(drop)
}

/// Refunds that somebody has to look into, in all apps.
pub(crate) async fn not_in_books(database: &Database) -> Result<i64, SqlError> {
    let (count,): (i64,) = database.read(NOT_IN_BOOKS).one().await?;
    Ok(count)
}

fn refund((seq, channel, id, amount, reason, in_books, refunded_at, notice): Row) -> Result<Refund, StoreError> {
    Ok(Refund {
        seq,
        channel: channel.map(String::from),
        channel_refund_id: id.map(String::from),
        amount,
        reason: reason.into(),
        in_books: in_books != 0,
        refunded_at: Timestamp::from_millis(refunded_at),
        notice: NoticeState::of_number(notice).ok_or(StoreError::Unreadable("notice"))?,
    })
}

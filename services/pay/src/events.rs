//! What the service tells a studio's data warehouse of: kinds and fields of its events.
//!
//! `docs/events.md` lists them for those who read them: a kind never changes its meaning, and fields are only added. What
//! must never be in one: what a channel calls a payment (some of these numbers open purchases), what a studio wants to get
//! back with a delivery, what operators write for themselves.

use common::{
    clock::Timestamp,
    event_table,
    events::{EventOutbox, EventTable},
    sql::{SqlError, Tx},
};
use serde::Serialize;

use crate::domain::{Order, OrderState, Refund};

/// Where events wait.
pub(crate) static TABLE: EventTable = event_table!("pay_events");

/// `order.paid`, `order.delivered`, `order.refunded`; the beginning of the others.
#[derive(Serialize)]
struct OfOrder<'a> {
    app_id: i64,
    account_id: i64,
    order_id: &'a str,
    product_id: &'a str,
    /// Minor units.
    amount: i64,
    currency: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    role_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    server_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<i64>,
}

/// `order.refund`.
#[derive(Serialize)]
struct OfRefund<'a> {
    #[serde(flatten)]
    order: OfOrder<'a>,
    refund_seq: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_amount: Option<i64>,
    in_books: bool,
    refunded_at: i64,
}

/// The order has come to `order.state`. Most states are nobody's business but ours.
pub(crate) async fn order_moved(
    tx: &mut Tx,
    order: &Order,
    events: &EventOutbox,
    now: Timestamp,
) -> Result<(), SqlError> {
    let kind = match order.state {
        OrderState::Paid => "order.paid",
        OrderState::Delivered => "order.delivered",
        OrderState::Refunded => "order.refunded",
        OrderState::Created
        | OrderState::Paying
        | OrderState::Delivering
        | OrderState::Expired
        | OrderState::Closed
        | OrderState::Refunding => return Ok(()),
    };
    events.tell(tx, kind, now, || OfOrder::from(order)).await
}

/// Money of the order went back, all of it or a part.
pub(crate) async fn refund_made(
    tx: &mut Tx,
    (order, refund): (&Order, &Refund),
    events: &EventOutbox,
    now: Timestamp,
) -> Result<(), SqlError> {
    let facts = || OfRefund {
        order: OfOrder::from(order),
        refund_seq: refund.seq,
        refund_amount: refund.amount,
        in_books: refund.in_books,
        refunded_at: refund.refunded_at.as_millis(),
    };
    events.tell(tx, "order.refund", now, facts).await
}

impl<'a> From<&'a Order> for OfOrder<'a> {
    fn from(order: &'a Order) -> Self {
        Self {
            app_id: order.app_id,
            account_id: order.account_id,
            order_id: order.order_id.as_str(),
            product_id: order.product_id.as_str(),
            amount: order.price.amount(),
            currency: order.price.currency().to_string(),
            channel: order.channel.as_deref(),
            role_id: &order.role_id,
            server_id: &order.server_id,
            paid_at: order.paid_at.map(Timestamp::as_millis),
        }
    }
}

#[cfg(test)]
mod tests;

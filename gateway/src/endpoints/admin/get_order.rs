//! `GET /admin/v1/orders/{order_id}`: an order, and everything that happened to it.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::pay_admin::{self as wire, DescribeOrderRequest};
use serde::Serialize;
use utoipa::ToSchema;
use volo::FastStr;

use super::pay_operator::PayOperator;
use crate::endpoints::order::{Order, OrderPath};

/// An order with its history. Times are Unix milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminOrder)]
pub(crate) struct Answer {
    #[serde(flatten)]
    order: Order,
    /// Oldest first.
    journal: Vec<JournalLine>,
    /// Attempts to tell the game server, oldest first.
    deliveries: Vec<Delivery>,
    /// What went back of it, oldest first.
    refunds: Vec<Refund>,
}

/// A refund of the order, or of a part of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderRefund)]
pub(crate) struct Refund {
    /// As the game server is told it.
    #[schema(value_type = String, example = "01JXT21Q00C5Z0E8T3Y6A9B2DK-1")]
    refund_id: FastStr,
    /// The channel that said it; absent: an operator did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    channel: Option<FastStr>,
    /// What the channel calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    channel_refund_id: Option<FastStr>,
    /// Minor units of the order's currency, of this refund alone; absent: a part, and nobody knows which.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<i64>,
    refunded_at: i64,
    /// `false`: the wallet no longer held it, or it can't be counted; somebody has to look into it.
    in_books: bool,
    /// Whether the game server was told: `not_owed` (it never heard of the order), `waiting`, `given_up`, `acknowledged` or
    /// `no_refund_url` (the app has none, so nothing was sent).
    #[schema(value_type = String, example = "acknowledged")]
    notice: FastStr,
    /// Attempts to tell it, oldest first.
    deliveries: Vec<Delivery>,
}

/// Something that happened to the order, or was said of it and refused.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JournalLine {
    #[schema(value_type = String)]
    from: FastStr,
    /// The same as `from`: nothing moved, it is only noted.
    #[schema(value_type = String)]
    to: FastStr,
    #[schema(value_type = String, example = "paid")]
    event: FastStr,
    /// `player`, a channel, `worker`, `clock`, `game server` or an operator.
    #[schema(value_type = String)]
    actor: FastStr,
    #[schema(value_type = String)]
    reason: FastStr,
    at: i64,
}

/// One attempt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    attempt: i32,
    /// `acknowledged`, `refused`, `no_answer`, `no_target`, `forbidden` or `unknown`; of a refund `not_wanted` besides.
    #[schema(value_type = String)]
    outcome: FastStr,
    /// The HTTP status, if there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<i32>,
    /// How the answer begins, or why there was none.
    #[schema(value_type = String)]
    detail: FastStr,
    at: i64,
    duration_ms: i64,
}

/// An order with its journal and its deliveries.
///
/// 4040301 when there is none.
#[utoipa::path(get, path = "/admin/v1/orders/{order_id}", tag = "Orders", security(("operator" = [])), params(("order_id" = String, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn get_order(
    PayOperator { pay, .. }: PayOperator,
    Path(OrderPath { order_id }): Path<OrderPath>,
) -> Result<Envelope<Answer>, ApiError> {
    let found = pay.admin_describe_order(DescribeOrderRequest { order_id }).await.map_err(CallError::from)?;
    Ok(Envelope(Answer {
        order: found.order.into(),
        journal: found.journal.into_iter().map(JournalLine::from).collect(),
        deliveries: found.deliveries.into_iter().map(Delivery::from).collect(),
        refunds: found.refunds.unwrap_or_default().into_iter().map(Refund::from).collect(),
    }))
}

impl From<wire::JournalLine> for JournalLine {
    fn from(line: wire::JournalLine) -> Self {
        let wire::JournalLine { from_state, to_state, event, actor, reason, at } = line;
        Self { from: from_state, to: to_state, event, actor, reason, at }
    }
}

impl From<wire::OrderRefund> for Refund {
    fn from(refund: wire::OrderRefund) -> Self {
        Self {
            refund_id: refund.refund_id,
            channel: refund.channel,
            channel_refund_id: refund.channel_refund_id,
            amount: refund.amount,
            refunded_at: refund.refunded_at,
            in_books: refund.in_books,
            notice: refund.notice,
            deliveries: refund.deliveries.into_iter().map(Delivery::from).collect(),
        }
    }
}

impl From<wire::DeliveryAttempt> for Delivery {
    fn from(delivery: wire::DeliveryAttempt) -> Self {
        let wire::DeliveryAttempt { attempt, outcome, status, detail, at, duration_ms } = delivery;
        Self { attempt, outcome, status, detail, at, duration_ms }
    }
}

//! `POST /admin/v1/orders/{order_id}/refund`: an order is given back, at its channel where that can be asked.

use common::{
    http::{ApiError, Envelope, OptionalJson, Path},
    rpc::CallError,
};
use idl::pay_admin::RefundOrderRequest;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    pay_operator::PayOperator,
    record::{Change, record},
};
use crate::endpoints::order::{Order, OrderPath};

/// Why. There need not be a body.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = RefundOrderRequest)]
pub(crate) struct Request {
    /// For the journal: at most 255 bytes without control characters.
    #[serde(default)]
    #[schema(value_type = String, max_length = 255)]
    reason: FastStr,
    /// In the books only, also where the channel could be asked: the money goes back by another way. Completes a refund
    /// that the channel has refused.
    #[serde(default)]
    in_books: bool,
}

/// The order, and where its money goes back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefundedOrder)]
pub(crate) struct Answer {
    #[serde(flatten)]
    order: Order,
    /// `at_channel`: the channel is asked for it, and the order is `refunding` until it says that it is done. `in_books`:
    /// the money itself is given back at the channel, by you.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "at_channel")]
    refund: Option<FastStr>,
}

/// Gives an order back: out of the wallet, no longer delivered, and its money asked back at the channel where that can be
/// asked. Repeating it changes nothing; what the channel has refused is asked for again.
///
/// `refund` says whether the channel is asked. 4220301 when the order is not paid, or the wallet no longer holds
/// what it brought.
#[utoipa::path(post, path = "/admin/v1/orders/{order_id}/refund", tag = "Orders", security(("operator" = [])), params(("order_id" = String, Path)), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn refund_order(
    operator: PayOperator,
    Path(OrderPath { order_id }): Path<OrderPath>,
    OptionalJson(request): OptionalJson<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let Request { reason, in_books } = request.unwrap_or_default();
    let details = json!({ "reason": reason, "in_books": in_books });
    let target_id = order_id.to_string();
    let in_books = in_books.then_some(true);
    let change = RefundOrderRequest { actor: operator.actor.clone(), order_id, reason, in_books };
    let changed = operator.pay.admin_refund_order(change).await.map_err(CallError::from)?;
    record(&operator, Change { action: "order.refund", target_kind: "order", target_id, details }).await;
    Ok(Envelope(Answer { order: changed.order.into(), refund: changed.refund }))
}

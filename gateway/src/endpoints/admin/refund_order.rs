//! `POST /admin/v1/orders/{order_id}/refund`: an order is given back in the books.

use common::{
    http::{ApiError, Envelope, OptionalJson, Path},
    rpc::CallError,
};
use idl::pay_admin::ChangeOrderRequest;
use serde::Deserialize;
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
}

/// Gives an order back in the books: out of the wallet, and no longer delivered. Repeating it changes nothing.
///
/// The money itself is given back at the channel, by you. 4220301 when the order is not paid, or the wallet no longer holds
/// what it brought.
#[utoipa::path(post, path = "/admin/v1/orders/{order_id}/refund", tag = "Orders", security(("operator" = [])), params(("order_id" = String, Path)), request_body = Request, responses((status = 200, body = Order)))]
pub(crate) async fn refund_order(
    operator: PayOperator,
    Path(OrderPath { order_id }): Path<OrderPath>,
    OptionalJson(request): OptionalJson<Request>,
) -> Result<Envelope<Order>, ApiError> {
    let reason = request.unwrap_or_default().reason;
    let details = json!({ "reason": reason });
    let target_id = order_id.to_string();
    let change = ChangeOrderRequest { actor: operator.actor.clone(), order_id, reason };
    let changed = operator.pay.admin_refund_order(change).await.map_err(CallError::from)?;
    record(&operator, Change { action: "order.refund", target_kind: "order", target_id, details }).await;
    Ok(Envelope(changed.order.into()))
}

//! `POST /admin/v1/orders/{order_id}/close`: an order that nobody has paid for is given up.

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
#[schema(as = CloseOrderRequest)]
pub(crate) struct Request {
    /// For the journal: at most 255 bytes without control characters.
    #[serde(default)]
    #[schema(value_type = String, max_length = 255)]
    reason: FastStr,
}

/// Gives up an order that nobody has paid for. Repeating it changes nothing.
///
/// A payment that comes all the same is not applied, is noted in the journal, and has to be given back at the channel.
/// 4220301 when the order is paid.
#[utoipa::path(post, path = "/admin/v1/orders/{order_id}/close", tag = "Orders", security(("operator" = [])), params(("order_id" = String, Path)), request_body = Request, responses((status = 200, body = Order)))]
pub(crate) async fn close_order(
    operator: PayOperator,
    Path(OrderPath { order_id }): Path<OrderPath>,
    OptionalJson(request): OptionalJson<Request>,
) -> Result<Envelope<Order>, ApiError> {
    let reason = request.unwrap_or_default().reason;
    let details = json!({ "reason": reason });
    let target_id = order_id.to_string();
    let change = ChangeOrderRequest { actor: operator.actor.clone(), order_id, reason };
    let changed = operator.pay.admin_close_order(change).await.map_err(CallError::from)?;
    record(&operator, Change { action: "order.close", target_kind: "order", target_id, details }).await;
    Ok(Envelope(changed.order.into()))
}

//! `RedeliverOrder`: has a paid order sent to its game server again, because the game server asks for it.

use idl::pay::{RedeliverOrderRequest, RedeliverOrderResponse};

use super::wire;
use crate::{error::OrderError, service::Parts, store::orders::Hand};

pub(crate) async fn redeliver_order(
    parts: &Parts,
    request: RedeliverOrderRequest,
) -> Result<RedeliverOrderResponse, OrderError> {
    let order_id = wire::order_id(&request.order_id)?;
    let order = parts.orders.find(order_id).await?.ok_or(OrderError::NoSuchOrder)?;
    if order.app_id != request.app_id {
        return Err(OrderError::NoSuchOrder);
    }
    parts.orders.redeliver(order_id, Hand { actor: "game server", reason: "" }).await?;
    Ok(RedeliverOrderResponse {})
}

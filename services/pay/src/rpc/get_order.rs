//! `GetOrder`: one order, of the app that asks and, if a player asks, of that player.

use idl::pay::{GetOrderRequest, GetOrderResponse};

use super::wire;
use crate::{error::OrderError, service::Parts};

pub(crate) async fn get_order(parts: &Parts, request: GetOrderRequest) -> Result<GetOrderResponse, OrderError> {
    let order = parts.orders.find(wire::order_id(&request.order_id)?).await?.ok_or(OrderError::NoSuchOrder)?;
    let is_theirs = order.app_id == request.app_id && request.account_id.is_none_or(|id| id == order.account_id);
    // Whose it is, and that there is one, is nobody else's business.
    if !is_theirs {
        return Err(OrderError::NoSuchOrder);
    }
    Ok(GetOrderResponse { order: wire::order(order) })
}

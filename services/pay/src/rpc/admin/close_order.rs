//! `AdminCloseOrder`: gives up an order that nobody has paid for.

use idl::pay_admin::{ChangeOrderRequest, ChangeOrderResponse};

use super::change;
use crate::{error::OrderError, rpc::wire, service::Parts};

pub(crate) async fn close_order(parts: &Parts, request: ChangeOrderRequest) -> Result<ChangeOrderResponse, OrderError> {
    let (order_id, hand) = change::parse(&request)?;
    let order = parts.orders.close(order_id, hand).await?;
    Ok(ChangeOrderResponse { order: wire::order(order) })
}

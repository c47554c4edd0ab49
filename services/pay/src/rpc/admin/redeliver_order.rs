//! `AdminRedeliverOrder`: has a paid order sent to its game server again, by an operator's hand.

use idl::pay_admin::{ChangeOrderRequest, ChangeOrderResponse};

use super::change;
use crate::{error::OrderError, rpc::wire, service::Parts};

pub(crate) async fn redeliver_order(
    parts: &Parts,
    request: ChangeOrderRequest,
) -> Result<ChangeOrderResponse, OrderError> {
    let (order_id, hand) = change::parse(&request)?;
    let order = parts.orders.redeliver(order_id, hand).await?;
    Ok(ChangeOrderResponse { order: wire::order(order) })
}

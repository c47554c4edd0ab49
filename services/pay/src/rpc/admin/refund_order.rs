//! `AdminRefundOrder`: gives an order back in the books. The money itself is given back at the channel.

use idl::pay_admin::{ChangeOrderRequest, ChangeOrderResponse};

use super::change;
use crate::{error::OrderError, rpc::wire, service::Parts};

pub(crate) async fn refund_order(
    parts: &Parts,
    request: ChangeOrderRequest,
) -> Result<ChangeOrderResponse, OrderError> {
    let (order_id, hand) = change::parse(&request)?;
    let order = parts.orders.refund(order_id, hand).await?;
    Ok(ChangeOrderResponse { order: wire::order(order) })
}

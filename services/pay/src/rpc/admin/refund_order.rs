//! `AdminRefundOrder`: gives an order back: at its channel where that can be asked, in the books otherwise.

use idl::pay_admin::{ChangeOrderRequest, RefundOrderRequest, RefundOrderResponse};

use super::change;
use crate::{
    error::OrderError,
    rpc::wire,
    service::Parts,
    store::orders::{RefundError, RefundPlace},
};

pub(crate) async fn refund_order(
    parts: &Parts,
    request: RefundOrderRequest,
) -> Result<RefundOrderResponse, OrderError> {
    let RefundOrderRequest { actor, order_id, reason, in_books } = request;
    let request = ChangeOrderRequest { actor, order_id, reason };
    let (order_id, hand) = change::parse(&request)?;
    let order = parts.orders.find(order_id).await?.ok_or(RefundError::NoSuchOrder)?;
    let at_channel = !in_books.unwrap_or_default() && parts.questions.asker().can_give_back(&order).await?;
    let order = if at_channel {
        parts.orders.refund_at_channel(order_id, hand).await?
    } else {
        parts.orders.refund(order_id, hand).await?
    };
    // What was refunded before is not refunded again, here or there.
    let place = RefundPlace::of(&order, &parts.orders.journal(order_id).await?);
    Ok(RefundOrderResponse { order: wire::order(order), refund: Some(place.as_str().into()) })
}

//! `AdminDescribeOrder`: an order with everything that happened to it.

use idl::pay_admin::{DeliveryAttempt, DescribeOrderRequest, DescribeOrderResponse, JournalLine};

use crate::{
    error::OrderError,
    rpc::wire,
    service::Parts,
    store::{orders::Line, outbox::Attempt},
};

pub(crate) async fn describe_order(
    parts: &Parts,
    request: DescribeOrderRequest,
) -> Result<DescribeOrderResponse, OrderError> {
    let order_id = wire::order_id(&request.order_id)?;
    let order = parts.orders.find(order_id).await?.ok_or(OrderError::NoSuchOrder)?;
    Ok(DescribeOrderResponse {
        order: wire::order(order),
        journal: parts.orders.journal(order_id).await?.into_iter().map(line).collect(),
        deliveries: parts.orders.deliveries(order_id).await?.into_iter().map(attempt).collect(),
    })
}

fn line(line: Line) -> JournalLine {
    JournalLine {
        from_state: line.from.as_str().into(),
        to_state: line.to.as_str().into(),
        event: line.event.into(),
        actor: line.actor.into(),
        reason: line.reason.into(),
        at: line.at.as_millis(),
    }
}

fn attempt(attempt: Attempt) -> DeliveryAttempt {
    DeliveryAttempt {
        attempt: attempt.attempt,
        outcome: attempt.outcome.into(),
        status: attempt.status,
        detail: attempt.detail.into(),
        at: attempt.at.as_millis(),
        duration_ms: i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
    }
}

//! `AdminDescribeOrder`: an order with everything that happened to it.

use idl::pay_admin::{DeliveryAttempt, DescribeOrderRequest, DescribeOrderResponse, JournalLine, OrderRefund};

use crate::{
    domain::{OrderId, Refund, refund_id},
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
    let mut told = parts.orders.refund_deliveries(order_id).await?;
    let refunds = parts.orders.refunds(order_id).await?.into_iter().map(|of_order| {
        let of_this = told.extract_if(.., |(seq, _)| *seq == of_order.seq);
        refund(order_id, &of_order, of_this.map(|(_, of_this)| attempt(of_this)).collect())
    });
    Ok(DescribeOrderResponse {
        refunds: Some(refunds.collect()),
        order: wire::order(order),
        journal: parts.orders.journal(order_id).await?.into_iter().map(line).collect(),
        deliveries: parts.orders.deliveries(order_id).await?.into_iter().map(attempt).collect(),
    })
}

fn refund(order_id: OrderId, refund: &Refund, deliveries: Vec<DeliveryAttempt>) -> OrderRefund {
    OrderRefund {
        refund_id: refund_id(order_id, refund.seq).into(),
        channel: refund.channel.clone().map(Into::into),
        channel_refund_id: refund.channel_refund_id.clone().map(Into::into),
        amount: refund.amount,
        refunded_at: refund.refunded_at.as_millis(),
        in_books: refund.in_books,
        notice: refund.notice.as_str().into(),
        deliveries,
    }
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

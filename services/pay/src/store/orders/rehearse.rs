//! What would become of what a channel says, without anything becoming of it.

use super::{Orders, Receipt, Returned, pay, refund, refund_at_channel::refund_number, row};
use crate::{
    domain::{Addition, OrderEvent, OrderState, Payment, Step, adds, advance, is_back},
    store::{StoreError, refunds},
};

impl Orders {
    /// What [`Orders::pay`] would answer now. `first` says nothing here: nobody looks whether it was seen before.
    pub(crate) async fn rehearse_pay(&self, payment: &Payment) -> Result<Receipt, StoreError> {
        // Never committed; what it locks is free again when this returns.
        let mut tx = self.database.begin().await?;
        let Some(order) = row::lock(&mut tx, payment.order_id).await? else { return Ok(Receipt::NoSuchOrder) };
        Ok(match pay::judge(&mut tx, &order, payment).await? {
            Ok(()) => match advance(order.state, OrderEvent::Paid) {
                Ok(Step::Moves(_)) => Receipt::Paid,
                Ok(Step::Absorbed) => Receipt::Repeated,
                Err(impossible) => Receipt::Refused { why: impossible.into(), first: false },
            },
            Err(_) if order.app_id != payment.app_id => Receipt::NoSuchOrder,
            Err(why) => Receipt::Refused { why, first: false },
        })
    }

    /// What [`Orders::refund_by_channel`] would answer now, unless the wallet no longer holds the money: that is not looked
    /// at.
    pub(crate) async fn rehearse_refund(&self, refund: &refund::ChannelRefund) -> Result<Returned, StoreError> {
        let named = match refund.order_id {
            Some(order_id) => Some(order_id),
            None => row::find_of_payment(&self.database, &refund.channel, &refund.channel_order_id).await?,
        };
        let found = match named {
            Some(order_id) => self.find(order_id).await?,
            None => None,
        };
        let is_its_payment = |order: &crate::domain::Order| {
            order.app_id == refund.app_id
                && order.channel.as_ref() == Some(&refund.channel)
                && order.channel_order_id.as_ref() == Some(&refund.channel_order_id)
        };
        let Some(order) = found.filter(is_its_payment) else { return Ok(Returned::NoSuchOrder) };
        let known = refunds::of_order(&self.database, order.order_id).await?;
        let (id, extent) = (refund.refund_id.as_deref(), refund.extent);
        if order.state == OrderState::Refunding {
            let number = refund_number(order.order_id);
            let done = is_back(order.price, &known, &number, id, extent);
            return Ok(if done { Returned::Refunded } else { Returned::Repeated });
        }
        Ok(match adds(order.price, &known, id, extent) {
            _ if order.state == OrderState::Refunded => Returned::Repeated,
            Addition::Nothing => Returned::Repeated,
            Addition::Amount { completes: true, .. } if order.state.was_paid() => Returned::Refunded,
            Addition::Amount { .. } if order.state.was_paid() => Returned::Part,
            Addition::Amount { .. } | Addition::Uncounted => Returned::Noted { first: false },
        })
    }
}

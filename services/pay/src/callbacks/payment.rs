//! What a channel vouches for, as orders know it.

use super::Came;
use crate::{
    channels::{self, Charged, PaymentFacts, RefundExtent, What},
    domain::{Charge, Money, OrderId, Payment},
    store::orders::{ChannelRefund, Extent},
};

/// The payment; `None` when it names no order that could be one of ours, or an amount that nobody pays.
pub(super) fn payment(came: Came<'_>, facts: PaymentFacts) -> Option<Payment> {
    let order_id = OrderId::parse(facts.order_id.as_deref()?).ok()?;
    let charged = match facts.charged {
        Charged::Exactly(amount) => Charge::Amount(money(amount)?),
        Charged::StorePrice(_) => Charge::StorePrice,
    };
    Some(Payment {
        channel: came.channel.to_owned(),
        app_id: came.app_id,
        order_id,
        channel_order_id: facts.channel_order_id,
        charged,
        channel_product: facts.channel_product_id,
        paid_at: facts.paid_at.unwrap_or(came.at),
    })
}

/// The refund. A part is one however many parts there were before: that they add up is for an operator to see.
pub(super) fn refund(came: Came<'_>, facts: PaymentFacts) -> ChannelRefund {
    let extent = match facts.what {
        What::Refunded(refund) => match refund.extent {
            RefundExtent::Everything => Extent::Everything,
            RefundExtent::SoFar(amount) | RefundExtent::ThisTime(amount) => {
                money(amount).map_or(Extent::UnknownPart, Extent::Amount)
            }
            RefundExtent::UnknownPart => Extent::UnknownPart,
        },
        What::Paid => Extent::UnknownPart,
    };
    ChannelRefund {
        channel: came.channel.to_owned(),
        app_id: came.app_id,
        order_id: facts.order_id.and_then(|order_id| OrderId::parse(&order_id).ok()),
        channel_order_id: facts.channel_order_id,
        extent,
    }
}

fn money(amount: channels::Money) -> Option<Money> {
    Money::new(amount.amount, amount.currency).ok()
}

//! What a channel vouches for, as orders know it.

use super::Came;
use crate::{
    channels::{self, Charged, PaymentFacts, RefundExtent, What},
    domain::{Charge, Extent, Money, OrderId, Payment},
    store::orders::ChannelRefund,
};

/// The payment; `None` when it names no order that could be one of ours, or an amount that nobody pays.
pub(crate) fn payment(came: Came<'_>, facts: PaymentFacts) -> Option<Payment> {
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

/// The refund, counted as the channel counts.
pub(crate) fn refund(came: Came<'_>, facts: PaymentFacts) -> ChannelRefund {
    let counted = |amount, extent: fn(Money) -> Extent| money(amount).map_or(Extent::UnknownPart, extent);
    let (refund_id, extent, refunded_at) = match facts.what {
        What::Refunded(refund) => {
            let extent = match refund.extent {
                RefundExtent::Everything => Extent::Everything,
                RefundExtent::SoFar(amount) => counted(amount, Extent::SoFar),
                RefundExtent::ThisTime(amount) => counted(amount, Extent::ThisTime),
                RefundExtent::UnknownPart => Extent::UnknownPart,
            };
            (refund.refund_id, extent, refund.refunded_at)
        }
        What::Paid => (None, Extent::UnknownPart, None),
    };
    ChannelRefund {
        channel: came.channel.to_owned(),
        app_id: came.app_id,
        order_id: facts.order_id.and_then(|order_id| OrderId::parse(&order_id).ok()),
        channel_order_id: facts.channel_order_id,
        refund_id,
        extent,
        refunded_at,
    }
}

fn money(amount: channels::Money) -> Option<Money> {
    Money::new(amount.amount, amount.currency).ok()
}

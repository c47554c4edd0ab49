//! An order whose money goes back at the channel: out of the books at once, and refunded when the channel says so.

use common::{clock::Timestamp, sql::Tx};

use super::{Hand, Line, Orders, RefundError, journal, refund::Reversed, row};
use crate::{
    domain::{Money, Order, OrderEvent, OrderId, OrderState, QuestionKind, Step},
    store::{StoreError, questions, refunds},
};

/// Where an order was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefundPlace {
    /// In the books only: the money itself is somebody else's business.
    InBooks,
    /// At the channel: by its own word, or because it was asked.
    AtChannel,
}

/// Our number of an order's refund: one of 27 letters and digits, however often it is asked for.
pub(crate) fn refund_number(order_id: OrderId) -> String {
    format!("R{order_id}")
}

impl Orders {
    /// Takes an order out of the books and has its money asked back at its channel. One that the channel has refused before
    /// is asked for again; one that is under way or done stays as it is.
    pub(crate) async fn refund_at_channel(&self, order_id: OrderId, hand: Hand<'_>) -> Result<Order, RefundError> {
        let (order, from, told) = self.database.retrying(|| self.refund_at_channel_once(order_id, hand)).await?;
        match (from, order.state) {
            (from, now) if from == now => {}
            // Nothing was left to ask for.
            (_, OrderState::Refunded) => {
                self.metrics.refunded(None, "booked");
                self.returned(&order, (from, true), told);
            }
            _ => {
                self.metrics.refunded(None, "booked");
                self.moved(&order, &[OrderState::Refunding]);
                self.returned(&order, (from, false), told);
            }
        }
        Ok(order)
    }

    /// How much of an order is asked back at its channel: all of it, unless a part had gone back before.
    pub(crate) async fn asked_back(&self, order: &Order) -> Result<Money, StoreError> {
        let number = refund_number(order.order_id);
        let known = refunds::of_order(&self.database, order.order_id).await?;
        let asked = known.iter().find(|refund| refund.channel_refund_id.as_deref() == Some(&number));
        let amount = asked.and_then(|asked| asked.amount).unwrap_or(order.price.amount());
        Money::new(amount, order.price.currency()).map_err(|_| StoreError::Unreadable("amount of a refund"))
    }

    async fn refund_at_channel_once(
        &self,
        order_id: OrderId,
        hand: Hand<'_>,
    ) -> Result<(Order, OrderState, bool), RefundError> {
        let (mut tx, now) = (self.database.begin().await?, self.clock.now());
        let mut order = row::lock(&mut tx, order_id).await?.ok_or(RefundError::NoSuchOrder)?;
        let (from, number) = (order.state, refund_number(order_id));
        let Reversed { step, told, left } = self.reverse(&mut tx, &mut order, hand, Some(&number)).await?;
        let asked = match step {
            // The channel has given all of it back already; only the books did not show it.
            Step::Moves(_) if left == 0 => {
                self.happen(&mut tx, &mut order, OrderEvent::Refunded, hand, now).await??;
                false
            }
            Step::Moves(_) => {
                questions::put_refund(&mut tx, &order, now).await?;
                true
            }
            Step::Absorbed => {
                order.state == OrderState::Refunding && questions::unpark_refund(&mut tx, order_id, now).await?
            }
        };
        if asked {
            let (unmoved, hand) = ((order.state, order.state), Hand { actor: hand.actor, reason: &number });
            journal::append(&mut tx, order_id, unmoved, "refund_asked_at_channel", hand, now).await?;
        }
        tx.commit().await?;
        Ok((order, from, told))
    }

    /// The money that was asked back at the channel is back.
    pub(super) async fn complete(
        &self,
        tx: &mut Tx,
        order: &mut Order,
        hand: Hand<'_>,
        now: Timestamp,
    ) -> Result<Step, RefundError> {
        let step = self.happen(tx, order, OrderEvent::Refunded, hand, now).await??;
        questions::take_out(tx, order.order_id, QuestionKind::Refund).await.map_err(StoreError::from)?;
        Ok(step)
    }
}

impl RefundPlace {
    /// As operators see it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InBooks => "in_books",
            Self::AtChannel => "at_channel",
        }
    }

    /// Where an order that is refunding or refunded was given back: whoever said that it is done knows. One that is not
    /// done yet is under way at its channel.
    pub(crate) fn of(order: &Order, journal: &[Line]) -> Self {
        let done = journal.iter().find(|line| line.event == OrderEvent::Refunded.as_str());
        match done {
            Some(line) if order.channel.as_ref() != Some(&line.actor) => Self::InBooks,
            Some(_) | None => Self::AtChannel,
        }
    }
}

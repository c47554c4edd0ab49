//! What goes back: by an operator's hand, or because the channel says that it has gone back.

use common::sql::{Contention, SqlError, Tx};

use super::{Hand, Orders, happen, journal, pay, row};
use crate::{
    domain::{Impossible, Money, Order, OrderEvent, OrderId, OrderState, Step},
    store::{
        PostError, StoreError,
        archive::{self, Evidence},
        outbox,
    },
};

/// Why nothing went back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefundError {
    #[error("there is no such order")]
    NoSuchOrder,
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// The player has spent it.
    #[error("the wallet no longer holds what the order brought")]
    Spent,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a channel says went back.
#[derive(Clone, Debug)]
pub(crate) struct ChannelRefund {
    pub(crate) channel: String,
    pub(crate) app_id: i64,
    /// Our number, if the channel gives it back.
    pub(crate) order_id: Option<OrderId>,
    /// The channel's number of the payment.
    pub(crate) channel_order_id: String,
    pub(crate) extent: Extent,
}

/// How much of a payment went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Everything,
    /// So much with this refund, or with all so far: everything if it is the whole price.
    Amount(Money),
    UnknownPart,
}

/// What became of a channel's refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// The order is refunded now.
    Refunded,
    /// It was before.
    Repeated,
    /// A part of it, or it can't be taken out of the books: noted for an operator. `first`: it was not seen before.
    Noted { first: bool },
    /// There is no such payment.
    NoSuchOrder,
}

impl Orders {
    /// Gives an order back in the books; one that is refunded already stays as it is.
    pub(crate) async fn refund(&self, order_id: OrderId, hand: Hand<'_>) -> Result<Order, RefundError> {
        let (order, step) = self
            .database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let mut order = row::lock(&mut tx, order_id).await?.ok_or(RefundError::NoSuchOrder)?;
                let from = order.state;
                let step = self.take_back(&mut tx, &mut order, hand).await?;
                tx.commit().await?;
                Ok::<_, RefundError>((order, (from, step)))
            })
            .await?;
        self.returned(&order, step);
        Ok(order)
    }

    /// Takes a refund that the channel vouches for.
    pub(crate) async fn refund_by_channel(
        &self,
        refund: &ChannelRefund,
        evidence: Evidence<'_>,
    ) -> Result<Returned, StoreError> {
        let named = match refund.order_id {
            Some(order_id) => Some(order_id),
            None => row::find_of_payment(&self.database, &refund.channel, &refund.channel_order_id).await?,
        };
        let Some(order_id) = named else { return Ok(Returned::NoSuchOrder) };
        match self.database.retrying(|| self.refund_by_channel_once(order_id, refund, evidence, true)).await {
            Ok(returned) => Ok(returned),
            // The money is gone all the same: for a person to see to.
            Err(RefundError::Spent | RefundError::Impossible(_)) => {
                let noted = self.database.retrying(|| self.refund_by_channel_once(order_id, refund, evidence, false));
                noted.await.map_err(RefundError::into_store)
            }
            Err(error) => Err(error.into_store()),
        }
    }

    async fn refund_by_channel_once(
        &self,
        order_id: OrderId,
        refund: &ChannelRefund,
        evidence: Evidence<'_>,
        in_the_books: bool,
    ) -> Result<Returned, RefundError> {
        let now = self.clock.now();
        let mut tx = self.database.begin().await?;
        let Some(mut order) = row::lock(&mut tx, order_id).await? else { return Ok(Returned::NoSuchOrder) };
        let is_its_payment = order.app_id == refund.app_id
            && order.channel.as_ref() == Some(&refund.channel)
            && order.channel_order_id.as_ref() == Some(&refund.channel_order_id);
        if !is_its_payment {
            return Ok(Returned::NoSuchOrder);
        }
        let is_whole = match refund.extent {
            Extent::Everything => true,
            Extent::Amount(amount) => amount == order.price,
            Extent::UnknownPart => false,
        };
        let hand = Hand { actor: &refund.channel, reason: &refund.channel_order_id };
        if is_whole && in_the_books {
            let from = order.state;
            let step = self.take_back(&mut tx, &mut order, hand).await?;
            archive::keep(&mut tx, order_id, evidence, "refunded", now).await.map_err(StoreError::from)?;
            tx.commit().await?;
            self.returned(&order, (from, step));
            return Ok(match step {
                Step::Moves(_) => Returned::Refunded,
                Step::Absorbed => Returned::Repeated,
            });
        }
        let first = archive::keep(&mut tx, order_id, evidence, "refund_noted", now).await?;
        if first {
            let moved = (order.state, order.state);
            let event = if is_whole { "refund_not_in_books" } else { "partial_refund" };
            journal::append(&mut tx, order_id, moved, event, hand, now).await?;
            tx.commit().await?;
        }
        Ok(Returned::Noted { first })
    }

    /// Out of the books, and done: also what was asked back at the channel before.
    async fn take_back(&self, tx: &mut Tx, order: &mut Order, hand: Hand<'_>) -> Result<Step, RefundError> {
        let now = self.clock.now();
        if order.state == OrderState::Refunding {
            return self.complete(tx, order, hand, now).await;
        }
        let step = self.reverse(tx, order, hand).await?;
        if let Step::Moves(_) = step {
            happen(tx, order, OrderEvent::Refunded, hand, now).await??;
        }
        Ok(step)
    }

    /// Out of the wallet, out of the outbox, into the journal: the order is refunding.
    pub(super) async fn reverse(&self, tx: &mut Tx, order: &mut Order, hand: Hand<'_>) -> Result<Step, RefundError> {
        let now = self.clock.now();
        let step = happen(tx, order, OrderEvent::RefundRequested, hand, now).await??;
        if let Step::Moves(_) = step {
            let back = pay::posting(order, -order.price.amount())?;
            match self.ledger.post_in(tx, &back, &pay::key("refund", order.order_id)?).await {
                Ok(_) => {}
                Err(PostError::Overdrawn { .. }) => return Err(RefundError::Spent),
                Err(error) => return Err(StoreError::from(error).into()),
            }
            outbox::take_out(tx, order.order_id).await?;
        }
        Ok(step)
    }

    /// Counts a refund that is committed, by the state the order was in.
    fn returned(&self, order: &Order, (from, step): (OrderState, Step)) {
        match (from, step) {
            (_, Step::Absorbed) => {}
            (OrderState::Refunding, Step::Moves(_)) => self.moved(order, &[OrderState::Refunded]),
            (_, Step::Moves(_)) => self.moved(order, &[OrderState::Refunding, OrderState::Refunded]),
        }
    }
}

impl RefundError {
    /// For a refund of a channel, where nothing else is left.
    fn into_store(self) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::NoSuchOrder | Self::Impossible(_) | Self::Spent => StoreError::Unreadable("an order to refund"),
        }
    }
}

impl From<SqlError> for RefundError {
    fn from(error: SqlError) -> Self {
        Self::Store(error.into())
    }
}

impl Contention for RefundError {
    fn is_contention(&self) -> bool {
        match self {
            Self::Store(error) => error.is_contention(),
            Self::NoSuchOrder | Self::Impossible(_) | Self::Spent => false,
        }
    }
}

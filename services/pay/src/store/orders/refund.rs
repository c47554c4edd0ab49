//! What goes back: by an operator's hand, or because the channel says that it has gone back, wholly or in part.
//!
//! Each refund is a row of `pay_refunds`, taken out of the wallet by a posting of its own. What the wallet no longer holds
//! is kept as not in the books: the money is gone all the same, and somebody has to look into it. An order is `refunded`
//! once all of it is back and in the books.

use common::{
    clock::Timestamp,
    sql::{Contention, SqlError, Tx},
};

use super::{Hand, Orders, journal, pay, refund_at_channel::refund_number, row};
use crate::{
    domain::{
        Addition, Extent, Impossible, NoticeState, Order, OrderEvent, OrderId, OrderState, Refund, Step, adds, counted,
        is_back, is_told,
    },
    events,
    store::{
        PostError, StoreError,
        archive::{self, Evidence},
        outbox, refund_notices, refunds,
    },
};

/// Refunds of one order that are kept one by one. What comes beyond them is only noted.
const REFUNDS_MAX: usize = 400;

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
    /// What the channel calls the refund, if it does.
    pub(crate) refund_id: Option<String>,
    pub(crate) extent: Extent,
    /// When, if the channel says.
    pub(crate) refunded_at: Option<Timestamp>,
}

/// What became of a channel's refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// The order is refunded now.
    Refunded,
    /// A part of it is back, and out of the wallet.
    Part,
    /// It was known before.
    Repeated,
    /// It can't be counted, or the wallet no longer holds it: noted for an operator. `first`: it was not seen before.
    Noted { first: bool },
    /// There is no such payment.
    NoSuchOrder,
}

/// What a refund came to, before it is counted and told.
struct Outcome {
    order: Order,
    /// Where it was before.
    from: OrderState,
    returned: Returned,
    /// The order was moved to its end.
    ended: bool,
    /// The game server is to be told.
    told: bool,
}

/// What became of an order that goes back.
pub(super) struct Reversed {
    pub(super) step: Step,
    /// The game server is to be told.
    pub(super) told: bool,
    /// Minor units that had not gone back before.
    pub(super) left: i64,
}

impl Orders {
    /// Gives an order back in the books, or what is left of it; one that is refunded already stays as it is.
    pub(crate) async fn refund(&self, order_id: OrderId, hand: Hand<'_>) -> Result<Order, RefundError> {
        let (order, from, step, told) = self
            .database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let mut order = row::lock(&mut tx, order_id).await?.ok_or(RefundError::NoSuchOrder)?;
                let from = order.state;
                let (step, told) = self.take_back(&mut tx, &mut order, hand).await?;
                tx.commit().await?;
                Ok::<_, RefundError>((order, from, step, told))
            })
            .await?;
        let ended = matches!(step, Step::Moves(_));
        // What is under way at the channel was booked when it was asked for.
        if ended && from != OrderState::Refunding {
            self.metrics.refunded(None, "booked");
        }
        self.returned(&order, (from, ended), told);
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
        let outcome = match self.database.retrying(|| self.return_once(order_id, refund, evidence, true)).await {
            // The money is gone all the same: for a person to see to.
            Err(RefundError::Spent) => {
                self.database.retrying(|| self.return_once(order_id, refund, evidence, false)).await
            }
            outcome => outcome,
        };
        let Some(Outcome { order, from, returned, ended, told }) = outcome.map_err(RefundError::into_store)? else {
            return Ok(Returned::NoSuchOrder);
        };
        match returned {
            Returned::Refunded if from == OrderState::Refunding => {}
            Returned::Refunded | Returned::Part => self.metrics.refunded(Some(&refund.channel), "booked"),
            Returned::Noted { first: true } => self.metrics.refunded(Some(&refund.channel), "not_in_books"),
            Returned::Noted { first: false } | Returned::Repeated | Returned::NoSuchOrder => {}
        }
        self.returned(&order, (from, ended), told);
        Ok(returned)
    }

    /// `None`: there is no such payment.
    async fn return_once(
        &self,
        order_id: OrderId,
        refund: &ChannelRefund,
        evidence: Evidence<'_>,
        in_the_books: bool,
    ) -> Result<Option<Outcome>, RefundError> {
        let now = self.clock.now();
        let mut tx = self.database.begin().await?;
        let Some(order) = row::lock(&mut tx, order_id).await? else { return Ok(None) };
        let is_its_payment = order.app_id == refund.app_id
            && order.channel.as_ref() == Some(&refund.channel)
            && order.channel_order_id.as_ref() == Some(&refund.channel_order_id);
        if !is_its_payment {
            return Ok(None);
        }
        let known = refunds::of_order_in(&mut tx, order_id).await?;
        // A channel without names for its refunds repeats itself to the letter.
        let verdict = if in_the_books && refund.extent != Extent::UnknownPart { "refunded" } else { "refund_noted" };
        let first = archive::keep(&mut tx, order_id, evidence, verdict, now).await?;
        let addition = match refund.refund_id {
            _ if order.state == OrderState::Refunded => Addition::Nothing,
            None if !first => Addition::Nothing,
            ref id => adds(order.price, &known, id.as_deref(), refund.extent),
        };
        let from = order.state;
        let mut outcome = match addition {
            Addition::Nothing => {
                let returned = if first { Returned::Repeated } else { repetition(&known, refund) };
                Outcome { order, from, returned, ended: false, told: false }
            }
            _ if known.len() >= REFUNDS_MAX => {
                let (moved, reason) = ((order.state, order.state), &*refund.channel_order_id);
                let hand = Hand { actor: &refund.channel, reason };
                journal::append(&mut tx, order_id, moved, "refund_not_in_books", hand, now).await?;
                Outcome { order, from, returned: Returned::Noted { first: true }, ended: false, told: false }
            }
            Addition::Amount { .. } | Addition::Uncounted => {
                let in_the_books = in_the_books && order.state.was_paid();
                self.add(&mut tx, order, &known, refund, (addition, in_the_books)).await?
            }
        };
        self.finish(&mut tx, &mut outcome, refund, now).await?;
        tx.commit().await?;
        Ok(Some(outcome))
    }

    /// A refund that was not known: its row, its posting and its line in the journal.
    async fn add(
        &self,
        tx: &mut Tx,
        mut order: Order,
        known: &[Refund],
        refund: &ChannelRefund,
        (addition, in_the_books): (Addition, bool),
    ) -> Result<Outcome, RefundError> {
        let (now, from) = (self.clock.now(), order.state);
        let (amount, completes) = match addition {
            Addition::Amount { amount, completes } => (Some(amount), completes),
            Addition::Nothing | Addition::Uncounted => (None, false),
        };
        let in_books = in_the_books && amount.is_some();
        let ends = completes && in_books && known.iter().all(|refund| refund.amount.is_none() || refund.in_books);
        let id = refund.refund_id.as_deref().unwrap_or(&refund.channel_order_id);
        let size = amount.map_or_else(|| "uncounted".to_owned(), |amount| amount.to_string());
        let reason = format!("{size} {} ({id})", order.price.currency());
        let hand = Hand { actor: &refund.channel, reason: &reason };
        if let Some(amount) = amount
            && in_books
        {
            self.post_back(tx, &order, known, amount).await?;
        }
        let told = is_told(order.state, ends);
        let due_at = if ends { self.stop_delivery(tx, &order, order.state).await? } else { now };
        let added = Refund {
            seq: next_seq(known),
            channel: Some(refund.channel.clone()),
            channel_refund_id: refund.refund_id.clone(),
            amount,
            reason: refund.channel_order_id.clone(),
            in_books,
            refunded_at: refund.refunded_at.unwrap_or(now),
            notice: if told { NoticeState::Waiting } else { NoticeState::NotOwed },
        };
        refunds::insert(tx, &order, &added, due_at, now).await?;
        events::refund_made(tx, (&order, &added), &self.events, now).await?;
        if ends {
            // What could not be counted is a part of what is all back now.
            refunds::book(tx, order.order_id).await?;
            self.happen(tx, &mut order, OrderEvent::RefundRequested, hand, now).await??;
            self.happen(tx, &mut order, OrderEvent::Refunded, hand, now).await??;
            return Ok(Outcome { order, from, returned: Returned::Refunded, ended: true, told });
        }
        let moved = (order.state, order.state);
        let event = if in_books || amount.is_none() { "partial_refund" } else { "refund_not_in_books" };
        journal::append(tx, order.order_id, moved, event, hand, now).await?;
        let returned = if in_books { Returned::Part } else { Returned::Noted { first: true } };
        Ok(Outcome { order, from, returned, ended: false, told })
    }

    /// An order whose money was on its way back at the channel, and is back by what the channel says.
    async fn finish(
        &self,
        tx: &mut Tx,
        outcome: &mut Outcome,
        refund: &ChannelRefund,
        now: Timestamp,
    ) -> Result<(), RefundError> {
        if outcome.order.state != OrderState::Refunding {
            return Ok(());
        }
        let known = refunds::of_order_in(tx, outcome.order.order_id).await?;
        let number = refund_number(outcome.order.order_id);
        if is_back(outcome.order.price, &known, &number, refund.refund_id.as_deref(), refund.extent) {
            let hand = Hand { actor: &refund.channel, reason: &refund.channel_order_id };
            self.complete(tx, &mut outcome.order, hand, now).await?;
            (outcome.returned, outcome.ended) = (Returned::Refunded, true);
        }
        Ok(())
    }

    /// What is left of the order goes back in the books, and that is all; also of one whose money was asked back at its
    /// channel. Answers whether the game server is told besides.
    async fn take_back(&self, tx: &mut Tx, order: &mut Order, hand: Hand<'_>) -> Result<(Step, bool), RefundError> {
        let now = self.clock.now();
        if order.state == OrderState::Refunding {
            return Ok((self.complete(tx, order, hand, now).await?, false));
        }
        let Reversed { step, told, .. } = self.reverse(tx, order, hand, None).await?;
        if let Step::Moves(_) = step {
            self.happen(tx, order, OrderEvent::Refunded, hand, now).await??;
        }
        Ok((step, told))
    }

    /// Out of the wallet, out of the outbox, into the journal: what is left of the order. It is refunding. `at_channel`: its
    /// money is asked back there, with this number.
    pub(super) async fn reverse(
        &self,
        tx: &mut Tx,
        order: &mut Order,
        hand: Hand<'_>,
        at_channel: Option<&str>,
    ) -> Result<Reversed, RefundError> {
        let (now, before) = (self.clock.now(), order.state);
        let step = self.happen(tx, order, OrderEvent::RefundRequested, hand, now).await??;
        if let Step::Absorbed = step {
            return Ok(Reversed { step, told: false, left: 0 });
        }
        let known = refunds::of_order_in(tx, order.order_id).await?;
        let booked: i64 = known.iter().filter(|refund| refund.in_books).filter_map(|refund| refund.amount).sum();
        let (to_book, left) = (order.price.amount() - booked, order.price.amount() - counted(&known));
        if to_book > 0 {
            self.post_back(tx, order, &known, to_book).await?;
        }
        refunds::book(tx, order.order_id).await?;
        let due_at = self.stop_delivery(tx, order, before).await?;
        let told = left > 0 && is_told(before, true);
        if left > 0 {
            let by_hand = Refund {
                seq: next_seq(&known),
                channel: at_channel.and(order.channel.clone()),
                channel_refund_id: at_channel.map(str::to_owned),
                amount: Some(left),
                reason: hand.reason.to_owned(),
                in_books: true,
                refunded_at: now,
                notice: if told { NoticeState::Waiting } else { NoticeState::NotOwed },
            };
            refunds::insert(tx, order, &by_hand, due_at, now).await?;
            events::refund_made(tx, (order, &by_hand), &self.events, now).await?;
        }
        Ok(Reversed { step, told, left })
    }

    /// `amount` moves from the wallet back to the app.
    async fn post_back(&self, tx: &mut Tx, order: &Order, known: &[Refund], amount: i64) -> Result<(), RefundError> {
        // The first one has the key that a refund of all of it has: whoever knows of no parts takes nothing back twice.
        let is_first = !known.iter().any(|refund| refund.in_books);
        let key = match is_first {
            true => pay::key("refund", order.order_id)?,
            false => pay::key(&format!("refund-{}", next_seq(known)), order.order_id)?,
        };
        match self.ledger.post_in(tx, &pay::posting(order, -amount)?, &key).await {
            Ok(_) => Ok(()),
            Err(PostError::Overdrawn { .. }) => Err(RefundError::Spent),
            Err(error) => Err(StoreError::from(error).into()),
        }
    }

    /// The order, which was in the state `before`, is not delivered any more; and of its parts nobody is told whose game
    /// server never heard of it. Answers from when on no worker is telling it any more.
    async fn stop_delivery(&self, tx: &mut Tx, order: &Order, before: OrderState) -> Result<Timestamp, RefundError> {
        let busy_until = outbox::claimed_until(tx, order.order_id).await?;
        outbox::take_out(tx, order.order_id).await?;
        let told_from = busy_until.max(self.clock.now());
        match before {
            OrderState::Paid => refund_notices::call_off(tx, order.order_id).await?,
            _ => refund_notices::put_off(tx, order.order_id, told_from).await?,
        }
        Ok(told_from)
    }

    /// Counts a refund that is committed, of an order that was in the state `from`, and rings for whoever tells of it.
    pub(super) fn returned(&self, order: &Order, (from, ended): (OrderState, bool), told: bool) {
        match (from, ended) {
            (_, false) => {}
            (OrderState::Refunding, true) => self.moved(order, &[OrderState::Refunded]),
            (_, true) => self.moved(order, &[OrderState::Refunding, OrderState::Refunded]),
        }
        if told {
            self.wake.ring_refund(order.app_id, order.order_id);
        }
    }
}

/// The number of the next refund.
fn next_seq(known: &[Refund]) -> i32 {
    i32::try_from(known.len()).unwrap_or(i32::MAX).saturating_add(1)
}

/// What a notice that says what is known is answered.
fn repetition(known: &[Refund], refund: &ChannelRefund) -> Returned {
    let same = |of: &&Refund| refund.refund_id.is_none() || of.channel_refund_id == refund.refund_id;
    match known.iter().rev().find(same) {
        Some(Refund { in_books: false, .. }) => Returned::Noted { first: false },
        Some(_) | None => Returned::Repeated,
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

#[cfg(test)]
mod tests;

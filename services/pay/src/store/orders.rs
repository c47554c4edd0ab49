//! Orders: made once per key, paid once per payment, moved by the state machine and by nothing else.
//!
//! Whatever changes an order locks its row, asks `domain::order_state`, and writes the state, the journal, the ledger, the
//! outbox and the event in one transaction: whoever dies in the middle has done all of it or nothing.
//!
//! In reading order:
//! - `row`: `pay_orders`. `journal`: `pay_order_journal`.
//! - `create`: a new order, or the one that was made for the same key.
//! - `pay`: what a channel says was paid.
//! - `refund`: what goes back, by an operator's hand or a channel's. `refund_at_channel`: what the channel is asked for.
//!   `early_refund`: what went back before anything was paid.
//! - `rehearse`: what would become of either.
//! - `expire`, `close`: what nobody paid.

mod close;
mod create;
mod early_refund;
mod expire;
#[cfg(test)]
mod flood;
pub(crate) mod journal;
mod pay;
mod refund;
mod refund_at_channel;
mod rehearse;
pub(crate) mod row;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use common::{
    clock::{SharedClock, SharedRandom},
    events::EventOutbox,
    sql::{Database, Tx},
};

pub(crate) use self::{
    create::CreateError,
    journal::{Hand, Line},
    pay::{Receipt, Refused},
    refund::{ChannelRefund, RefundError, Returned},
    refund_at_channel::{RefundPlace, refund_number},
};
use super::{Ledger, StoreError};
use crate::{
    delivery::Wake,
    domain::{Impossible, Order, OrderEvent, OrderId, OrderState, QuestionPlan, Step, advance},
    events,
    metrics::OrderMetrics,
};

/// Every order. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Orders {
    pub(super) database: Database,
    pub(super) ledger: Ledger,
    pub(super) clock: SharedClock,
    pub(super) random: SharedRandom,
    pub(super) metrics: Arc<OrderMetrics>,
    pub(super) wake: Wake,
    /// What a data warehouse is told of.
    pub(super) events: EventOutbox,
    /// How long a player may take to pay.
    pub(super) ttl: Duration,
    /// When channels are asked about orders.
    pub(super) plan: Arc<QuestionPlan>,
}

impl Orders {
    pub(crate) fn new(
        ledger: Ledger,
        metrics: Arc<OrderMetrics>,
        wake: Wake,
        ttl: Duration,
        plan: QuestionPlan,
        events: EventOutbox,
    ) -> Self {
        let (database, clock, random) = ledger.stands_on();
        Self { database, ledger, clock, random, metrics, wake, events, ttl, plan: Arc::new(plan) }
    }

    /// An order as it is now; `None` when there is none.
    pub(crate) async fn find(&self, order_id: OrderId) -> Result<Option<Order>, StoreError> {
        row::find(&self.database, order_id).await
    }

    /// What happened to it, oldest first.
    pub(crate) async fn journal(&self, order_id: OrderId) -> Result<Vec<Line>, StoreError> {
        journal::of_order(&self.database, order_id).await
    }

    /// Counts moves that are committed.
    pub(crate) fn moved(&self, order: &Order, moves: &[OrderState]) {
        self.metrics.moved(order.channel.as_deref(), moves);
    }

    /// Lets `event` happen to an order that is locked: moves it and says so in the journal, or changes nothing. What else may
    /// change of the order is set before; the row is written when it moves.
    pub(crate) async fn happen(
        &self,
        tx: &mut Tx,
        order: &mut Order,
        event: OrderEvent,
        hand: Hand<'_>,
        now: common::clock::Timestamp,
    ) -> Result<Result<Step, Impossible>, StoreError> {
        let step = match advance(order.state, event) {
            Ok(step) => step,
            Err(impossible) => return Ok(Err(impossible)),
        };
        if let Step::Moves(next) = step {
            let moved = (order.state, next);
            order.state = next;
            row::update(tx, order, now).await?;
            common::crash_point!("transition", event.as_str());
            journal::append(tx, order.order_id, moved, event.as_str(), hand, now).await?;
            events::order_moved(tx, order, &self.events, now).await?;
            common::crash_point!("journal", event.as_str());
        }
        Ok(Ok(step))
    }
}

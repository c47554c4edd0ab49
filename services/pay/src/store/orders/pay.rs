//! What a channel says was paid: compared with the order, and written with everything that follows from it.

use common::{
    clock::Timestamp,
    sql::{SqlError, Tx},
};

use super::{Hand, Orders, early_refund, journal, row};
use crate::{
    domain::{
        Entry, IdempotencyKey, Impossible, Mismatch, Order, OrderEvent, OrderId, OrderState, Owner, Payment, Posting,
        Step,
    },
    store::{
        StoreError,
        archive::{self, Evidence},
        channel_tasks::{self, Owed},
        outbox, products,
    },
};

/// What became of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Receipt {
    /// The order is paid now.
    Paid,
    /// The order was paid with this payment before.
    Repeated,
    /// It is not believed; `first`: this very callback was not seen before.
    Refused { why: Refused, first: bool },
    /// There is no such order.
    NoSuchOrder,
}

/// Why an authentic payment is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The order was given up.
    #[error(transparent)]
    Impossible(#[from] Impossible),
    /// The order is paid already, with another payment.
    #[error("the order is paid already, with another payment")]
    PaidTwice,
    /// The payment has paid for another order.
    #[error("the payment has paid for another order")]
    OtherOrder,
    /// The channel has given the money back before an order was paid with it.
    #[error("the channel has taken the payment back")]
    TakenBack,
}

impl Orders {
    /// Takes a payment that its channel vouches for.
    pub(crate) async fn pay(&self, payment: &Payment, evidence: Evidence<'_>) -> Result<Receipt, StoreError> {
        self.pay_and(&payment.channel, payment, evidence, None).await
    }

    /// The same, with `actor` in the journal: whoever has told us of the payment.
    pub(crate) async fn pay_as(
        &self,
        actor: &str,
        payment: &Payment,
        evidence: Evidence<'_>,
    ) -> Result<Receipt, StoreError> {
        self.pay_and(actor, payment, evidence, None).await
    }

    /// The same of a channel that has to be told once the order is paid: that it is owed is written with the payment.
    pub(crate) async fn pay_owing(
        &self,
        payment: &Payment,
        evidence: Evidence<'_>,
        owed: Owed<'_>,
    ) -> Result<Receipt, StoreError> {
        self.pay_and(&payment.channel, payment, evidence, Some(owed)).await
    }

    async fn pay_and(
        &self,
        actor: &str,
        payment: &Payment,
        evidence: Evidence<'_>,
        owed: Option<Owed<'_>>,
    ) -> Result<Receipt, StoreError> {
        // Channels repeat themselves: what is known already takes no lock.
        if let Some(order) = self.find(payment.order_id).await?
            && order.state.was_paid()
            && is_of(&order, payment)
            && order.compare_price(payment.charged).is_ok()
        {
            return Ok(Receipt::Repeated);
        }
        let (receipt, order) = self.database.retrying(|| self.pay_once(actor, payment, evidence, owed)).await?;
        if let (Receipt::Paid, Some(order)) = (&receipt, order) {
            // Committed: from here on the worker may tell the game server.
            self.wake.ring(order.app_id, order.order_id);
            self.moved(&order, &[OrderState::Paid]);
        }
        Ok(receipt)
    }

    async fn pay_once(
        &self,
        actor: &str,
        payment: &Payment,
        evidence: Evidence<'_>,
        owed: Option<Owed<'_>>,
    ) -> Result<(Receipt, Option<Order>), StoreError> {
        let now = self.clock.now();
        let mut tx = self.database.begin().await?;
        let Some(mut order) = row::lock(&mut tx, payment.order_id).await? else {
            return Ok((Receipt::NoSuchOrder, None));
        };
        common::crash_point!("locked");
        let why = match judge(&mut tx, &order, payment).await? {
            Ok(()) => match self.take(&mut tx, &mut order, (actor, payment), now).await? {
                Ok(Step::Absorbed) => return Ok((Receipt::Repeated, None)),
                Ok(Step::Moves(_)) => {
                    if let Some(owed) = owed {
                        channel_tasks::put(&mut tx, &order, owed, now).await?;
                    }
                    archive::keep(&mut tx, order.order_id, evidence, "paid", now).await?;
                    common::crash_point!("committing");
                    tx.commit().await?;
                    common::crash_point!("committed");
                    return Ok((Receipt::Paid, Some(order)));
                }
                Err(impossible) => Refused::Impossible(impossible),
            },
            // Another app learns nothing of this one's orders, and writes nothing into them.
            Err(Refused::Mismatch(Mismatch::App)) => return Ok((Receipt::NoSuchOrder, None)),
            Err(why) => why,
        };
        let first = archive::keep(&mut tx, order.order_id, evidence, why.kind(), now).await?;
        if first {
            let (moved, reason) = ((order.state, order.state), format!("{why} ({})", payment.channel_order_id));
            let hand = Hand { actor, reason: &reason };
            journal::append(&mut tx, order.order_id, moved, "refused_payment", hand, now).await?;
            tx.commit().await?;
        }
        Ok((Receipt::Refused { why, first }, None))
    }

    /// The order is paid: state, journal, wallet and outbox.
    async fn take(
        &self,
        tx: &mut Tx,
        order: &mut Order,
        (actor, payment): (&str, &Payment),
        now: Timestamp,
    ) -> Result<Result<Step, Impossible>, StoreError> {
        let before = order.clone();
        order.channel = Some(payment.channel.clone());
        order.channel_order_id = Some(payment.channel_order_id.clone());
        order.paid_at = Some(payment.paid_at);
        let hand = Hand { actor, reason: &payment.channel_order_id };
        let step = match self.happen(tx, order, OrderEvent::Paid, hand, now).await {
            // Another order took the payment since it was looked for: looked at again, it is refused for that.
            Err(StoreError::Sql(SqlError::UniqueViolation { .. })) => return Err(StoreError::Raced),
            step => step?,
        };
        match step {
            Ok(Step::Moves(_)) => {
                self.ledger.post_in(tx, &top_up(order)?, &key("order", order.order_id)?).await?;
                common::crash_point!("ledger");
                outbox::put(tx, order, now).await?;
                common::crash_point!("outbox");
            }
            Ok(Step::Absorbed) | Err(_) => *order = before,
        }
        Ok(step)
    }
}

/// Whether an order that is paid was paid with this payment.
fn is_of(order: &Order, payment: &Payment) -> bool {
    order.channel.as_ref() == Some(&payment.channel)
        && order.channel_order_id.as_ref() == Some(&payment.channel_order_id)
        && order.app_id == payment.app_id
}

/// Whether an order can be paid with this payment, or was.
pub(super) async fn judge(tx: &mut Tx, order: &Order, payment: &Payment) -> Result<Result<(), Refused>, StoreError> {
    let channel_product = match &payment.channel_product {
        None => None,
        Some(_) => {
            let product = products::find_in(tx, order.app_id, &order.product_id).await?;
            product.and_then(|product| product.channel_products().get(&payment.channel).cloned())
        }
    };
    // A repetition is one whatever became of the catalogue since.
    if order.state.was_paid() {
        return Ok(match (order.app_id == payment.app_id, is_of(order, payment)) {
            (false, _) => Err(Mismatch::App.into()),
            // The same number, and suddenly another price: not the payment that it says it is.
            (true, true) => order.compare_price(payment.charged).map_err(Refused::from),
            (true, false) => Err(Refused::PaidTwice),
        });
    }
    if let Err(mismatch) = order.compare(payment, channel_product.as_deref()) {
        return Ok(Err(mismatch.into()));
    }
    Ok(match row::of_payment(tx, &payment.channel, &payment.channel_order_id).await? {
        Some(other) if other != order.order_id => Err(Refused::OtherOrder),
        Some(_) | None if early_refund::is_taken_back(tx, payment).await? => Err(Refused::TakenBack),
        Some(_) | None => Ok(()),
    })
}

/// What the player bought the wallet for: the app's side gives it.
pub(super) fn top_up(order: &Order) -> Result<Posting, StoreError> {
    posting(order, order.price.amount())
}

/// `amount` moves from the app to the player's wallet.
pub(super) fn posting(order: &Order, amount: i64) -> Result<Posting, StoreError> {
    let currency = order.price.currency();
    let entry = |owner, amount| Entry { owner, currency, amount };
    let entries = vec![entry(Owner::Player(order.account_id), amount), entry(Owner::App, -amount)];
    Posting::new(order.app_id, entries).map_err(|_| StoreError::Unreadable("an order that makes no posting"))
}

/// The ledger's own guard against the same thing twice, behind the state machine's.
pub(super) fn key(what: &str, order_id: OrderId) -> Result<IdempotencyKey, StoreError> {
    IdempotencyKey::parse(&format!("{what}:{order_id}")).map_err(|_| StoreError::Unreadable("an order's key"))
}

impl Refused {
    /// The closed set, as it is archived and counted.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Mismatch(mismatch) => mismatch.kind(),
            Self::Impossible(_) => "impossible",
            Self::PaidTwice => "paid_twice",
            Self::OtherOrder => "other_order",
            Self::TakenBack => "taken_back",
        }
    }
}

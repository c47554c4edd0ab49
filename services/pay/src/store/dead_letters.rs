//! What game servers were told in vain, for operators: dead letters page by page, and many of them sent again.

use common::{
    clock::Timestamp,
    sql::{Sql, SqlError, Text, Tx},
};

use super::{
    StoreError,
    orders::{Hand, Orders, journal, row},
};
use crate::domain::{Currency, Money, OrderId, OrderState};

/// Orders that are put back in one transaction. Their rows are locked for as long as it runs.
const STEP: usize = 50;

/// Dead letters are due when they were given up.
const PAGE: &str = "SELECT o.order_id, o.app_id, o.account_id, o.product_id, o.amount, o.currency, o.state, o.paid_at, \
     x.attempts, x.due_at, d.outcome, d.status, d.detail \
     FROM pay_outbox AS x JOIN pay_orders AS o ON o.order_id = x.order_id \
     LEFT JOIN pay_deliveries AS d ON d.order_id = x.order_id AND d.attempt = x.attempts \
     WHERE x.app_id = ? AND x.dead = 1 AND x.due_at >= ? AND (x.due_at > ? OR x.order_id > ?) \
     ORDER BY x.due_at, x.order_id LIMIT ?";

const PAGE_OF_ALL: &str = "SELECT o.order_id, o.app_id, o.account_id, o.product_id, o.amount, o.currency, o.state, o.paid_at, \
     x.attempts, x.due_at, d.outcome, d.status, d.detail \
     FROM pay_outbox AS x JOIN pay_orders AS o ON o.order_id = x.order_id \
     LEFT JOIN pay_deliveries AS d ON d.order_id = x.order_id AND d.attempt = x.attempts \
     WHERE x.dead = 1 AND x.due_at >= ? AND (x.due_at > ? OR x.order_id > ?) \
     ORDER BY x.due_at, x.order_id LIMIT ?";

const DEAD: &str = "SELECT order_id FROM pay_outbox WHERE app_id = ? AND dead = 1 ORDER BY due_at LIMIT ?";

/// What is due already needs no help.
const PUT_OFF: &str = "SELECT order_id FROM pay_outbox WHERE app_id = ? AND dead = 0 AND due_at > ? \
     ORDER BY due_at DESC LIMIT ?";

/// Only what is still as it was when it was looked for: a second request of the same kind finds nothing to do.
const AGAIN: Sql = Sql::Same(
    "UPDATE pay_outbox SET dead = 0, failures = 0, due_at = ? WHERE order_id = ? AND (dead = 1 OR due_at > ?)",
);

/// A paid order that nobody tells its game server of any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) order_id: OrderId,
    pub(crate) app_id: i64,
    pub(crate) account_id: i64,
    pub(crate) product_id: String,
    pub(crate) price: Money,
    pub(crate) state: OrderState,
    pub(crate) paid_at: Option<Timestamp>,
    /// How often the game server was told.
    pub(crate) attempts: i32,
    pub(crate) given_up_at: Timestamp,
    /// What came of the last attempt; `None`: it is forgotten.
    pub(crate) last: Option<LastAttempt>,
}

/// How the last attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastAttempt {
    pub(crate) outcome: String,
    pub(crate) status: Option<i32>,
    pub(crate) detail: String,
}

/// A place in the list of dead letters: behind this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) given_up_at: Timestamp,
    pub(crate) order_id: OrderId,
}

/// Which orders are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// Those that were given up.
    Dead,
    /// Those, and whatever waits for its next attempt.
    All,
}

#[derive(sqlx::FromRow)]
struct Row {
    order_id: Text,
    app_id: i64,
    account_id: i64,
    product_id: Text,
    amount: i64,
    currency: Text,
    state: i16,
    paid_at: Option<i64>,
    attempts: i32,
    due_at: i64,
    outcome: Option<Text>,
    status: Option<i32>,
    detail: Option<Text>,
}

impl Orders {
    /// Up to `most` dead letters, of one app or of all, those given up first first; only those behind `behind`.
    pub(crate) async fn dead_letters(
        &self,
        app_id: Option<i64>,
        behind: Option<Behind>,
        most: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let given_up_at = behind.map_or(i64::MIN, |behind| behind.given_up_at.as_millis());
        let order_id = behind.map_or_else(String::new, |behind| behind.order_id.to_string());
        let query = match app_id {
            Some(app_id) => self.database.read(PAGE).bind(app_id),
            None => self.database.read(PAGE_OF_ALL),
        };
        let query = query.bind(given_up_at).bind(given_up_at).bind(order_id).bind(i64::from(most));
        query.all::<Row>().await?.into_iter().map(DeadLetter::try_from).collect()
    }

    /// Has up to `most` orders of an app sent again, from the beginning of the schedule; answers how many it did. In steps:
    /// what is done stays done if a later step fails.
    pub(crate) async fn redeliver_many(
        &self,
        app_id: i64,
        which: Undelivered,
        most: u32,
        hand: Hand<'_>,
    ) -> Result<u32, StoreError> {
        let mut found = self.undelivered(app_id, which, most).await?;
        // Everybody who locks several of them does it in this order.
        found.sort_unstable();
        let mut again = 0;
        for step in found.chunks(STEP) {
            let done = self.database.retrying(|| self.redeliver_step(step, hand)).await?;
            for order_id in &done {
                self.wake.ring(app_id, *order_id);
            }
            again += u32::try_from(done.len()).unwrap_or(u32::MAX);
        }
        Ok(again)
    }

    async fn undelivered(&self, app_id: i64, which: Undelivered, most: u32) -> Result<Vec<OrderId>, StoreError> {
        let mut found: Vec<(Text,)> = self.database.read(DEAD).bind(app_id).bind(i64::from(most)).all().await?;
        let room = i64::from(most).saturating_sub(i64::try_from(found.len()).unwrap_or(i64::MAX));
        if which == Undelivered::All && room > 0 {
            let now = self.clock.now().as_millis();
            found.extend(self.database.read(PUT_OFF).bind(app_id).bind(now).bind(room).all::<(Text,)>().await?);
        }
        found.iter().map(|(order_id,)| row::order_id(order_id)).collect()
    }

    async fn redeliver_step(&self, step: &[OrderId], hand: Hand<'_>) -> Result<Vec<OrderId>, StoreError> {
        let (mut tx, now, mut done) = (self.database.begin().await?, self.clock.now(), Vec::with_capacity(step.len()));
        for order_id in step {
            // Refunded meanwhile, or acknowledged: nobody is to be told any more.
            let Some(order) = row::lock(&mut tx, *order_id).await? else { continue };
            if order.state.is_deliverable() && put_back(&mut tx, *order_id, now).await? {
                let unmoved = (order.state, order.state);
                journal::append(&mut tx, *order_id, unmoved, "redelivery_requested", hand, now).await?;
                done.push(*order_id);
            }
        }
        tx.commit().await?;
        Ok(done)
    }
}

async fn put_back(tx: &mut Tx, order_id: OrderId, now: Timestamp) -> Result<bool, SqlError> {
    let now = now.as_millis();
    let rows = tx.sql(AGAIN).bind(now).bind(order_id.as_str()).bind(now).execute().await?;
    Ok(rows == 1)
}

impl TryFrom<Row> for DeadLetter {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let currency = Currency::parse(&row.currency).map_err(|_| StoreError::Unreadable("currency"))?;
        let last = row.outcome.map(|outcome| LastAttempt {
            outcome: outcome.into(),
            status: row.status,
            detail: row.detail.map(String::from).unwrap_or_default(),
        });
        Ok(Self {
            order_id: row::order_id(&row.order_id)?,
            app_id: row.app_id,
            account_id: row.account_id,
            product_id: row.product_id.into(),
            price: Money::new(row.amount, currency).map_err(|_| StoreError::Unreadable("amount"))?,
            state: row::state(row.state)?,
            paid_at: row.paid_at.map(Timestamp::from_millis),
            attempts: row.attempts,
            given_up_at: Timestamp::from_millis(row.due_at),
            last,
        })
    }
}

//! What channels still have to be told of payments: `pay_channel_tasks`.
//!
//! A row is written in the transaction that pays the order, so that no purchase is paid here and forgotten at its channel.
//! Whoever works on it claims it for a while; a claim that is not given back runs out: whoever held it is dead.

use std::time::Duration;

use common::{
    clock::{SharedClock, Timestamp},
    sql::{Database, Sql, SqlError, Text, Tx},
};
use uuid::Uuid;

use super::{
    StoreError,
    orders::{Hand, journal, row},
    outbox::Claim,
};
use crate::domain::{Order, OrderId, OrderState};

const INSERT: &str = "INSERT INTO pay_channel_tasks \
     (order_id, app_id, channel, product_id, purchase_token, dead, failures, due_at, claim, claimed_until, created_at) \
     VALUES (?, ?, ?, ?, ?, 0, 0, ?, NULL, 0, ?)";

const DUE: Sql = Sql::Each {
    mysql: "SELECT order_id, app_id, channel, product_id, purchase_token, failures, created_at FROM pay_channel_tasks \
            WHERE dead = 0 AND due_at <= ? AND claimed_until <= ? ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT order_id, app_id, channel, product_id, purchase_token, failures, created_at FROM pay_channel_tasks \
             WHERE dead = 0 AND due_at <= ? AND claimed_until <= ? ORDER BY due_at LIMIT ?",
};

const STATE: &str = "SELECT state FROM pay_orders WHERE order_id = ?";

const CLAIM: &str = "UPDATE pay_channel_tasks SET claim = ?, claimed_until = ? WHERE order_id = ?";

const DONE: &str = "DELETE FROM pay_channel_tasks WHERE order_id = ? AND claim = ?";

const TAKE_OUT: &str = "DELETE FROM pay_channel_tasks WHERE order_id = ?";

const PUT_OFF: &str = "UPDATE pay_channel_tasks SET failures = ?, due_at = ?, dead = ?, claim = NULL, claimed_until = 0 \
     WHERE order_id = ? AND claim = ?";

const BACKLOG: &str = "SELECT dead, COUNT(*), MIN(created_at) FROM pay_channel_tasks GROUP BY dead";

/// A purchase that its channel has to be told of once its order is paid.
#[derive(Clone, Copy)]
pub(crate) struct Owed<'a> {
    /// By the channel's name for it.
    pub(crate) product_id: &'a str,
    /// What identifies it to the channel.
    pub(crate) purchase_token: &'a str,
}

/// What identifies a purchase to its channel. Not printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PurchaseToken(pub(crate) String);

/// What somebody has claimed: nobody else tells the channel, until the claim runs out.
#[derive(Clone, Debug)]
pub(crate) struct ChannelTask {
    pub(crate) order_id: OrderId,
    pub(crate) app_id: i64,
    pub(crate) channel: String,
    pub(crate) product_id: String,
    pub(crate) purchase_token: PurchaseToken,
    /// How often it failed.
    pub(crate) failures: u32,
    /// Since when the channel has to be told.
    pub(crate) since: Timestamp,
}

/// What is to become of a task after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then<'a> {
    /// The channel knows; or, for this reason, need not know any more.
    Done { event: &'static str, reason: &'a str },
    /// It is tried again.
    At(Timestamp),
    /// It was tried for long enough.
    Dead { reason: &'a str },
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TaskBacklog {
    /// To be told.
    pub(crate) waiting: i64,
    /// Since when the oldest of them waits.
    pub(crate) oldest: Option<Timestamp>,
    /// Given up.
    pub(crate) dead: i64,
}

/// Every task. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ChannelTasks {
    database: Database,
    clock: SharedClock,
}

type DueRow = (Text, i64, Text, Text, Text, i32, i64);

/// The channel has to be told of a paid order: due at once.
pub(super) async fn put(tx: &mut Tx, order: &Order, owed: Owed<'_>, now: Timestamp) -> Result<(), SqlError> {
    tx.sql(INSERT)
        .bind(order.order_id.as_str())
        .bind(order.app_id)
        .bind(order.channel.as_deref().unwrap_or_default())
        .bind(owed.product_id)
        .bind(owed.purchase_token)
        .bind(now.as_millis())
        .bind(now.as_millis())
        .execute()
        .await
        .map(drop)
}

impl ChannelTasks {
    pub(crate) fn new(database: Database, clock: SharedClock) -> Self {
        Self { database, clock }
    }

    /// Claims up to `most` of what is due, what has waited longest first; the number is that of the rows looked at, some of
    /// which may be over.
    pub(crate) async fn claim_due(&self, most: u32, claim: Claim) -> Result<(usize, Vec<ChannelTask>), StoreError> {
        self.database.retrying(|| self.claim_once(most, claim)).await
    }

    async fn claim_once(&self, most: u32, claim: Claim) -> Result<(usize, Vec<ChannelTask>), StoreError> {
        let (mut tx, now) = (self.database.begin().await?, self.clock.now().as_millis());
        let rows: Vec<DueRow> = tx.sql(DUE).bind(now).bind(now).bind(i64::from(most)).all().await?;
        let (looked_at, mut claimed) = (rows.len(), Vec::with_capacity(rows.len()));
        for row in rows {
            let task = ChannelTask::read(row)?;
            let id = task.order_id.as_str();
            let state: Option<(i16,)> = tx.sql(STATE).bind(id).optional().await?;
            match state.map(|(state,)| row::state(state)).transpose()? {
                // What was taken back needs no acknowledgement: without one the channel gives the money back itself.
                None | Some(OrderState::Refunding | OrderState::Refunded) => {
                    tx.sql(TAKE_OUT).bind(id).execute().await?;
                }
                Some(_) => {
                    let worker = claim.worker.as_bytes();
                    let query = tx.sql(CLAIM).bind(&worker[..]).bind(claim.until.as_millis()).bind(id);
                    query.execute().await?;
                    claimed.push(task);
                }
            }
        }
        tx.commit().await?;
        Ok((looked_at, claimed))
    }

    /// Writes down what came of an attempt; `false`: somebody else has the task by now, and it stays as they leave it.
    pub(crate) async fn settle(&self, task: &ChannelTask, worker: Uuid, then: Then<'_>) -> Result<bool, StoreError> {
        self.database.retrying(|| self.settle_once(task, worker, then)).await
    }

    async fn settle_once(&self, task: &ChannelTask, worker: Uuid, then: Then<'_>) -> Result<bool, StoreError> {
        let (mut tx, now, id) = (self.database.begin().await?, self.clock.now(), task.order_id);
        let order = row::lock(&mut tx, id).await?.ok_or(StoreError::Unreadable("an order with a channel task"))?;
        let put_off = |due_at: Timestamp, dead: i32| {
            let failures = i32::try_from(task.failures.saturating_add(1)).unwrap_or(i32::MAX);
            (failures, due_at.as_millis(), dead)
        };
        let (rows, line) = match then {
            Then::Done { event, reason } => {
                let rows = tx.sql(DONE).bind(id.as_str()).bind(&worker.as_bytes()[..]).execute().await?;
                (rows, Some((event, reason)))
            }
            Then::At(due_at) => (update(&mut tx, id, worker, put_off(due_at, 0)).await?, None),
            Then::Dead { reason } => {
                let rows = update(&mut tx, id, worker, put_off(now, 1)).await?;
                (rows, Some(("channel_acknowledgement_given_up", reason)))
            }
        };
        if rows != 1 {
            return Ok(false);
        }
        if let Some((event, reason)) = line {
            let hand = Hand { actor: "worker", reason };
            journal::append(&mut tx, id, (order.state, order.state), event, hand, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// How much waits, in all apps.
    pub(crate) async fn backlog(&self) -> Result<TaskBacklog, SqlError> {
        let rows: Vec<(i16, i64, i64)> = self.database.read(BACKLOG).all().await?;
        let mut backlog = TaskBacklog::default();
        for (dead, count, oldest) in rows {
            match dead {
                0 => (backlog.waiting, backlog.oldest) = (count, Some(Timestamp::from_millis(oldest))),
                _ => backlog.dead = count,
            }
        }
        Ok(backlog)
    }
}

async fn update(
    tx: &mut Tx,
    order_id: OrderId,
    worker: Uuid,
    (failures, due_at, dead): (i32, i64, i32),
) -> Result<u64, SqlError> {
    let query = tx.sql(PUT_OFF).bind(failures).bind(due_at).bind(dead).bind(order_id.as_str());
    query.bind(&worker.as_bytes()[..]).execute().await
}

impl ChannelTask {
    fn read((order_id, app_id, channel, product_id, token, failures, since): DueRow) -> Result<Self, StoreError> {
        Ok(Self {
            order_id: row::order_id(&order_id)?,
            app_id,
            channel: channel.into(),
            product_id: product_id.into(),
            purchase_token: PurchaseToken(token.into()),
            failures: u32::try_from(failures).unwrap_or(0),
            since: Timestamp::from_millis(since),
        })
    }

    /// For how long the channel has had to be told.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        now.since(self.since)
    }
}

impl std::fmt::Debug for PurchaseToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PurchaseToken(***)")
    }
}

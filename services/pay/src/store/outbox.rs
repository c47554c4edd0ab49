//! What game servers still have to be told (`pay_outbox`), and what became of every attempt (`pay_deliveries`).
//!
//! Refunds are told by the same worker: see `refund_notices`.
//!
//! A worker claims a row for a while, tells the game server, and writes down what came of it. A claim that is not given
//! back runs out: whoever held it is dead, and another worker tells the game server again.

use std::time::Duration;

use common::{
    clock::Timestamp,
    sql::{Database, Sql, SqlError, Text, Tx},
};
use uuid::Uuid;

use super::{
    StoreError,
    orders::{Hand, Orders, journal, row},
    refund_notices::{self, RefundNotice},
};
use crate::domain::{Order, OrderEvent, OrderId, OrderState, Step};

const INSERT: &str = "INSERT INTO pay_outbox \
     (order_id, app_id, dead, attempts, failures, due_at, claim, claimed_until, created_at) \
     VALUES (?, ?, 0, ?, 0, ?, NULL, 0, ?)";

const DUE_APPS: &str = "SELECT DISTINCT app_id FROM pay_outbox WHERE dead = 0 AND due_at <= ? LIMIT ?";

const DUE: Sql = Sql::Each {
    mysql: "SELECT order_id, attempts, failures, created_at FROM pay_outbox \
            WHERE app_id = ? AND dead = 0 AND due_at <= ? AND claimed_until <= ? \
            ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT order_id, attempts, failures, created_at FROM pay_outbox \
             WHERE app_id = ? AND dead = 0 AND due_at <= ? AND claimed_until <= ? ORDER BY due_at LIMIT ?",
};

const DUE_ONE: Sql = Sql::Each {
    mysql: "SELECT order_id, attempts, failures, created_at FROM pay_outbox \
            WHERE order_id = ? AND dead = 0 AND due_at <= ? AND claimed_until <= ? FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT order_id, attempts, failures, created_at FROM pay_outbox \
             WHERE order_id = ? AND dead = 0 AND due_at <= ? AND claimed_until <= ?",
};

const CLAIM: &str = "UPDATE pay_outbox SET claim = ?, claimed_until = ?, attempts = ? WHERE order_id = ?";

const DONE: &str = "DELETE FROM pay_outbox WHERE order_id = ? AND claim = ?";

/// 0: nobody is telling it.
const CLAIMED_UNTIL: &str = "SELECT claimed_until FROM pay_outbox WHERE order_id = ?";

const TAKE_OUT: &str = "DELETE FROM pay_outbox WHERE order_id = ?";

const PUT_OFF: &str = "UPDATE pay_outbox SET failures = ?, due_at = ?, dead = ?, claim = NULL, claimed_until = 0 \
     WHERE order_id = ? AND claim = ?";

const GIVE_BACK: &str = "UPDATE pay_outbox SET claim = NULL, claimed_until = 0 WHERE claim = ?";

const AGAIN: &str = "UPDATE pay_outbox SET dead = 0, failures = 0, due_at = ? WHERE order_id = ?";

const INSERT_DELIVERY: &str = "INSERT INTO pay_deliveries \
     (order_id, attempt, outcome, status, detail, at, duration_ms) VALUES (?, ?, ?, ?, ?, ?, ?)";

const LAST_ATTEMPT: &str = "SELECT COALESCE(MAX(attempt), 0) FROM pay_deliveries WHERE order_id = ?";

/// An order has its schedule's worth of them, and one for every time that somebody sends it again.
const DELIVERIES: &str = "SELECT attempt, outcome, status, detail, at, duration_ms FROM pay_deliveries \
     WHERE order_id = ? ORDER BY attempt LIMIT 500";

const BACKLOG: &str = "SELECT dead, COUNT(*), MIN(created_at) FROM pay_outbox GROUP BY dead";

/// So many apps are looked after at once; the others follow when some of these have nothing due.
const APPS_AT_ONCE: i64 = 1000;

pub(super) const DETAIL_BYTES_MAX: usize = 256;

/// What a worker has claimed: it alone tells the game server, until the claim runs out.
#[derive(Clone, Debug)]
pub(crate) struct Claimed {
    pub(crate) order: Order,
    /// What it is about.
    pub(crate) matter: Matter,
    /// Counts up from 1 for as long as the order lives.
    pub(crate) attempt: i32,
    /// How often it failed since it was put in or sent again by hand.
    pub(crate) failures: u32,
    /// When it was put in.
    pub(crate) since: Timestamp,
}

/// What game servers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// That an order is paid, at `delivery_url`.
    Payment,
    /// That something went back, at `refund_url`.
    Refund,
}

/// What one game server is told.
#[derive(Clone, Debug)]
pub(crate) enum Matter {
    Payment,
    Refund(RefundNotice),
}

/// Under which name a worker claims, and until when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) worker: Uuid,
    pub(crate) until: Timestamp,
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) attempt: i32,
    pub(crate) outcome: String,
    pub(crate) status: Option<i32>,
    /// For operators. Holds nothing secret.
    pub(crate) detail: String,
    pub(crate) at: Timestamp,
    pub(crate) duration: Duration,
}

/// What is to become of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The game server has acknowledged.
    Done,
    /// It is tried again.
    At(Timestamp),
    /// It was tried often enough.
    Dead,
    /// The app has no target for what it would be told. Only of refunds.
    NotWanted,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// To be told.
    pub(crate) waiting: i64,
    /// Since when the oldest of them waits.
    pub(crate) oldest: Option<Timestamp>,
    /// Given up.
    pub(crate) dead: i64,
}

/// Why an order is not sent again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedeliverError {
    #[error("there is no such order")]
    NoSuchOrder,
    #[error("an order that is {0} is not delivered")]
    NotDeliverable(OrderState),
    #[error(transparent)]
    Store(#[from] StoreError),
}

type DueRow = (Text, i32, i32, i64);

impl Claimed {
    /// What it is about.
    pub(crate) fn kind(&self) -> Kind {
        match self.matter {
            Matter::Payment => Kind::Payment,
            Matter::Refund(_) => Kind::Refund,
        }
    }
}

/// Puts a paid order in: due at once.
pub(super) async fn put(tx: &mut Tx, order: &Order, now: Timestamp) -> Result<(), SqlError> {
    insert(tx, order, 0, now).await
}

/// Nobody is told of the order any more.
pub(super) async fn take_out(tx: &mut Tx, order_id: OrderId) -> Result<(), SqlError> {
    tx.sql(TAKE_OUT).bind(order_id.as_str()).execute().await.map(drop)
}

/// Until when a worker may be telling an order; long ago: none is.
pub(super) async fn claimed_until(tx: &mut Tx, order_id: OrderId) -> Result<Timestamp, SqlError> {
    let row: Option<(i64,)> = tx.sql(CLAIMED_UNTIL).bind(order_id.as_str()).optional().await?;
    Ok(Timestamp::from_millis(row.map_or(0, |(until,)| until)))
}

async fn insert(tx: &mut Tx, order: &Order, attempts: i32, now: Timestamp) -> Result<(), SqlError> {
    tx.sql(INSERT)
        .bind(order.order_id.as_str())
        .bind(order.app_id)
        .bind(attempts)
        .bind(now.as_millis())
        .bind(now.as_millis())
        .execute()
        .await
        .map(drop)
}

impl Orders {
    /// Apps that have something due, and what.
    pub(crate) async fn due_apps(&self) -> Result<Vec<(i64, Kind)>, StoreError> {
        let now = self.clock.now().as_millis();
        let payments: Vec<(i64,)> = self.database.read(DUE_APPS).bind(now).bind(APPS_AT_ONCE).all().await?;
        let refunds = self.apps_with_due_refunds().await?;
        let payments = payments.into_iter().map(|(app_id,)| (app_id, Kind::Payment));
        Ok(payments.chain(refunds.into_iter().map(|app_id| (app_id, Kind::Refund))).collect())
    }

    /// Claims up to `most` of what is due in an app, oldest first.
    pub(crate) async fn claim_due(
        &self,
        (app_id, kind): (i64, Kind),
        most: usize,
        claim: Claim,
    ) -> Result<Vec<Claimed>, StoreError> {
        if kind == Kind::Refund {
            return self.claim_due_refunds(app_id, most, claim).await;
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.database
            .retrying(|| async {
                let (mut tx, now) = (self.database.begin().await?, self.clock.now());
                let due = tx.sql(DUE).bind(app_id).bind(now.as_millis()).bind(now.as_millis()).bind(most);
                let rows = due.all().await?;
                self.claim(tx, rows, claim, now).await
            })
            .await
    }

    /// Claims what one order has due, if nobody has it.
    pub(crate) async fn claim_one(
        &self,
        order_id: OrderId,
        kind: Kind,
        claim: Claim,
    ) -> Result<Vec<Claimed>, StoreError> {
        if kind == Kind::Refund {
            return self.claim_refund_of(order_id, claim).await;
        }
        self.database
            .retrying(|| async {
                let (mut tx, now) = (self.database.begin().await?, self.clock.now());
                let due = tx.sql(DUE_ONE).bind(order_id.as_str()).bind(now.as_millis()).bind(now.as_millis());
                let rows = due.all().await?;
                self.claim(tx, rows, claim, now).await
            })
            .await
    }

    async fn claim(
        &self,
        mut tx: Tx,
        rows: Vec<DueRow>,
        claim: Claim,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, StoreError> {
        let (mut claimed, mut moved) = (Vec::with_capacity(rows.len()), Vec::new());
        for (order_id, attempts, failures, since) in rows {
            let order_id = row::order_id(&order_id)?;
            let Some(mut order) = row::lock(&mut tx, order_id).await? else {
                take_out(&mut tx, order_id).await?;
                continue;
            };
            let hand = Hand { actor: "worker", reason: "" };
            match self.happen(&mut tx, &mut order, OrderEvent::DeliveryStarted, hand, now).await? {
                Ok(Step::Moves(_)) => moved.push(order.clone()),
                Ok(Step::Absorbed) => {}
                // Refunded meanwhile: there is nothing to tell any more.
                Err(_) => {
                    take_out(&mut tx, order_id).await?;
                    continue;
                }
            }
            let attempt = attempts.saturating_add(1);
            tx.sql(CLAIM)
                .bind(&claim.worker.as_bytes()[..])
                .bind(claim.until.as_millis())
                .bind(attempt)
                .bind(order_id.as_str())
                .execute()
                .await?;
            let (failures, since) = (u32::try_from(failures).unwrap_or(0), Timestamp::from_millis(since));
            claimed.push(Claimed { order, matter: Matter::Payment, attempt, failures, since });
        }
        common::crash_point!("claiming");
        tx.commit().await?;
        common::crash_point!("claimed");
        for order in moved {
            self.moved(&order, &[OrderState::Delivering]);
        }
        Ok(claimed)
    }

    /// Writes down what came of an attempt. What `worker` no longer holds stays as whoever holds it leaves it, except that
    /// an acknowledgement is one whoever got it.
    pub(crate) async fn settle(
        &self,
        claimed: &Claimed,
        worker: Uuid,
        attempt: &Attempt,
        next: Next,
    ) -> Result<(), StoreError> {
        if let Matter::Refund(RefundNotice { refund, .. }) = &claimed.matter {
            let settled = self.database.retrying(|| self.settle_refund(claimed, refund.seq, worker, attempt, next));
            return settled.await;
        }
        let moved = self.database.retrying(|| self.settle_once(claimed, worker, attempt, next)).await?;
        if let Some(order) = moved {
            self.moved(&order, &[OrderState::Delivered]);
        }
        Ok(())
    }

    async fn settle_once(
        &self,
        claimed: &Claimed,
        worker: Uuid,
        attempt: &Attempt,
        next: Next,
    ) -> Result<Option<Order>, StoreError> {
        let (mut tx, now, order_id) = (self.database.begin().await?, self.clock.now(), claimed.order.order_id);
        let order = row::lock(&mut tx, order_id).await?.ok_or(StoreError::Unreadable("an order in the outbox"))?;
        insert_delivery(&mut tx, order_id, attempt).await?;
        common::crash_point!("noted");
        let (failures, mut moved) = (claimed.failures.saturating_add(1), None);
        match next {
            Next::Done => {
                let mut order = Order { delivered_at: order.delivered_at.or(Some(now)), ..order };
                let hand = Hand { actor: "worker", reason: &format!("attempt {}", attempt.attempt) };
                let step = self.happen(&mut tx, &mut order, OrderEvent::Acknowledged, hand, now).await?;
                moved = matches!(step, Ok(Step::Moves(_))).then_some(order);
                tx.sql(DONE).bind(order_id.as_str()).bind(&worker.as_bytes()[..]).execute().await?;
            }
            Next::At(due_at) => put_off(&mut tx, order_id, worker, failures, due_at, false).await.map(drop)?,
            Next::Dead | Next::NotWanted => {
                if put_off(&mut tx, order_id, worker, failures, now, true).await? == 1 {
                    let hand = Hand { actor: "worker", reason: &attempt.detail };
                    let unmoved = (order.state, order.state);
                    journal::append(&mut tx, order_id, unmoved, "delivery_given_up", hand, now).await?;
                }
            }
        }
        common::crash_point!("settling");
        tx.commit().await?;
        common::crash_point!("settled");
        Ok(moved)
    }

    /// Gives back whatever a worker holds: others may go on with it at once.
    pub(crate) async fn give_back(&self, worker: Uuid) -> Result<u64, SqlError> {
        let payments = self.database.write(GIVE_BACK).bind(&worker.as_bytes()[..]).execute().await?;
        Ok(payments + self.give_back_refunds(worker).await?)
    }

    /// Has an order sent again, from the beginning of the schedule, and what of its refunds was not acknowledged. Of an order
    /// that is not delivered any more only the latter.
    pub(crate) async fn redeliver(&self, order_id: OrderId, hand: Hand<'_>) -> Result<Order, RedeliverError> {
        let order = self
            .database
            .retrying(|| async {
                let (mut tx, now) = (self.database.begin().await?, self.clock.now());
                let Some(order) = row::lock(&mut tx, order_id).await? else {
                    return Ok::<_, StoreError>(Err(RedeliverError::NoSuchOrder));
                };
                let refunds = refund_notices::again(&mut tx, order_id, now).await?;
                if order.state.is_deliverable() {
                    let waiting = tx.sql(AGAIN).bind(now.as_millis()).bind(order_id.as_str()).execute().await?;
                    if waiting == 0 {
                        let (attempts,): (i32,) = tx.sql(LAST_ATTEMPT).bind(order_id.as_str()).one().await?;
                        insert(&mut tx, &order, attempts, now).await?;
                    }
                } else if refunds == 0 {
                    return Ok(Err(RedeliverError::NotDeliverable(order.state)));
                }
                let unmoved = (order.state, order.state);
                journal::append(&mut tx, order_id, unmoved, "redelivery_requested", hand, now).await?;
                tx.commit().await?;
                Ok(Ok(order))
            })
            .await??;
        match order.state.is_deliverable() {
            true => self.wake.ring(order.app_id, order_id),
            false => self.wake.ring_refund(order.app_id, order_id),
        }
        Ok(order)
    }

    /// What came of every attempt so far, oldest first.
    pub(crate) async fn deliveries(&self, order_id: OrderId) -> Result<Vec<Attempt>, StoreError> {
        type Row = (i32, Text, Option<i32>, Text, i64, i64);
        let rows: Vec<Row> = self.database.read(DELIVERIES).bind(order_id.as_str()).all().await?;
        let attempt = |(attempt, outcome, status, detail, at, duration_ms): Row| Attempt {
            attempt,
            outcome: outcome.into(),
            status,
            detail: detail.into(),
            at: Timestamp::from_millis(at),
            duration: Duration::from_millis(u64::try_from(duration_ms).unwrap_or(0)),
        };
        Ok(rows.into_iter().map(attempt).collect())
    }

    /// How much waits, in all apps.
    pub(crate) async fn backlog(&self) -> Result<Backlog, SqlError> {
        backlog(&self.database).await
    }
}

async fn backlog(database: &Database) -> Result<Backlog, SqlError> {
    let rows: Vec<(i16, i64, i64)> = database.read(BACKLOG).all().await?;
    let mut backlog = Backlog::default();
    for (dead, count, oldest) in rows {
        match dead {
            0 => (backlog.waiting, backlog.oldest) = (count, Some(Timestamp::from_millis(oldest))),
            _ => backlog.dead = count,
        }
    }
    Ok(backlog)
}

async fn put_off(
    tx: &mut Tx,
    order_id: OrderId,
    worker: Uuid,
    failures: u32,
    due_at: Timestamp,
    dead: bool,
) -> Result<u64, SqlError> {
    tx.sql(PUT_OFF)
        .bind(i32::try_from(failures).unwrap_or(i32::MAX))
        .bind(due_at.as_millis())
        .bind(i32::from(dead))
        .bind(order_id.as_str())
        .bind(&worker.as_bytes()[..])
        .execute()
        .await
}

async fn insert_delivery(tx: &mut Tx, order_id: OrderId, attempt: &Attempt) -> Result<(), SqlError> {
    tx.sql(INSERT_DELIVERY)
        .bind(order_id.as_str())
        .bind(attempt.attempt)
        .bind(&*attempt.outcome)
        .bind(attempt.status)
        .bind(&attempt.detail[..attempt.detail.floor_char_boundary(DETAIL_BYTES_MAX)])
        .bind(attempt.at.as_millis())
        .bind(i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX))
        .execute()
        .await
        .map(drop)
}

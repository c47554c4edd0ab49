//! What game servers still have to be told of refunds: the part of `pay_refunds` that is an outbox, and what became of every
//! attempt (`pay_refund_deliveries`).
//!
//! It works as the outbox of payments does. A refund waits for its order's delivery: a game server that hears of both
//! hears of the payment first.

use std::time::Duration;

use common::{
    clock::Timestamp,
    sql::{Sql, SqlError, Text, Tx},
};
use uuid::Uuid;

use super::{
    StoreError,
    orders::{Hand, Orders, journal, row},
    outbox::{Attempt, Claim, Claimed, DETAIL_BYTES_MAX, Matter, Next},
    refunds,
};
use crate::domain::{NoticeState, OrderId, Refund, counted};

const DUE_APPS: &str = "SELECT DISTINCT app_id FROM pay_refunds WHERE notice = 1 AND due_at <= ? LIMIT ?";

const DUE: Sql = Sql::Each {
    mysql: "SELECT order_id, seq, attempts, failures, since FROM pay_refunds \
            WHERE app_id = ? AND notice = 1 AND due_at <= ? AND claimed_until <= ? AND NOT EXISTS \
            (SELECT 1 FROM pay_outbox WHERE pay_outbox.order_id = pay_refunds.order_id AND pay_outbox.dead = 0) \
            ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT order_id, seq, attempts, failures, since FROM pay_refunds \
             WHERE app_id = ? AND notice = 1 AND due_at <= ? AND claimed_until <= ? AND NOT EXISTS \
             (SELECT 1 FROM pay_outbox WHERE pay_outbox.order_id = pay_refunds.order_id AND pay_outbox.dead = 0) \
             ORDER BY due_at LIMIT ?",
};

const DUE_ONE: Sql = Sql::Each {
    mysql: "SELECT order_id, seq, attempts, failures, since FROM pay_refunds \
            WHERE order_id = ? AND notice = 1 AND due_at <= ? AND claimed_until <= ? AND NOT EXISTS \
            (SELECT 1 FROM pay_outbox WHERE pay_outbox.order_id = pay_refunds.order_id AND pay_outbox.dead = 0) \
            ORDER BY seq LIMIT 1 FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT order_id, seq, attempts, failures, since FROM pay_refunds \
             WHERE order_id = ? AND notice = 1 AND due_at <= ? AND claimed_until <= ? AND NOT EXISTS \
             (SELECT 1 FROM pay_outbox WHERE pay_outbox.order_id = pay_refunds.order_id AND pay_outbox.dead = 0) \
             ORDER BY seq LIMIT 1",
};

const CLAIM: &str = "UPDATE pay_refunds SET claim = ?, claimed_until = ?, attempts = ? WHERE order_id = ? AND seq = ?";

const SETTLE: &str = "UPDATE pay_refunds SET notice = ?, failures = ?, due_at = ?, claim = NULL, claimed_until = 0 \
     WHERE order_id = ? AND seq = ? AND claim = ?";

const GIVE_BACK: &str = "UPDATE pay_refunds SET claim = NULL, claimed_until = 0 WHERE claim = ?";

const CALL_OFF: &str = "UPDATE pay_refunds SET notice = 0 WHERE order_id = ? AND notice = 1";

const PUT_OFF: &str = "UPDATE pay_refunds SET due_at = ? WHERE order_id = ? AND notice = 1 AND due_at < ?";

const AGAIN: &str = "UPDATE pay_refunds SET notice = 1, failures = 0, due_at = ?, since = ? \
     WHERE order_id = ? AND notice IN (1, 2, 4)";

const INSERT_DELIVERY: &str = "INSERT INTO pay_refund_deliveries \
     (order_id, seq, attempt, outcome, status, detail, at, duration_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

const DELIVERIES: &str = "SELECT seq, attempt, outcome, status, detail, at, duration_ms FROM pay_refund_deliveries \
     WHERE order_id = ? ORDER BY seq, attempt LIMIT 500";

const BACKLOG: &str = "SELECT notice, COUNT(*) FROM pay_refunds WHERE notice IN (1, 2) GROUP BY notice";

/// As for payments.
const APPS_AT_ONCE: i64 = 1000;

/// A refund as a game server is told of it.
#[derive(Clone, Debug)]
pub(crate) struct RefundNotice {
    pub(crate) refund: Refund,
    /// Minor units that were back with it, as far as they are known.
    pub(crate) back: i64,
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RefundBacklog {
    /// To be told.
    pub(crate) waiting: i64,
    /// Given up.
    pub(crate) dead: i64,
    /// Refunds that are not in the books.
    pub(crate) not_in_books: i64,
}

type DueRow = (Text, i32, i32, i32, i64);

/// Nobody is told of what waits: the game server never heard of the order.
pub(super) async fn call_off(tx: &mut Tx, order_id: OrderId) -> Result<(), SqlError> {
    tx.sql(CALL_OFF).bind(order_id.as_str()).execute().await.map(drop)
}

/// What waits is told from `due_at` on at the earliest.
pub(super) async fn put_off(tx: &mut Tx, order_id: OrderId, due_at: Timestamp) -> Result<(), SqlError> {
    let due_at = due_at.as_millis();
    tx.sql(PUT_OFF).bind(due_at).bind(order_id.as_str()).bind(due_at).execute().await.map(drop)
}

/// Has every refund of the order that nobody has acknowledged told again, from the beginning of the schedule; answers how
/// many. For whoever has locked the order.
pub(super) async fn again(tx: &mut Tx, order_id: OrderId, now: Timestamp) -> Result<u64, SqlError> {
    tx.sql(AGAIN).bind(now.as_millis()).bind(now.as_millis()).bind(order_id.as_str()).execute().await
}

impl Orders {
    /// Apps whose game servers are to be told of a refund now.
    pub(super) async fn apps_with_due_refunds(&self) -> Result<Vec<i64>, StoreError> {
        let now = self.clock.now().as_millis();
        let rows: Vec<(i64,)> = self.database.read(DUE_APPS).bind(now).bind(APPS_AT_ONCE).all().await?;
        Ok(rows.into_iter().map(|(app_id,)| app_id).collect())
    }

    /// Claims up to `most` refunds that are due in an app, oldest first.
    pub(super) async fn claim_due_refunds(
        &self,
        app_id: i64,
        most: usize,
        claim: Claim,
    ) -> Result<Vec<Claimed>, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.database
            .retrying(|| async {
                let (mut tx, now) = (self.database.begin().await?, self.clock.now());
                let due = tx.sql(DUE).bind(app_id).bind(now.as_millis()).bind(now.as_millis()).bind(most);
                let rows = due.all().await?;
                claim_rows(tx, rows, claim).await
            })
            .await
    }

    /// Claims the first refund of an order that is due, if nobody has it.
    pub(super) async fn claim_refund_of(&self, order_id: OrderId, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.database
            .retrying(|| async {
                let (mut tx, now) = (self.database.begin().await?, self.clock.now());
                let due = tx.sql(DUE_ONE).bind(order_id.as_str()).bind(now.as_millis()).bind(now.as_millis());
                let rows = due.all().await?;
                claim_rows(tx, rows, claim).await
            })
            .await
    }

    /// Writes down what came of an attempt; see [`Orders::settle`].
    pub(super) async fn settle_refund(
        &self,
        claimed: &Claimed,
        seq: i32,
        worker: Uuid,
        attempt: &Attempt,
        next: Next,
    ) -> Result<(), StoreError> {
        let (mut tx, now, order_id) = (self.database.begin().await?, self.clock.now(), claimed.order.order_id);
        // As everywhere: the order first, then what belongs to it.
        let order = row::lock(&mut tx, order_id).await?.ok_or(StoreError::Unreadable("an order that is refunded"))?;
        insert_delivery(&mut tx, order_id, seq, attempt).await?;
        let failures = i32::try_from(claimed.failures.saturating_add(1)).unwrap_or(i32::MAX);
        let (state, due_at, event) = match next {
            Next::Done => (NoticeState::Acknowledged, now, Some("refund_acknowledged")),
            Next::At(due_at) => (NoticeState::Waiting, due_at, None),
            Next::Dead => (NoticeState::Dead, now, Some("refund_notice_given_up")),
            Next::NotWanted => (NoticeState::NotWanted, now, Some("refund_not_told")),
        };
        let settled = tx
            .sql(SETTLE)
            .bind(i32::from(state.number()))
            .bind(failures)
            .bind(due_at.as_millis())
            .bind(order_id.as_str())
            .bind(seq)
            .bind(&worker.as_bytes()[..])
            .execute()
            .await?;
        if let Some(event) = event
            && settled == 1
        {
            let reason = match next {
                Next::Done => format!("refund {seq}, attempt {}", attempt.attempt),
                Next::At(_) | Next::Dead | Next::NotWanted => format!("refund {seq}: {}", attempt.detail),
            };
            let hand = Hand { actor: "worker", reason: &reason };
            journal::append(&mut tx, order_id, (order.state, order.state), event, hand, now).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Gives back whatever refunds a worker holds.
    pub(super) async fn give_back_refunds(&self, worker: Uuid) -> Result<u64, SqlError> {
        self.database.write(GIVE_BACK).bind(&worker.as_bytes()[..]).execute().await
    }

    /// The refunds of an order, oldest first.
    pub(crate) async fn refunds(&self, order_id: OrderId) -> Result<Vec<Refund>, StoreError> {
        refunds::of_order(&self.database, order_id).await
    }

    /// What came of every attempt to tell of them, with the number of the refund.
    pub(crate) async fn refund_deliveries(&self, order_id: OrderId) -> Result<Vec<(i32, Attempt)>, StoreError> {
        type Row = (i32, i32, Text, Option<i32>, Text, i64, i64);
        let rows: Vec<Row> = self.database.read(DELIVERIES).bind(order_id.as_str()).all().await?;
        let attempt = |(seq, attempt, outcome, status, detail, at, duration_ms): Row| {
            let (at, duration) = (Timestamp::from_millis(at), u64::try_from(duration_ms).unwrap_or(0));
            let (outcome, detail, duration) = (outcome.into(), detail.into(), Duration::from_millis(duration));
            (seq, Attempt { attempt, outcome, status, detail, at, duration })
        };
        Ok(rows.into_iter().map(attempt).collect())
    }

    /// How much waits, in all apps.
    pub(crate) async fn refund_backlog(&self) -> Result<RefundBacklog, SqlError> {
        let rows: Vec<(i16, i64)> = self.database.read(BACKLOG).all().await?;
        let not_in_books = refunds::not_in_books(&self.database).await?;
        let mut backlog = RefundBacklog { not_in_books, ..RefundBacklog::default() };
        for (notice, count) in rows {
            match NoticeState::of_number(notice) {
                Some(NoticeState::Waiting) => backlog.waiting = count,
                _ => backlog.dead = count,
            }
        }
        Ok(backlog)
    }
}

async fn claim_rows(mut tx: Tx, rows: Vec<DueRow>, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
    let mut claimed = Vec::with_capacity(rows.len());
    for (order_id, seq, attempts, failures, since) in rows {
        let order_id = row::order_id(&order_id)?;
        let order =
            row::find_in(&mut tx, order_id).await?.ok_or(StoreError::Unreadable("an order that is refunded"))?;
        let known = refunds::of_order_in(&mut tx, order_id).await?;
        let upto: Vec<Refund> = known.into_iter().filter(|refund| refund.seq <= seq).collect();
        let back = counted(&upto);
        let refund = upto.into_iter().next_back().ok_or(StoreError::Unreadable("a refund"))?;
        let attempt = attempts.saturating_add(1);
        tx.sql(CLAIM)
            .bind(&claim.worker.as_bytes()[..])
            .bind(claim.until.as_millis())
            .bind(attempt)
            .bind(order_id.as_str())
            .bind(seq)
            .execute()
            .await?;
        let (failures, since) = (u32::try_from(failures).unwrap_or(0), Timestamp::from_millis(since));
        let matter = Matter::Refund(RefundNotice { refund, back });
        claimed.push(Claimed { order, matter, attempt, failures, since });
    }
    tx.commit().await?;
    Ok(claimed)
}

async fn insert_delivery(tx: &mut Tx, order_id: OrderId, seq: i32, attempt: &Attempt) -> Result<(), SqlError> {
    tx.sql(INSERT_DELIVERY)
        .bind(order_id.as_str())
        .bind(seq)
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

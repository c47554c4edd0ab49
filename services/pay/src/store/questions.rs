//! What payment channels still have to be asked: `pay_questions`.
//!
//! A row is written in the transaction that makes the order, or that asks its money back, and goes when nothing is left to
//! ask. Whoever asks claims it for a while; a claim that is not given back runs out, and the channel is asked again, which
//! changes nothing there: a payment is only looked at, and a refund has its number.

use common::{
    clock::Timestamp,
    sql::{Sql, SqlError, Text, Tx},
};
use uuid::Uuid;

use super::{
    StoreError,
    orders::{Hand, Orders, journal, row},
    outbox::Claim,
};
use crate::domain::{Lifetime, Order, OrderId, OrderState, QuestionKind};

const INSERT: &str = "INSERT INTO pay_questions \
     (order_id, kind, app_id, channel, parked, asked, answers, failures, due_at, claim, claimed_until, created_at) \
     VALUES (?, ?, ?, ?, 0, 0, 0, 0, ?, NULL, 0, ?)";

const LANES: &str = "SELECT DISTINCT app_id, channel FROM pay_questions \
     WHERE parked = 0 AND due_at <= ? AND claimed_until <= ? LIMIT ?";

const DUE: Sql = Sql::Each {
    mysql: "SELECT order_id, kind, asked, failures FROM pay_questions \
            WHERE app_id = ? AND channel = ? AND parked = 0 AND due_at <= ? AND claimed_until <= ? \
            ORDER BY due_at LIMIT ? FOR UPDATE SKIP LOCKED",
    sqlite: "SELECT order_id, kind, asked, failures FROM pay_questions \
             WHERE app_id = ? AND channel = ? AND parked = 0 AND due_at <= ? AND claimed_until <= ? \
             ORDER BY due_at LIMIT ?",
};

const CLAIM: &str = "UPDATE pay_questions SET claim = ?, claimed_until = ?, asked = asked + 1 \
     WHERE order_id = ? AND kind = ?";

const TAKE_OUT: &str = "DELETE FROM pay_questions WHERE order_id = ? AND kind = ?";

const DONE: &str = "DELETE FROM pay_questions WHERE order_id = ? AND kind = ? AND claim = ?";

const ANSWERED: &str = "UPDATE pay_questions SET answers = answers + 1, failures = 0, due_at = ?, parked = ?, \
     claim = NULL, claimed_until = 0 WHERE order_id = ? AND kind = ? AND claim = ?";

const FAILED: &str = "UPDATE pay_questions SET failures = failures + 1, due_at = ?, claim = NULL, claimed_until = 0 \
     WHERE order_id = ? AND kind = ? AND claim = ?";

const UNPARK: &str = "UPDATE pay_questions SET parked = 0, failures = 0, due_at = ? \
     WHERE order_id = ? AND kind = ? AND parked = 1";

const WAITING: &str = "SELECT kind, parked, COUNT(*), MIN(created_at), MIN(due_at) FROM pay_questions \
     GROUP BY kind, parked";

/// Channels of apps that are looked after at once; the others follow when some of these have nothing due.
const LANES_AT_ONCE: i64 = 1000;

/// A channel of an app: what is asked there waits for nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lane {
    pub(crate) app_id: i64,
    pub(crate) channel: String,
}

/// A question that is this instance's until its claim runs out.
#[derive(Clone, Debug)]
pub(crate) struct ClaimedQuestion {
    /// As it was a moment ago.
    pub(crate) order: Order,
    pub(crate) lane: Lane,
    pub(crate) kind: QuestionKind,
    /// How often it was asked, with this time.
    pub(crate) asked: u32,
    /// How often it failed since it was answered.
    pub(crate) failures: u32,
}

/// What is to become of a question that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NextQuestion {
    /// There is nothing more to ask.
    Never,
    /// It was answered, and is asked again.
    At(Timestamp),
    /// It was not answered, and is asked again.
    Again(Timestamp),
    /// The channel refuses, in its own word: an operator has to look.
    Parked(String),
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Orders to ask about, now or later.
    pub(crate) payments: i64,
    /// Since when the first of them should have been asked about.
    pub(crate) overdue_since: Option<Timestamp>,
    /// Refunds that channels are asked for.
    pub(crate) refunds: i64,
    /// When the oldest of them was asked for first.
    pub(crate) oldest_refund: Option<Timestamp>,
    /// Refunds that channels have refused.
    pub(crate) refused_refunds: i64,
}

/// An order whose channel is known is going to be asked about, from `due_at` on.
pub(super) async fn put_payment(tx: &mut Tx, order: &Order, due_at: Timestamp) -> Result<(), SqlError> {
    insert(tx, order, QuestionKind::Payment, due_at, order.created_at).await
}

/// An order's money is going to be asked back, at once.
pub(super) async fn put_refund(tx: &mut Tx, order: &Order, now: Timestamp) -> Result<(), SqlError> {
    insert(tx, order, QuestionKind::Refund, now, now).await
}

/// A refund that its channel has refused is going to be asked for again; `false`: there is none such.
pub(super) async fn unpark_refund(tx: &mut Tx, order_id: OrderId, now: Timestamp) -> Result<bool, SqlError> {
    let unpark = tx.sql(UNPARK).bind(now.as_millis()).bind(order_id.as_str()).bind(QuestionKind::Refund.number());
    Ok(unpark.execute().await? == 1)
}

/// Nothing is asked any more.
pub(super) async fn take_out(tx: &mut Tx, order_id: OrderId, kind: QuestionKind) -> Result<(), SqlError> {
    tx.sql(TAKE_OUT).bind(order_id.as_str()).bind(kind.number()).execute().await.map(drop)
}

async fn insert(
    tx: &mut Tx,
    order: &Order,
    kind: QuestionKind,
    due_at: Timestamp,
    now: Timestamp,
) -> Result<(), SqlError> {
    // An order without a channel has nobody to ask.
    let Some(channel) = order.channel.as_deref() else { return Ok(()) };
    tx.sql(INSERT)
        .bind(order.order_id.as_str())
        .bind(kind.number())
        .bind(order.app_id)
        .bind(channel)
        .bind(due_at.as_millis())
        .bind(now.as_millis())
        .execute()
        .await
        .map(drop)
}

impl Orders {
    /// Channels that have something due.
    pub(crate) async fn due_lanes(&self) -> Result<Vec<Lane>, StoreError> {
        let now = self.clock.now().as_millis();
        let rows: Vec<(i64, Text)> = self.database.read(LANES).bind(now).bind(now).bind(LANES_AT_ONCE).all().await?;
        Ok(rows.into_iter().map(|(app_id, channel)| Lane { app_id, channel: channel.into() }).collect())
    }

    /// Claims up to `most` of what is due in a lane, oldest first, within `tx`. What is no longer worth asking goes.
    pub(crate) async fn claim_questions(
        &self,
        tx: &mut Tx,
        lane: &Lane,
        most: usize,
        claim: Claim,
    ) -> Result<Vec<ClaimedQuestion>, StoreError> {
        let (now, most) = (self.clock.now().as_millis(), i64::try_from(most).unwrap_or(i64::MAX));
        let due = tx.sql(DUE).bind(lane.app_id).bind(&*lane.channel).bind(now).bind(now).bind(most);
        let rows: Vec<(Text, i16, i32, i32)> = due.all().await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for (order_id, kind, asked, failures) in rows {
            let order_id = row::order_id(&order_id)?;
            let kind = QuestionKind::of_number(kind).ok_or(StoreError::Unreadable("kind of a question"))?;
            // Without its lock: whoever has it may be waiting for this row, and what is found out is judged under it.
            let order = row::find_in(tx, order_id).await?;
            let Some(order) = order.filter(|order| is_worth_asking(kind, order.state)) else {
                take_out(tx, order_id, kind).await?;
                continue;
            };
            tx.sql(CLAIM)
                .bind(&claim.worker.as_bytes()[..])
                .bind(claim.until.as_millis())
                .bind(order_id.as_str())
                .bind(kind.number())
                .execute()
                .await?;
            let (asked, failures) = (u32::try_from(asked).unwrap_or(0), u32::try_from(failures).unwrap_or(0));
            claimed.push(ClaimedQuestion { order, lane: lane.clone(), kind, asked: asked.saturating_add(1), failures });
        }
        Ok(claimed)
    }

    /// Writes down what is to become of a question. What `worker` no longer holds stays as it is.
    pub(crate) async fn settle_question(
        &self,
        claimed: &ClaimedQuestion,
        worker: Uuid,
        next: &NextQuestion,
    ) -> Result<(), StoreError> {
        self.database.retrying(|| self.settle_question_once(claimed, worker, next)).await
    }

    async fn settle_question_once(
        &self,
        claimed: &ClaimedQuestion,
        worker: Uuid,
        next: &NextQuestion,
    ) -> Result<(), StoreError> {
        let (order_id, kind, worker) = (claimed.order.order_id, claimed.kind.number(), &worker.as_bytes()[..]);
        let now = self.clock.now();
        let mut tx = self.database.begin().await?;
        match next {
            NextQuestion::Never => {
                tx.sql(DONE).bind(order_id.as_str()).bind(kind).bind(worker).execute().await?;
            }
            NextQuestion::At(due_at) => {
                let answered = tx.sql(ANSWERED).bind(due_at.as_millis()).bind(0_i32);
                answered.bind(order_id.as_str()).bind(kind).bind(worker).execute().await?;
            }
            NextQuestion::Again(due_at) => {
                let failed = tx.sql(FAILED).bind(due_at.as_millis());
                failed.bind(order_id.as_str()).bind(kind).bind(worker).execute().await?;
            }
            NextQuestion::Parked(code) => {
                // The order first, as everybody locks them.
                let order = row::lock(&mut tx, order_id).await?;
                let order = order.ok_or(StoreError::Unreadable("an order to refund"))?;
                let parked = tx.sql(ANSWERED).bind(now.as_millis()).bind(1_i32);
                if parked.bind(order_id.as_str()).bind(kind).bind(worker).execute().await? == 1 {
                    let hand = Hand { actor: &claimed.lane.channel, reason: code };
                    journal::append(&mut tx, order_id, (order.state, order.state), "refund_refused", hand, now).await?;
                }
            }
        }
        tx.commit().await?;
        Ok(())
    }

    /// How much waits, in all apps.
    pub(crate) async fn questions_waiting(&self) -> Result<Waiting, SqlError> {
        let (mut waiting, now) = (Waiting::default(), self.clock.now());
        let rows: Vec<(i16, i16, i64, i64, i64)> = self.database.read(WAITING).all().await?;
        for (kind, parked, count, oldest, due_at) in rows {
            let (oldest, due_at) = (Timestamp::from_millis(oldest), Timestamp::from_millis(due_at));
            match (QuestionKind::of_number(kind), parked) {
                (Some(QuestionKind::Payment), _) => {
                    waiting.payments += count;
                    waiting.overdue_since = (due_at <= now).then_some(due_at);
                }
                (Some(QuestionKind::Refund), 0) => (waiting.refunds, waiting.oldest_refund) = (count, Some(oldest)),
                (Some(QuestionKind::Refund), _) => waiting.refused_refunds = count,
                (None, _) => {}
            }
        }
        Ok(waiting)
    }
}

impl Order {
    /// Its times, as the plan of questions needs them.
    pub(crate) fn lifetime(&self) -> Lifetime {
        Lifetime { created_at: self.created_at, expires_at: self.expires_at }
    }
}

fn is_worth_asking(kind: QuestionKind, state: OrderState) -> bool {
    match kind {
        // What was paid needs no answer, and what was given up takes no payment.
        QuestionKind::Payment => matches!(state, OrderState::Created | OrderState::Paying | OrderState::Expired),
        QuestionKind::Refund => state == OrderState::Refunding,
    }
}

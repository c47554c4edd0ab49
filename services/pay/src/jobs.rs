//! What one instance at a time does for all: letting orders expire, and forgetting keys, callbacks and attempts.
//! `ledger_check`: checking the books. `questions`: asking channels.
//!
//! Every instance asks for the job; the one that gets it works in steps, each a transaction that commits only while the
//! job is its own.

mod forget;
pub(crate) mod ledger_check;
pub(crate) mod questions;

use std::time::Duration;

use common::{
    clock::Timestamp,
    job_table,
    sql::{JobTable, JobTurn, SqlError, Tx},
};

pub(crate) use self::forget::Walks;
use crate::{service::Parts, store::StoreError};

/// Where the leases lie.
pub(crate) static TABLE: JobTable = job_table!("pay_jobs");

/// Its name is stored, so it never changes.
const TIDY_UP: &str = "tidy_up";

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("another instance has taken the job")]
    LeaseLost,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// Runs the job, if it is due and no other instance has it. Answers how many orders have expired.
pub(crate) async fn tidy_up(parts: &Parts) -> Result<usize, JobError> {
    let started = parts.clock.now();
    let Some(turn) = parts.jobs.take(TIDY_UP, started, lease_end(parts)).await? else { return Ok(0) };
    let outcome = match steps(parts, turn, started).await {
        Ok(expired) => forget::forget(parts, turn, started).await.map(|()| expired),
        Err(error) => Err(error),
    };
    let ended = parts.clock.now();
    // A tenth early, so that the next look, which is never on time to the millisecond, finds it due.
    let due_at = started + parts.config.jobs.every * 9 / 10;
    parts.jobs.give_back(turn, due_at, outcome.is_ok().then_some(ended)).await?;
    outcome
}

async fn steps(parts: &Parts, turn: JobTurn, started: Timestamp) -> Result<usize, JobError> {
    let limits = &parts.config.jobs;
    let most = limits.batch.get();
    let mut expired = 0;
    loop {
        let mut tx = step(parts, turn).await?;
        let orders = parts.orders.expire(&mut tx, most, parts.config.queries.give_up_after).await?;
        let before = started.minus(parts.config.keep_idempotency_keys);
        let forgotten = parts.orders.forget_requests(&mut tx, before, most).await?;
        tx.commit().await?;
        parts.orders.expired(&orders);
        expired += orders.len();
        let is_full = orders.len() >= most as usize || forgotten >= u64::from(most);
        if !is_full || parts.clock.now().since(started) >= limits.longest_run {
            return Ok(expired);
        }
    }
}

async fn step(parts: &Parts, turn: JobTurn) -> Result<Tx, JobError> {
    parts.jobs.step(turn, lease_end(parts)).await?.ok_or(JobError::LeaseLost)
}

fn lease_end(parts: &Parts) -> Timestamp {
    parts.clock.now() + parts.config.jobs.lease
}

/// How often the gauges of the outbox are read from the database.
pub(crate) const GAUGES_EVERY: Duration = Duration::from_secs(5);

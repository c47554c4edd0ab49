//! Checks the books, a pass in every `pay.ledger_check.every`; a pass goes on over as many runs as it takes.

use common::{clock::Timestamp, sql::JobTurn};

use super::{JobError, lease_end, step};
use crate::{
    service::Parts,
    store::{
        StoreError,
        ledger::check::{CheckState, Pass},
    },
};

/// Its name is stored, so it never changes.
const LEDGER_CHECK: &str = "ledger_check";

/// Goes on with the pass that is under way, or begins one, if it is due and no other instance has the job. Answers whether a
/// pass came to its end.
pub(crate) async fn check_ledger(parts: &Parts) -> Result<bool, JobError> {
    let started = parts.clock.now();
    let Some(turn) = parts.jobs.take(LEDGER_CHECK, started, lease_end(parts)).await? else { return Ok(false) };
    let outcome = steps(parts, turn, started).await;
    let ended = parts.clock.now();
    let (due_at, succeeded_at) = match outcome {
        // A tenth early, as for the other job.
        Ok(Some(began)) => (began + parts.config.ledger_check.every * 9 / 10, Some(ended)),
        Ok(None) | Err(_) => (ended, None),
    };
    parts.jobs.give_back(turn, due_at, succeeded_at).await?;
    Ok(outcome?.is_some())
}

/// Answers when the pass began that has ended.
async fn steps(parts: &Parts, turn: JobTurn, started: Timestamp) -> Result<Option<Timestamp>, JobError> {
    let database = parts.ledger.database();
    let mut state = CheckState::read(database).await.map_err(unread)?;
    loop {
        let now = parts.clock.now();
        let pass = state.pass.clone().unwrap_or_else(|| Pass::new(now));
        // Outside the transaction: reading holds nobody up.
        let stepped = pass.step(database, now, parts.config.ledger_check.step).await.map_err(unread)?;
        state = state.after(&stepped, now);
        let mut tx = step(parts, turn).await?;
        state.keep(&mut tx).await.map_err(unread)?;
        tx.commit().await?;
        // Once it is kept that the pass has gone on: so each is said once in a pass.
        for drift in &stepped.drifts {
            drift.log();
        }
        if stepped.over {
            return Ok(Some(stepped.pass.started_at));
        }
        if parts.clock.now().since(started) >= parts.config.jobs.longest_run {
            return Ok(None);
        }
    }
}

fn unread(error: crate::store::LedgerError) -> JobError {
    StoreError::from(crate::store::PostError::from(error)).into()
}

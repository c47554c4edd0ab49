//! The job that asks payment channels: about orders that stay unpaid, and for the money of refunds.

use common::{
    clock::Timestamp,
    sql::{JobTurn, Tx},
};

use super::{JobError, lease_end, step};
use crate::service::Parts;

/// Its name is stored, so it never changes.
const ASK_CHANNELS: &str = "ask_channels";

/// The job, while it is this instance's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn<'a> {
    parts: &'a Parts,
    turn: JobTurn,
}

impl Turn<'_> {
    /// A transaction that can be committed only while the job is ours.
    pub(crate) async fn step(self) -> Result<Tx, JobError> {
        step(self.parts, self.turn).await
    }
}

/// Runs the job, if it is due and no other instance has it. Answers how much was asked.
pub(crate) async fn ask(parts: &Parts) -> Result<usize, JobError> {
    let started: Timestamp = parts.clock.now();
    let Some(turn) = parts.jobs.take(ASK_CHANNELS, started, lease_end(parts)).await? else { return Ok(0) };
    let outcome = parts.questions.round(Turn { parts, turn }).await;
    let ended = parts.clock.now();
    // A tenth early, so that the next look, which is never on time to the millisecond, finds it due.
    let due_at = started + parts.config.queries.look_every * 9 / 10;
    parts.jobs.give_back(turn, due_at, outcome.is_ok().then_some(ended)).await?;
    outcome
}

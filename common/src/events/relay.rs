//! The job that carries events on: one replica at a time, in their order, at least once.
//!
//! What was kept is deleted by its ids and not up to an id: a transaction that is slower than others commits an event with
//! a lower id later, and it is found then. A replica that dies between the two has an event kept again, by whoever goes
//! on; so does one that was stopped for longer than its lease.

use std::{error::Error, future::Future};

use super::outbox::{EventOutbox, Open};
use crate::{
    clock::Timestamp,
    lifecycle::{BackgroundTask, StepOutcome},
    sql::{JobTurn, Query, Sql, Text},
};

/// Its name is stored, so it never changes.
const JOB: &str = "events";

/// Where events go.
pub trait EventSink: Send + Sync + 'static {
    /// Keeps these events, each a JSON object in one line, in their order. Answers once all of them are durable, with how
    /// many of them are kept as something that is no event; they don't come again.
    ///
    /// # Errors
    /// Nothing counts as kept, and all of them come again.
    fn keep(&self, events: Vec<String>) -> impl Future<Output = Result<usize, Box<dyn Error + Send + Sync>>> + Send;
}

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("another instance has taken the job")]
    LeaseLost,
}

impl EventOutbox {
    /// The task that carries events on into `sink`; `None` when the outbox is off. Named as `name`.
    pub fn relaying<S: EventSink + Clone>(&self, name: &'static str, sink: S) -> Option<BackgroundTask> {
        let every = self.0.as_deref()?.config.every;
        let outbox = self.clone();
        Some(BackgroundTask::repeated(name, std::time::Duration::ZERO, every, move || {
            let (outbox, sink) = (outbox.clone(), sink.clone());
            async move { outbox.relay(&sink).await }
        }))
    }

    /// Carries on what waits, if no other instance is doing so.
    ///
    /// # Errors
    /// When the database or the sink fails: what was not deleted is carried on the next time.
    pub async fn relay(&self, sink: &impl EventSink) -> StepOutcome {
        let Some(open) = self.0.as_deref() else { return Ok(()) };
        if open.look().await? == 0 {
            return Ok(());
        }
        let started = open.clock.now();
        let Some(turn) = open.leases.take(JOB, started, open.lease_end()).await? else { return Ok(()) };
        let outcome = open.carry_on(turn, sink).await;
        // A tenth early, so that the next look, which is never on time to the millisecond, finds it due.
        let due_at = started + open.config.every * 9 / 10;
        open.leases.give_back(turn, due_at, outcome.is_ok().then(|| open.clock.now())).await?;
        outcome
    }
}

impl Open {
    /// Batch by batch, while they come back full.
    async fn carry_on(&self, turn: JobTurn, sink: &impl EventSink) -> StepOutcome {
        loop {
            let most = self.config.batch.get();
            let rows: Vec<(i64, Text)> = self.database.read(self.table.oldest).bind(i64::from(most)).all().await?;
            let is_full = rows.len() >= usize::from(most);
            let (ids, events): (Vec<i64>, Vec<String>) =
                rows.into_iter().map(|(id, body)| (id, String::from(body))).unzip();
            if ids.is_empty() {
                return Ok(());
            }
            let refused = sink.keep(events).await?;
            crate::crash_point!("events_kept", self.service);
            self.delete(turn, &ids).await?;
            crate::crash_point!("events_deleted", self.service);
            self.metrics.relayed.inc_by(count(ids.len() - refused.min(ids.len())));
            self.metrics.refused.inc_by(count(refused));
            self.look().await?;
            if !is_full {
                return Ok(());
            }
        }
    }

    async fn delete(&self, turn: JobTurn, ids: &[i64]) -> StepOutcome {
        let mut tx = self.leases.step(turn, self.lease_end()).await?.ok_or(RelayError::LeaseLost)?;
        // A text per power of two, so that they stay few: what is over gets the last id again.
        let placeholders = ids.len().next_power_of_two();
        let padded = ids.iter().chain(std::iter::repeat_n(ids.last(), placeholders - ids.len()).flatten());
        let delete = tx.sql(Sql::repeated(self.table.delete, "?", placeholders, ")"));
        padded.fold(delete, |query: Query<'_>, id| query.bind(*id)).execute().await?;
        Ok(tx.commit().await?)
    }

    fn lease_end(&self) -> Timestamp {
        self.clock.now() + self.config.lease
    }
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}

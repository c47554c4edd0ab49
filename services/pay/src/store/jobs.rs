//! Who runs a job, and when it is due again: `pay_jobs`.
//!
//! A lease alone does not keep two instances apart: one that was stopped for longer than its lease goes on where it was.
//! So every transaction of a job begins with [`Jobs::step`], which fails once another instance has taken the job, and
//! makes that instance wait for the commit if it has not.

use common::{
    clock::Timestamp,
    sql::{Database, Sql, SqlError, Tx},
};

/// Leases of jobs.
#[derive(Clone, Debug)]
pub(crate) struct Jobs {
    database: Database,
}

/// A job that this instance has taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    job: &'static str,
    fence: i64,
}

impl Jobs {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Takes the job until `until`, if it is due and nobody has it. Of several instances that ask at once one gets it.
    pub(crate) async fn take(
        &self,
        job: &'static str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Turn>, SqlError> {
        let row: Option<(i64, i64, i64)> = self
            .database
            .read("SELECT fence, leased_until, due_at FROM pay_jobs WHERE name = ?")
            .bind(job)
            .optional()
            .await?;
        let (fence, leased_until, due_at) = match row {
            Some(row) => row,
            None => {
                self.make(job).await?;
                (0, 0, 0)
            }
        };
        if leased_until > now.as_millis() || due_at > now.as_millis() {
            return Ok(None);
        }
        let taken = self
            .database
            .write("UPDATE pay_jobs SET fence = fence + 1, leased_until = ? WHERE name = ? AND fence = ?")
            .bind(until.as_millis())
            .bind(job)
            .bind(fence)
            .execute()
            .await?;
        Ok((taken == 1).then_some(Turn { job, fence: fence + 1 }))
    }

    /// Begins a transaction that can be committed only while the job is ours, and prolongs the lease with it. `None`:
    /// another instance has taken the job.
    pub(crate) async fn step(&self, turn: Turn, until: Timestamp) -> Result<Option<Tx>, SqlError> {
        let mut tx = self.database.begin().await?;
        let ours = tx
            .sql("UPDATE pay_jobs SET leased_until = ? WHERE name = ? AND fence = ?")
            .bind(until.as_millis())
            .bind(turn.job)
            .bind(turn.fence)
            .execute()
            .await?;
        Ok((ours == 1).then_some(tx))
    }

    /// Gives the job back until it is due again. Changes nothing if another instance has taken it.
    pub(crate) async fn give_back(
        &self,
        turn: Turn,
        due_at: Timestamp,
        succeeded_at: Option<Timestamp>,
    ) -> Result<(), SqlError> {
        self.database
            .write(
                "UPDATE pay_jobs SET leased_until = 0, due_at = ?, succeeded_at = COALESCE(?, succeeded_at) \
                 WHERE name = ? AND fence = ?",
            )
            .bind(due_at.as_millis())
            .bind(succeeded_at.map(Timestamp::as_millis))
            .bind(turn.job)
            .bind(turn.fence)
            .execute()
            .await
            .map(drop)
    }

    /// Several instances may do it at once.
    async fn make(&self, job: &'static str) -> Result<(), SqlError> {
        let statement = Sql::Each {
            mysql: "INSERT IGNORE INTO pay_jobs (name, fence, leased_until, due_at) VALUES (?, 0, 0, 0)",
            sqlite: "INSERT OR IGNORE INTO pay_jobs (name, fence, leased_until, due_at) VALUES (?, 0, 0, 0)",
        };
        self.database.write(statement).bind(job).execute().await.map(drop)
    }
}

//! [`JobLeases`]: who of several instances runs a job, and when it is due again.
//!
//! A lease alone does not keep two instances apart: one that was stopped for longer than its lease goes on where it was.
//! So every transaction of a job begins with [`JobLeases::step`], which fails once another instance has taken the job, and
//! makes that instance wait for the commit if it has not.

use super::{Database, Sql, SqlError, Tx};
use crate::clock::Timestamp;

/// The statements about the table in which a service keeps its leases: `name` (key), `fence`, `leased_until`, `due_at`,
/// `succeeded_at`, times in Unix milliseconds. Made by [`job_table!`](crate::job_table).
#[derive(Clone, Copy, Debug)]
pub struct JobTable {
    #[doc(hidden)]
    pub find: &'static str,
    #[doc(hidden)]
    pub take: &'static str,
    #[doc(hidden)]
    pub step: &'static str,
    #[doc(hidden)]
    pub give_back: &'static str,
    #[doc(hidden)]
    pub succeeded_at: &'static str,
    #[doc(hidden)]
    pub make_mysql: &'static str,
    #[doc(hidden)]
    pub make_sqlite: &'static str,
}

/// The [`JobTable`] of that name, a literal: statements are never made from values.
#[macro_export]
macro_rules! job_table {
    ($table:literal) => {
        $crate::sql::JobTable {
            find: concat!("SELECT fence, leased_until, due_at FROM ", $table, " WHERE name = ?"),
            take: concat!("UPDATE ", $table, " SET fence = fence + 1, leased_until = ? WHERE name = ? AND fence = ?"),
            step: concat!("UPDATE ", $table, " SET leased_until = ? WHERE name = ? AND fence = ?"),
            give_back: concat!(
                "UPDATE ",
                $table,
                " SET leased_until = 0, due_at = ?, succeeded_at = COALESCE(?, succeeded_at) WHERE name = ? AND fence = ?"
            ),
            succeeded_at: concat!("SELECT succeeded_at FROM ", $table, " WHERE name = ?"),
            make_mysql: concat!(
                "INSERT IGNORE INTO ",
                $table,
                " (name, fence, leased_until, due_at) VALUES (?, 0, 0, 0)"
            ),
            make_sqlite: concat!(
                "INSERT OR IGNORE INTO ",
                $table,
                " (name, fence, leased_until, due_at) VALUES (?, 0, 0, 0)"
            ),
        }
    };
}

/// Leases of the jobs of one service.
#[derive(Clone, Debug)]
pub struct JobLeases {
    database: Database,
    table: &'static JobTable,
}

/// A job that this instance has taken.
#[derive(Clone, Copy, Debug)]
pub struct JobTurn {
    job: &'static str,
    fence: i64,
}

impl JobLeases {
    /// Those that lie in `table`.
    pub fn new(database: Database, table: &'static JobTable) -> Self {
        Self { database, table }
    }

    /// Takes the job until `until`, if it is due and nobody has it. Of several instances that ask at once one gets it.
    pub async fn take(&self, job: &'static str, now: Timestamp, until: Timestamp) -> Result<Option<JobTurn>, SqlError> {
        let row: Option<(i64, i64, i64)> = self.database.read(self.table.find).bind(job).optional().await?;
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
        let take = self.database.write(self.table.take);
        let taken = take.bind(until.as_millis()).bind(job).bind(fence).execute().await?;
        Ok((taken == 1).then_some(JobTurn { job, fence: fence + 1 }))
    }

    /// Begins a transaction that can be committed only while the job is ours, and prolongs the lease with it. `None`:
    /// another instance has taken the job.
    pub async fn step(&self, turn: JobTurn, until: Timestamp) -> Result<Option<Tx>, SqlError> {
        let mut tx = self.database.begin().await?;
        let step = tx.sql(self.table.step);
        let ours = step.bind(until.as_millis()).bind(turn.job).bind(turn.fence).execute().await?;
        Ok((ours == 1).then_some(tx))
    }

    /// Gives the job back until it is due again. Changes nothing if another instance has taken it.
    pub async fn give_back(
        &self,
        turn: JobTurn,
        due_at: Timestamp,
        succeeded_at: Option<Timestamp>,
    ) -> Result<(), SqlError> {
        self.database
            .write(self.table.give_back)
            .bind(due_at.as_millis())
            .bind(succeeded_at.map(Timestamp::as_millis))
            .bind(turn.job)
            .bind(turn.fence)
            .execute()
            .await
            .map(drop)
    }

    /// When the job last ran to its end, on whichever instance; `None`: never.
    pub async fn succeeded_at(&self, job: &'static str) -> Result<Option<Timestamp>, SqlError> {
        let row: Option<(Option<i64>,)> = self.database.read(self.table.succeeded_at).bind(job).optional().await?;
        Ok(row.and_then(|(succeeded_at,)| succeeded_at).map(Timestamp::from_millis))
    }

    /// Several instances may do it at once.
    async fn make(&self, job: &'static str) -> Result<(), SqlError> {
        let statement = Sql::Each { mysql: self.table.make_mysql, sqlite: self.table.make_sqlite };
        self.database.write(statement).bind(job).execute().await.map(drop)
    }
}

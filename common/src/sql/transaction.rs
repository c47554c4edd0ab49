//! [`Tx`]: several statements that happen together or not at all.

use std::{fmt, sync::Arc, time::Instant};

use sqlx::{Database, MySql, Sqlite, TransactionManager};

use super::{
    Query, Sql, SqlError,
    database::{Backend, Engine},
    lease::Lease,
    metrics::Operation,
    trace,
};

/// An open transaction. Dropping it rolls back; so does an error of any statement on SQLite that was interrupted.
///
/// Keep it short: on SQLite nobody else writes meanwhile, on MySQL its row locks are held.
pub struct Tx {
    engine: Arc<Engine>,
    lease: TxLease,
}

enum TxLease {
    MySql(Lease<MySql>),
    Sqlite(Lease<Sqlite>),
}

impl Tx {
    pub(super) async fn begin(engine: Arc<Engine>) -> Result<Self, SqlError> {
        let span = trace::statement(engine.dialect(), "BEGIN");
        let started = Instant::now();
        let begun = TxLease::begin(&engine).await;
        engine.record(Operation::Transaction, "BEGIN", started.elapsed(), begun.as_ref().map(drop));
        trace::end(span, &begun);
        Ok(Self { lease: begun?, engine })
    }

    /// A statement inside the transaction.
    pub fn sql(&mut self, sql: impl Into<Sql>) -> Query<'_> {
        match &mut self.lease {
            TxLease::MySql(lease) => Query::on_mysql(&self.engine, sql.into(), lease),
            TxLease::Sqlite(lease) => Query::on_sqlite(&self.engine, sql.into(), lease),
        }
    }

    /// Makes it permanent. After [`SqlError::Unavailable`] nobody knows whether it is.
    pub async fn commit(mut self) -> Result<(), SqlError> {
        let span = trace::statement(self.engine.dialect(), "COMMIT");
        let started = Instant::now();
        let outcome = match &mut self.lease {
            TxLease::MySql(lease) => commit_on(&self.engine, lease).await,
            TxLease::Sqlite(lease) => commit_on(&self.engine, lease).await,
        };
        self.engine.record(Operation::Transaction, "COMMIT", started.elapsed(), outcome.as_ref().map(drop));
        trace::end(span, &outcome);
        outcome
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").finish_non_exhaustive()
    }
}

impl TxLease {
    async fn begin(engine: &Engine) -> Result<Self, SqlError> {
        match &engine.backend {
            Backend::MySql(mysql) => Ok(Self::MySql(begin_on(engine, mysql.lease().await?, None).await?)),
            Backend::Sqlite(sqlite) => {
                // IMMEDIATE takes the write lock now: a transaction that reads first and writes later would fail
                // with "database is locked" when another process wrote in between.
                let lease = sqlite.writer.lease().await?;
                Ok(Self::Sqlite(begin_on(engine, lease, Some("BEGIN IMMEDIATE")).await?))
            }
        }
    }
}

async fn begin_on<DB: Database>(
    engine: &Engine,
    mut lease: Lease<DB>,
    statement: Option<&'static str>,
) -> Result<Lease<DB>, SqlError> {
    let begin = DB::TransactionManager::begin(lease.start()?, statement.map(Into::into));
    let answer = tokio::time::timeout(engine.give_up_after, begin).await;
    lease.finish(answer)?;
    Ok(lease)
}

async fn commit_on<DB: Database>(engine: &Engine, lease: &mut Lease<DB>) -> Result<(), SqlError> {
    let commit = DB::TransactionManager::commit(lease.start()?);
    let answer = tokio::time::timeout(engine.give_up_after, commit).await;
    lease.finish(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Database;

    async fn counters(database: &Database) {
        database.write("CREATE TABLE counters (id INT PRIMARY KEY, n BIGINT NOT NULL)").execute().await.expect("made");
        database.write("INSERT INTO counters (id, n) VALUES (1, 0), (2, 0)").execute().await.expect("filled");
    }

    async fn values(database: &Database) -> Vec<(i64,)> {
        database.read("SELECT n FROM counters ORDER BY id").all().await.expect("read")
    }

    /// Reads, then writes what it read plus one.
    async fn add_one_to_both(database: &Database) -> Result<(), SqlError> {
        let read = Sql::Each {
            mysql: "SELECT n FROM counters WHERE id = ? FOR UPDATE",
            sqlite: "SELECT n FROM counters WHERE id = ?",
        };
        let mut tx = database.begin().await?;
        for id in [1, 2] {
            let (n,): (i64,) = tx.sql(read.clone()).bind(id).one().await?;
            tx.sql("UPDATE counters SET n = ? WHERE id = ?").bind(n + 1).bind(id).execute().await?;
        }
        tx.commit().await
    }

    crate::on_each_database! {
        async fn a_dropped_transaction_leaves_nothing_behind_and_its_connection_is_usable(database: TestDatabase) {
            counters(&database).await;
            for _ in 0..40 {
                let mut tx = database.begin().await.expect("it begins");
                tx.sql("UPDATE counters SET n = 99").execute().await.expect("it is written");
                drop(tx);
            }
            assert_eq!(values(&database).await, [(0,), (0,)]);
            let mut tx = database.begin().await.expect("it begins");
            tx.sql("UPDATE counters SET n = 1").execute().await.expect("it is written");
            tx.commit().await.expect("it commits");
            assert_eq!(values(&database).await, [(1,), (1,)]);
        }

        async fn transactions_that_read_before_they_write_lose_no_update(database: TestDatabase) {
            counters(&database).await;
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..8 {
                let database = database.clone();
                tasks.spawn(async move {
                    for _ in 0..10 {
                        add_one_to_both(&database).await.expect("it waits for its turn");
                    }
                });
            }
            tasks.join_all().await;
            assert_eq!(values(&database).await, [(80,), (80,)]);
        }

        async fn an_error_that_is_no_lock_conflict_is_not_repeated(database: TestDatabase) {
            let attempts = std::cell::Cell::new(0);
            let outcome: Result<(), SqlError> = database
                .retrying(|| async {
                    attempts.set(attempts.get() + 1);
                    Err(SqlError::unavailable("lost while committing"))
                })
                .await;
            assert!(matches!(outcome, Err(SqlError::Unavailable(_))));
            assert_eq!(attempts.get(), 1);
        }
    }
}

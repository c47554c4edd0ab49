//! [`Database`]: an open database of either kind.

use std::{fmt, future::Future, io, path::Path, path::PathBuf, sync::Arc, time::Duration};

use prometheus::Registry;

use super::{
    Contention, Query, Sql, SqlConfig, SqlError, Tx,
    metrics::{Metrics, Operation},
    mysql::MySqlBackend,
    sqlite::SqliteBackend,
};

/// Beyond the server's own limit, for the answer to arrive. Then the connection is given up.
const GRACE: Duration = Duration::from_millis(500);

/// The first pause before a transaction that lost a lock conflict is repeated; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// An open database. Cheap to clone; all clones share the pools.
#[derive(Clone)]
pub struct Database {
    engine: Arc<Engine>,
}

/// Which of the two it is, for the few decisions that [`Sql::Each`] can't express.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// MySQL or MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

/// Why a database could not be opened. Meant for the person who starts the process.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `sql.url` can't be read.
    #[error("sql.url can't be read: {0}")]
    Url(SqlError),
    /// An in-memory SQLite exists once per connection, so readers would not see what is written.
    #[error("sql.url: an in-memory SQLite can't be shared between connections, name a file")]
    InMemory,
    /// The server was not reachable or refused.
    #[error("the MySQL server at {address} (database {database}) can't be used: {reason}")]
    MySql {
        /// Host and port.
        address: String,
        /// The database's name.
        database: String,
        /// What the server or the network said.
        reason: SqlError,
    },
    /// The file can't be opened or is no database.
    #[error("the SQLite file {file} can't be opened: {reason}")]
    Sqlite {
        /// Where it is.
        file: PathBuf,
        /// What SQLite said.
        reason: SqlError,
    },
    /// The directory of the SQLite file can't be made.
    #[error("the directory {directory} can't be made: {reason}")]
    Directory {
        /// Which.
        directory: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
    /// A metric of this module has an invalid definition.
    #[error("the metrics of the SQL layer can't be made: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What all clones share.
pub(super) struct Engine {
    pub(super) backend: Backend,
    pub(super) metrics: Metrics,
    pub(super) give_up_after: Duration,
    pub(super) migrate_lock_timeout: Duration,
    slow_statement: Duration,
    contention_retries: u32,
}

/// The pools of one database.
#[derive(Clone, Debug)]
pub(super) enum Backend {
    MySql(MySqlBackend),
    Sqlite(SqliteBackend),
}

impl Database {
    /// Opens what `config` names; without a URL the SQLite file `playgate.db` in `data_dir`, made if it is missing.
    ///
    /// # Errors
    /// With the reason the server or file system gave. Later failures are those of the single statements: pools heal
    /// by themselves.
    pub async fn open(config: &SqlConfig, data_dir: &Path) -> Result<Self, OpenError> {
        let url = config.url.as_ref().map(|url| url.expose());
        let backend = match url {
            Some(url) if !url.starts_with("sqlite:") => Backend::MySql(MySqlBackend::open(url, config).await?),
            _ => Backend::Sqlite(SqliteBackend::open(url, data_dir, config).await?),
        };
        let engine = Engine {
            backend,
            metrics: Metrics::new()?,
            give_up_after: config.statement_timeout + GRACE,
            migrate_lock_timeout: config.migrate_lock_timeout,
            slow_statement: config.slow_statement,
            contention_retries: config.contention_retries,
        };
        Ok(Self { engine: Arc::new(engine) })
    }

    /// Makes the metrics visible. Once per registry.
    pub fn register_metrics(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        self.engine.metrics.register(registry, self.engine.backend.clone())
    }

    /// Which kind of database this is.
    pub fn dialect(&self) -> Dialect {
        self.engine.dialect()
    }

    /// A statement that only reads.
    pub fn read(&self, sql: impl Into<Sql>) -> Query<'_> {
        Query::on_pool(&self.engine, sql.into(), Operation::Read)
    }

    /// A statement that changes something, committed by itself.
    pub fn write(&self, sql: impl Into<Sql>) -> Query<'_> {
        Query::on_pool(&self.engine, sql.into(), Operation::Write)
    }

    /// A transaction: READ COMMITTED on MySQL, the exclusive writer on SQLite. Dropping it rolls back.
    pub async fn begin(&self) -> Result<Tx, SqlError> {
        Tx::begin(Arc::clone(&self.engine)).await
    }

    /// Runs `attempt`, which begins and commits a transaction, and repeats it when it lost a lock conflict, at most
    /// `sql.contention_retries` times. Nothing else is repeated: after [`SqlError::Unavailable`] nobody knows whether
    /// the commit happened.
    ///
    /// ```text
    /// database.retrying(|| async { let mut tx = database.begin().await?; ..; tx.commit().await }).await
    /// ```
    pub async fn retrying<T, E, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, E>
    where
        E: Contention,
        F: Future<Output = Result<T, E>>,
    {
        let mut pause = FIRST_PAUSE;
        for _ in 0..self.engine.contention_retries {
            match attempt().await {
                Err(error) if error.is_contention() => tokio::time::sleep(pause).await,
                outcome => return outcome,
            }
            pause *= 2;
        }
        attempt().await
    }

    /// Closes all connections once their statements have ended. Later statements are refused as unavailable.
    pub async fn close(&self) {
        match &self.engine.backend {
            Backend::MySql(mysql) => mysql.pool.close().await,
            Backend::Sqlite(sqlite) => {
                for reader in &sqlite.readers.lanes {
                    reader.pool.close().await;
                }
                // Last, because the last connection of a file moves its write-ahead log into it.
                sqlite.writer.pool.close().await;
            }
        }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("dialect", &self.dialect()).finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn dialect(&self) -> Dialect {
        match self.backend {
            Backend::MySql(_) => Dialect::MySql,
            Backend::Sqlite(_) => Dialect::Sqlite,
        }
    }

    /// Counts a statement that has ended, and names it if it was slow.
    pub(super) fn record(&self, operation: Operation, text: &str, elapsed: Duration, outcome: Result<(), &SqlError>) {
        self.metrics.observe(operation, elapsed);
        if let Err(error) = outcome {
            self.metrics.count_error(error);
        }
        if elapsed >= self.slow_statement {
            let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(duration_ms, statement = text, failed = outcome.is_err(), "slow SQL statement");
        }
    }
}

impl Backend {
    /// Pool, open connections, idle connections.
    pub(super) fn connections(&self) -> Vec<(&'static str, i64, i64)> {
        match self {
            Self::MySql(mysql) => vec![("mysql", i64::from(mysql.pool.size()), as_i64(mysql.pool.num_idle()))],
            Self::Sqlite(sqlite) => {
                let lanes = &sqlite.readers.lanes;
                let writer = &sqlite.writer.pool;
                vec![
                    ("sqlite_writer", i64::from(writer.size()), as_i64(writer.num_idle())),
                    (
                        "sqlite_readers",
                        lanes.iter().map(|lane| i64::from(lane.pool.size())).sum(),
                        lanes.iter().map(|lane| as_i64(lane.pool.num_idle())).sum(),
                    ),
                ]
            }
        }
    }
}

fn as_i64(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

//! Opening MySQL and MariaDB: session settings, server-side limits, the pool.

use std::{sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Executor, MySql, MySqlConnection, MySqlPool,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
};
use tokio::sync::Semaphore;

use super::{
    SqlConfig, SqlError,
    database::OpenError,
    lease::{Held, Lease, Source},
};

/// More texts than the platform has, so that a statement is never closed: closing costs a packet, and evicting the
/// text of a hot statement a round trip per use.
const STATEMENT_CACHE_CAPACITY: usize = 512;

/// A connection that was idle for longer is asked whether it is alive before it is used: a server may have gone.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(1);

/// How long the first connection may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// A pool, and how to make connections outside it.
#[derive(Clone, Debug)]
pub(super) struct MySqlBackend {
    pub(super) pool: MySqlPool,
    /// Places for those who wait for a connection.
    waiting: Arc<Semaphore>,
    options: MySqlConnectOptions,
}

/// They differ in how a statement is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    MariaDb,
    MySql,
}

impl MySqlBackend {
    /// Opens one connection on its own first: a pool reports every refusal as "timed out", this reports the reason.
    pub(super) async fn open(url: &str, config: &SqlConfig) -> Result<Self, OpenError> {
        let options: MySqlConnectOptions = url.parse().map_err(|error| OpenError::Url(SqlError::from(error)))?;
        let options =
            options.charset("utf8mb4").statement_cache_capacity(STATEMENT_CACHE_CAPACITY).disable_statement_logging();
        let refused = |reason| OpenError::MySql {
            address: format!("{}:{}", options.get_host(), options.get_port()),
            database: options.get_database().unwrap_or("none").to_owned(),
            reason,
        };
        if options.get_database().is_none() {
            return Err(refused(SqlError::other("sql.url names no database")));
        }
        let settings = match tokio::time::timeout(PROBE_TIMEOUT, probe(&options, config)).await {
            Ok(Ok(settings)) => settings,
            Ok(Err(reason)) => return Err(refused(reason)),
            Err(_elapsed) => return Err(refused(SqlError::unavailable("no answer within 5s"))),
        };
        // Saturating: a limit beyond what can be counted is none.
        let waiting = usize::try_from(config.max_waiting.get()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Ok(Self { pool: pool(&options, config, settings), waiting: Arc::new(Semaphore::new(waiting)), options })
    }

    pub(super) async fn lease(&self) -> Result<Lease<MySql>, SqlError> {
        // Given back as soon as there is a connection, or none.
        let _place = self.waiting.try_acquire().map_err(|_full| SqlError::QueueFull)?;
        Ok(Lease::new(self.pool.acquire().await?, None, None))
    }

    /// A connection without limits, for migrations.
    pub(super) async fn connect(&self) -> Result<MySqlConnection, SqlError> {
        Ok(self.options.connect().await?)
    }
}

impl<'q> Source<'q, MySql, &'q MySqlBackend> {
    pub(super) async fn lease(self) -> Result<Held<'q, MySql>, SqlError> {
        match self {
            Self::Pool(backend) => Ok(Held::Owned(backend.lease().await?)),
            Self::Transaction(lease) => Ok(Held::Borrowed(lease)),
        }
    }
}

async fn probe(options: &MySqlConnectOptions, config: &SqlConfig) -> Result<String, SqlError> {
    let mut connection = options.connect().await?;
    let (version,): (String,) = sqlx::query_as("SELECT VERSION()").fetch_one(&mut connection).await?;
    let settings = session_settings(flavour(&version), config);
    connection.execute(&*settings).await?;
    connection.close().await?;
    Ok(settings)
}

fn flavour(version: &str) -> Flavour {
    if version.to_ascii_lowercase().contains("mariadb") { Flavour::MariaDb } else { Flavour::MySql }
}

/// READ COMMITTED takes no gap locks, so fewer transactions meet. MySQL limits only SELECTs by itself; its other
/// statements are bounded by the lock wait and by our giving the connection up.
fn session_settings(flavour: Flavour, config: &SqlConfig) -> String {
    let limit = match flavour {
        Flavour::MariaDb => format!("max_statement_time = {}", config.statement_timeout.as_secs_f64()),
        Flavour::MySql => format!("max_execution_time = {}", config.statement_timeout.as_millis()),
    };
    let lock_wait = config.lock_wait_timeout.as_secs_f64().ceil();
    format!(
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
         SET SESSION {limit}, SESSION innodb_lock_wait_timeout = {lock_wait}"
    )
}

fn pool(options: &MySqlConnectOptions, config: &SqlConfig, settings: String) -> MySqlPool {
    let settings: Arc<str> = settings.into();
    MySqlPoolOptions::new()
        .max_connections(config.max_connections.get())
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(config.idle_timeout)
        .max_lifetime(config.max_lifetime)
        .test_before_acquire(false)
        .before_acquire(|connection, state| {
            Box::pin(async move {
                if state.idle_for > TEST_AFTER_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move {
                connection.execute(&*settings).await?;
                Ok(())
            })
        })
        .connect_lazy_with(options.clone())
}

#[cfg(test)]
mod tests;

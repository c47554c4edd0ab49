//! Opening SQLite: one connection that writes, several that read, and limits on both.
//!
//! One writer, because SQLite has one: waiting for it in a fair queue takes milliseconds where waiting in SQLite's
//! busy handler takes hundreds. Each reader is a pool of one, so that every connection has a watch of its own which
//! ends a statement that takes too long.

use std::{
    collections::VecDeque,
    path::Path,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Sqlite, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    SqlConfig, SqlError, Synchronous,
    database::OpenError,
    lease::{Held, Lease, Source, Watch},
};

/// Steps of SQLite's virtual machine between two looks at the watch: some tens of microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 1000;

/// The write-ahead log is cut back to this after a checkpoint: it grows while a reader holds an old snapshot.
const JOURNAL_SIZE_LIMIT: &str = "67108864";

const STATEMENT_CACHE_CAPACITY: usize = 512;

/// The writer and the readers of one file.
#[derive(Clone, Debug)]
pub(super) struct SqliteBackend {
    pub(super) writer: Lane,
    pub(super) readers: Arc<Readers>,
    options: SqliteConnectOptions,
}

/// A pool of one connection and the watch over its statements.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) pool: SqlitePool,
    watch: Arc<Watch>,
}

/// The readers, and which of them are free.
#[derive(Debug)]
pub(super) struct Readers {
    pub(super) lanes: Vec<Lane>,
    /// Longest free first: its connection is certainly back.
    free: Mutex<VecDeque<usize>>,
    permits: Arc<Semaphore>,
    acquire_timeout: Duration,
}

/// The claim on one reader; dropping it frees the reader.
#[derive(Debug)]
pub(super) struct Place {
    readers: Arc<Readers>,
    index: usize,
    _permit: OwnedSemaphorePermit,
}

/// Which connection a statement wants.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access<'q> {
    Read(&'q Arc<Readers>),
    Write(&'q Lane),
}

impl SqliteBackend {
    /// Creates the file and its directory (readable by the owner only) if they are missing.
    pub(super) async fn open(url: Option<&str>, data_dir: &Path, config: &SqlConfig) -> Result<Self, OpenError> {
        let options = match url {
            Some(url) if url.contains(":memory:") || url.contains("mode=memory") => return Err(OpenError::InMemory),
            Some(url) => SqliteConnectOptions::from_str(url).map_err(|error| OpenError::Url(SqlError::from(error)))?,
            None => SqliteConnectOptions::new().filename(data_dir.join("playgate.db")),
        };
        let file = options.get_filename().to_owned();
        if let Some(directory) = file.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            let made = tokio::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).await;
            made.map_err(|reason| OpenError::Directory { directory: directory.to_owned(), reason })?;
        }
        let base = options
            .foreign_keys(true)
            .busy_timeout(config.lock_wait_timeout)
            .statement_cache_capacity(STATEMENT_CACHE_CAPACITY)
            .pragma("journal_size_limit", JOURNAL_SIZE_LIMIT)
            .disable_statement_logging();
        let writing = base
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(config.sqlite_synchronous.into());
        // The writer opens first: it makes the file and switches it to write-ahead logging.
        let writer = Lane::open(&writing, config).await.map_err(|reason| OpenError::Sqlite { file, reason })?;
        let readers = Readers::new(&base.read_only(true), config);
        Ok(Self { writer, readers: Arc::new(readers), options: writing })
    }

    /// A connection without limits, for migrations: it waits for other writers as long as `lock_wait` says.
    pub(super) async fn connect(&self, lock_wait: Duration) -> Result<SqliteConnection, SqlError> {
        Ok(self.options.clone().busy_timeout(lock_wait).connect().await?)
    }
}

impl From<Synchronous> for SqliteSynchronous {
    fn from(synchronous: Synchronous) -> Self {
        match synchronous {
            Synchronous::Full => Self::Full,
            Synchronous::Normal => Self::Normal,
        }
    }
}

impl Lane {
    /// Opens its connection at once, so that a file that can't be opened is noticed. Two processes that both switch
    /// a new file to write-ahead logging collide in a way that SQLite does not wait for; the loser tries again.
    async fn open(options: &SqliteConnectOptions, config: &SqlConfig) -> Result<Self, SqlError> {
        let until = tokio::time::Instant::now() + config.migrate_lock_timeout;
        loop {
            match options.connect().await.map_err(SqlError::from) {
                Ok(connection) => {
                    sqlx::Connection::close(connection).await?;
                    return Ok(Self::new(options, config));
                }
                Err(SqlError::Contention(_)) if tokio::time::Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn new(options: &SqliteConnectOptions, config: &SqlConfig) -> Self {
        let watch = Arc::new(Watch::new(config.statement_timeout));
        let watched = Arc::clone(&watch);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(config.acquire_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                let watch = Arc::clone(&watched);
                Box::pin(async move {
                    let mut handle = connection.lock_handle().await?;
                    handle.set_progress_handler(STEPS_BETWEEN_LOOKS, move || !watch.expired());
                    Ok(())
                })
            })
            .connect_lazy_with(options.clone());
        Self { pool, watch }
    }

    pub(super) async fn lease(&self) -> Result<Lease<Sqlite>, SqlError> {
        self.lease_in(None).await
    }

    async fn lease_in(&self, place: Option<Place>) -> Result<Lease<Sqlite>, SqlError> {
        Ok(Lease::new(self.pool.acquire().await?, Some(Arc::clone(&self.watch)), place))
    }
}

impl Readers {
    fn new(options: &SqliteConnectOptions, config: &SqlConfig) -> Self {
        let lanes: Vec<Lane> = (0..config.sqlite_readers.get()).map(|_| Lane::new(options, config)).collect();
        Self {
            free: Mutex::new((0..lanes.len()).collect()),
            permits: Arc::new(Semaphore::new(lanes.len())),
            acquire_timeout: config.acquire_timeout,
            lanes,
        }
    }

    async fn lease(self: Arc<Self>) -> Result<Lease<Sqlite>, SqlError> {
        let waiting = Arc::clone(&self.permits).acquire_owned();
        let Ok(Ok(permit)) = tokio::time::timeout(self.acquire_timeout, waiting).await else {
            return Err(SqlError::from(sqlx::Error::PoolTimedOut));
        };
        let Some(index) = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else {
            return Err(SqlError::other("more permits than readers"));
        };
        let place = Place { readers: Arc::clone(&self), index, _permit: permit };
        self.lanes[index].lease_in(Some(place)).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.readers.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.index);
    }
}

impl<'q> Source<'q, Sqlite, Access<'q>> {
    pub(super) async fn lease(self) -> Result<Held<'q, Sqlite>, SqlError> {
        match self {
            Self::Pool(Access::Read(readers)) => Ok(Held::Owned(Arc::clone(readers).lease().await?)),
            Self::Pool(Access::Write(lane)) => Ok(Held::Owned(lane.lease().await?)),
            Self::Transaction(lease) => Ok(Held::Borrowed(lease)),
        }
    }
}

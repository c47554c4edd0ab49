//! A pooled connection on loan, and what becomes of it when its borrower goes away in the middle.
//!
//! Dropping the future of a statement does not stop the statement: the next user of the connection would wait for
//! it, or, when the server's host is gone, for the kernel to give up. So a connection that is dropped while it works
//! is closed, and one that is dropped inside a transaction rolls back before its next use.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Database, TransactionManager, pool::PoolConnection};
use tokio::time::error::Elapsed;

use super::{SqlError, sqlite::Place};

/// A connection that goes back to its pool when it is dropped.
pub(super) struct Lease<DB: Database> {
    connection: PoolConnection<DB>,
    busy: bool,
    watch: Option<Arc<Watch>>,
    /// Given back after the connection (fields drop in order).
    _place: Option<Place>,
}

/// Where a statement gets its connection from: the pool, or the transaction it belongs to.
pub(super) enum Source<'q, DB: Database, P> {
    Pool(P),
    Transaction(&'q mut Lease<DB>),
}

/// A loan that is ours, or one that a transaction keeps.
pub(super) enum Held<'q, DB: Database> {
    Owned(Lease<DB>),
    Borrowed(&'q mut Lease<DB>),
}

/// When the running statement of one SQLite connection has to end. Read by SQLite's progress handler on the
/// connection's thread.
#[derive(Debug)]
pub(super) struct Watch {
    limit: Duration,
    opened: Instant,
    /// Milliseconds since `opened`; [`Self::UNARMED`] between statements.
    deadline: AtomicU64,
}

impl<DB: Database> Lease<DB> {
    pub(super) fn new(connection: PoolConnection<DB>, watch: Option<Arc<Watch>>, place: Option<Place>) -> Self {
        Self { connection, busy: false, watch, _place: place }
    }

    /// The connection, for one statement. Between this and [`Self::finish`] the connection counts as working.
    pub(super) fn start(&mut self) -> Result<&mut DB::Connection, SqlError> {
        if self.busy {
            return Err(SqlError::unavailable("an earlier statement of the transaction got no answer"));
        }
        self.busy = true;
        if let Some(watch) = &self.watch {
            watch.arm();
        }
        Ok(&mut self.connection)
    }

    /// Takes the answer to the statement. Without one the connection stays marked as working, and is closed.
    pub(super) fn finish<T>(&mut self, answer: Result<Result<T, sqlx::Error>, Elapsed>) -> Result<T, SqlError> {
        let Ok(answer) = answer else {
            return Err(SqlError::unavailable("the database did not answer in time"));
        };
        self.busy = false;
        if let Some(watch) = &self.watch {
            watch.disarm();
        }
        Ok(answer?)
    }
}

impl<DB: Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        if self.busy {
            if let Some(watch) = &self.watch {
                watch.abandon();
            }
            self.connection.close_on_drop();
        } else if DB::TransactionManager::get_transaction_depth(&self.connection) > 0 {
            DB::TransactionManager::start_rollback(&mut self.connection);
        }
    }
}

impl<DB: Database> fmt::Debug for Lease<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("busy", &self.busy).finish_non_exhaustive()
    }
}

impl<DB: Database> Held<'_, DB> {
    pub(super) fn lease(&mut self) -> &mut Lease<DB> {
        match self {
            Self::Owned(lease) => lease,
            Self::Borrowed(lease) => lease,
        }
    }
}

impl Watch {
    const UNARMED: u64 = u64::MAX;

    pub(super) fn new(limit: Duration) -> Self {
        Self { limit, opened: Instant::now(), deadline: AtomicU64::new(Self::UNARMED) }
    }

    /// Whether the running statement has to end.
    pub(super) fn expired(&self) -> bool {
        let deadline = self.deadline.load(Ordering::Relaxed);
        deadline != Self::UNARMED && self.millis() >= deadline
    }

    fn arm(&self) {
        let limit = u64::try_from(self.limit.as_millis()).unwrap_or(Self::UNARMED);
        self.deadline.store(self.millis().saturating_add(limit), Ordering::Relaxed);
    }

    fn disarm(&self) {
        self.deadline.store(Self::UNARMED, Ordering::Relaxed);
    }

    /// Nobody waits for the running statement any more.
    fn abandon(&self) {
        self.deadline.store(0, Ordering::Relaxed);
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(Self::UNARMED)
    }
}

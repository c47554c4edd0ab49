//! What went wrong with a statement, sorted by what its caller can do about it.

use std::{fmt, time::Duration};

use crate::error_code::{ErrorCode, PublicError};

/// How long callers are asked to wait while the database is unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A statement that did not succeed. Its text names constraints and error numbers, never a value; it is for logs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// A row with this key exists.
    #[error("a row with this key exists already ({constraint})")]
    UniqueViolation {
        /// The index on MySQL (`uq_name`, `PRIMARY`); the columns on SQLite (`table.column`).
        constraint: String,
    },
    /// The database could not be asked, or did not answer: whether a write happened is unknown.
    #[error("the database is unavailable: {0}")]
    Unavailable(Cause),
    /// The statement ran into `sql.statement_timeout` and was ended; it has changed nothing.
    #[error("the statement ran for too long: {0}")]
    StatementTimeout(Cause),
    /// A deadlock, or a lock that others held for too long. The transaction may be repeated from its start.
    #[error("lock conflict: {0}")]
    Contention(Cause),
    /// A bounded queue in front of the database is full; the row was not taken.
    #[error("the write queue is full")]
    QueueFull,
    /// A mistake in a statement, a schema that does not fit, a row that was expected and is not there.
    #[error("the statement failed: {0}")]
    Other(Cause),
}

/// Why, for the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause(Box<str>);

/// Tells errors after which a transaction may simply be repeated. Implemented by store errors that wrap a
/// [`SqlError`], for [`Database::retrying`](super::Database::retrying).
pub trait Contention {
    /// Whether a lock conflict ended the transaction.
    fn is_contention(&self) -> bool;
}

impl SqlError {
    /// The closed set of kinds, as the metric label.
    pub const KINDS: [&'static str; 6] =
        ["unique_violation", "unavailable", "statement_timeout", "contention", "queue_full", "other"];

    /// The kind, as the metric label.
    pub fn kind(&self) -> &'static str {
        Self::KINDS[self.kind_index()]
    }

    pub(super) fn kind_index(&self) -> usize {
        match self {
            Self::UniqueViolation { .. } => 0,
            Self::Unavailable(_) => 1,
            Self::StatementTimeout(_) => 2,
            Self::Contention(_) => 3,
            Self::QueueFull => 4,
            Self::Other(_) => 5,
        }
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::StatementTimeout(_) | Self::Contention(_) | Self::QueueFull => true,
            Self::UniqueViolation { .. } | Self::Other(_) => false,
        }
    }

    /// What the outside is told: 503 with a time to ask again for what passes, 500 for what is our fault. A
    /// unique violation that means something to a caller is mapped by the store, before this.
    pub fn public(&self) -> PublicError {
        match self {
            Self::Unavailable(_) | Self::StatementTimeout(_) | Self::Contention(_) => {
                PublicError::unavailable(RETRY_AFTER)
            }
            Self::QueueFull => PublicError::new(ErrorCode::OVERLOADED).retry_after(RETRY_AFTER),
            Self::UniqueViolation { .. } | Self::Other(_) => PublicError::internal(),
        }
    }

    pub(super) fn unavailable(why: impl Into<Box<str>>) -> Self {
        Self::Unavailable(Cause(why.into()))
    }

    pub(super) fn other(why: impl Into<Box<str>>) -> Self {
        Self::Other(Cause(why.into()))
    }
}

impl Contention for SqlError {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Contention(_))
    }
}

impl From<SqlError> for PublicError {
    fn from(error: SqlError) -> Self {
        error.public()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(refusal) => match refusal.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>() {
                Some(mysql) => from_mysql(mysql.number(), mysql.message()),
                None => from_sqlite(refusal.code().and_then(|code| code.parse().ok()).unwrap_or(0), refusal.message()),
            },
            sqlx::Error::PoolTimedOut => Self::unavailable("no connection became free in time"),
            error @ (sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed) => Self::unavailable(error.to_string()),
            error => Self::other(error.to_string()),
        }
    }
}

/// Numbers from the "Server Error Message Reference" of MySQL 8.4 and "MariaDB Error Code Reference".
fn from_mysql(number: u16, message: &str) -> SqlError {
    match number {
        // ER_DUP_KEY, ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME: the message holds the row's value, which stays here.
        1022 | 1062 | 1586 => SqlError::UniqueViolation { constraint: mysql_key(message).to_owned() },
        // ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK, ER_CHECKREAD (a MariaDB snapshot that is too old).
        1205 | 1213 | 1020 => SqlError::Contention(Cause(format!("MySQL error {number}").into())),
        // ER_STATEMENT_TIMEOUT of MariaDB, ER_QUERY_TIMEOUT of MySQL, ER_QUERY_INTERRUPTED.
        1969 | 3024 | 1317 => SqlError::StatementTimeout(Cause(format!("MySQL error {number}").into())),
        // Too many connections, out of resources, shutting down, killed, no space, read-only after a fail-over,
        // a cluster node that is not ready.
        1021 | 1040 | 1041 | 1047 | 1053 | 1077 | 1079 | 1203 | 1226 | 1290 | 1836 | 1927 => {
            SqlError::unavailable(format!("MySQL error {number}: {message}"))
        }
        // These messages quote values (truncated, out of range, malformed); the number has to do.
        1264 | 1265 | 1292 | 1366 | 1411 | 1525 => SqlError::other(format!("MySQL error {number}")),
        _ => SqlError::other(format!("MySQL error {number}: {message}")),
    }
}

/// The key's name in `Duplicate entry '..' for key 'table.name'`; MariaDB leaves the table out, so it goes everywhere.
fn mysql_key(message: &str) -> &str {
    let quoted = message.rsplit('\'').nth(1).unwrap_or("unknown");
    quoted.rsplit('.').next().unwrap_or(quoted)
}

/// Codes from "Result and Error Codes" of SQLite. The low byte is the primary code.
fn from_sqlite(code: i32, message: &str) -> SqlError {
    const UNIQUE: i32 = 2067;
    const PRIMARY_KEY: i32 = 1555;
    const ROWID: i32 = 2579;
    match (code, code & 0xff) {
        (UNIQUE | PRIMARY_KEY | ROWID, _) => {
            let columns = message.split_once(": ").map_or(message, |(_, columns)| columns);
            SqlError::UniqueViolation { constraint: columns.to_owned() }
        }
        // BUSY and LOCKED: another process or connection writes.
        (_, 5 | 6) => SqlError::Contention(Cause(format!("SQLite error {code}").into())),
        // INTERRUPT: our own statement limit.
        (_, 9) => SqlError::StatementTimeout(Cause(format!("SQLite error {code}").into())),
        // NOMEM, IOERR, FULL, CANTOPEN.
        (_, 7 | 10 | 13 | 14) => SqlError::unavailable(format!("SQLite error {code}: {message}")),
        _ => SqlError::other(format!("SQLite error {code}: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_names_its_key_and_hides_the_value() {
        for message in
            ["Duplicate entry '+4915112345' for key 'uq_phone'", "Duplicate entry '+49151' for key 'people.uq_phone'"]
        {
            assert_eq!(from_mysql(1062, message), SqlError::UniqueViolation { constraint: "uq_phone".to_owned() });
        }
        assert_eq!(
            from_sqlite(2067, "UNIQUE constraint failed: people.phone"),
            SqlError::UniqueViolation { constraint: "people.phone".to_owned() }
        );
    }

    #[test]
    fn what_passes_by_itself_is_503_with_a_time_and_what_does_not_is_500() {
        for passing in [from_mysql(1213, ""), from_mysql(1040, ""), from_mysql(1969, ""), from_sqlite(517, "")] {
            assert!(passing.is_temporary());
            assert_eq!(passing.public().http_status(), 503);
            assert!(passing.public().retry_after.is_some());
        }
        assert_eq!(SqlError::QueueFull.public().code, ErrorCode::OVERLOADED);
        for ours in [from_mysql(1064, "syntax"), from_sqlite(1, "syntax")] {
            assert!(!ours.is_temporary());
            assert_eq!(ours.public(), PublicError::internal());
        }
    }
}

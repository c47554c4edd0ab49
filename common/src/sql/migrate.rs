//! Versioned schema: each service has its own set of migrations and its own history in `<name>_migrations`.
//!
//! The files are embedded with `sqlx::migrate!`; running them is ours, because sqlx keeps one history per database
//! (services share one) and its lock does nothing on MariaDB and SQLite. Only one replica migrates a database at a
//! time, whatever the set; the others wait and then find nothing to do.
//!
//! SQLite applies all of a run in one transaction. MySQL commits every schema change by itself, so there a migration
//! is marked before it starts and after it ends; one that stopped half-way is never guessed at.

use std::{fmt, time::Duration};

use sqlx::{
    Connection, Executor, MySqlConnection, SqliteConnection,
    migrate::{Migration, Migrator},
};

use super::{Database, SqlError, database::Backend};
use crate::clock::{Clock, SystemClock};

/// The name of the advisory lock on MySQL; one lock per database follows from a digest of the database's name, because
/// a lock's name has at most 64 characters.
const LOCK: &str = "playgate_migrate";

/// The migrations of one service, for both databases: the same versions on each.
///
/// Files are read when the crate is compiled. Cargo does not notice a *new* file by itself: the crate needs a build
/// script that prints `cargo:rerun-if-changed=migrations`.
///
/// ```text
/// static MYSQL: Migrator = sqlx::migrate!("migrations/mysql");
/// static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
/// pub fn migrations() -> MigrationSet { MigrationSet { name: "account", mysql: &MYSQL, sqlite: &SQLITE } }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MigrationSet {
    /// The prefix of the service's tables, `[a-z_]+`.
    pub name: &'static str,
    /// `migrations/mysql/<version>_<description>.sql`.
    pub mysql: &'static Migrator,
    /// `migrations/sqlite/<version>_<description>.sql`.
    pub sqlite: &'static Migrator,
}

/// One migration that is part of the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The number its file name starts with.
    pub version: i64,
    /// The rest of its file name.
    pub description: String,
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationReport {
    /// The set's name.
    pub set: &'static str,
    /// Applied by this run, in order.
    pub applied: Vec<Applied>,
    /// Were there before.
    pub already_there: usize,
}

/// How a database stands against a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The set's name.
    pub set: &'static str,
    /// What is in the history.
    pub applied: Vec<Applied>,
    /// What this program has and the database does not: it must not be served before they are applied.
    pub pending: Vec<Applied>,
}

/// Why a schema could not be brought up to date, with what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Another run holds the lock.
    #[error("another migration run did not end within {0:?}; look for it, or raise sql.migrate_lock_timeout")]
    Locked(Duration),
    /// A migration's text differs from the one that was applied.
    #[error("migration {0} was changed after it was applied; restore its file and put the change into a new one")]
    Changed(Step),
    /// A statement of a migration failed.
    #[error("migration {step} failed: {reason}{hint}")]
    Failed {
        /// Which.
        step: Step,
        /// What the database said.
        reason: SqlError,
        /// What state the schema is in now.
        hint: &'static str,
    },
    /// An earlier run stopped inside a migration.
    #[error(
        "migration {0} was begun and did not end: compare the schema with its file, then either complete it by hand \
         and set finished = 1 in its row of the migrations table, or undo it and delete that row; then run again"
    )]
    Unfinished(Step),
    /// The database could not be asked.
    #[error(transparent)]
    Database(#[from] SqlError),
}

/// A migration as people refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    set: &'static str,
    version: i64,
    description: String,
}

/// Brings the schema of one set up to date.
///
/// Versions that this program does not know are left alone: a newer replica has applied them, and every migration
/// has to leave the schema usable by the release before it.
pub async fn migrate(database: &Database, set: &MigrationSet) -> Result<MigrationReport, MigrateError> {
    let engine = database.engine();
    let wait = engine.migrate_lock_timeout;
    match &engine.backend {
        Backend::MySql(mysql) => {
            let mut connection = mysql.connect().await?;
            mysql_lock(&mut connection, wait).await?;
            let outcome = migrate_mysql(&mut connection, set).await;
            // Ends the session, and with it the lock, also when the outcome is an error.
            connection.close().await.map_err(SqlError::from)?;
            outcome
        }
        Backend::Sqlite(sqlite) => {
            let mut connection = sqlite.connect(wait).await?;
            let outcome = migrate_sqlite(&mut connection, set, wait).await;
            connection.close().await.map_err(SqlError::from)?;
            outcome
        }
    }
}

/// Compares a database with a set, changing nothing.
pub async fn schema_status(database: &Database, set: &MigrationSet) -> Result<SchemaStatus, MigrateError> {
    let rows: Vec<Row> = match &database.engine().backend {
        Backend::MySql(mysql) => {
            let mut connection = mysql.connect().await?;
            let exists =
                "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?";
            let (tables,): (i64,) =
                sqlx::query_as(exists).bind(table(set)).fetch_one(&mut connection).await.map_err(SqlError::from)?;
            if tables == 0 { Vec::new() } else { mysql_history(&mut connection, set).await? }
        }
        Backend::Sqlite(sqlite) => {
            let mut connection = sqlite.connect(database.engine().migrate_lock_timeout).await?;
            let exists = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?";
            let (tables,): (i64,) =
                sqlx::query_as(exists).bind(table(set)).fetch_one(&mut connection).await.map_err(SqlError::from)?;
            if tables == 0 { Vec::new() } else { sqlite_history(&mut connection, set).await? }
        }
    };
    let migrator = match &database.engine().backend {
        Backend::MySql(_) => set.mysql,
        Backend::Sqlite(_) => set.sqlite,
    };
    let pending = outstanding(set, migrator, &rows)?.into_iter().map(Applied::from).collect();
    let applied = rows.into_iter().map(|row| Applied { version: row.version, description: row.description }).collect();
    Ok(SchemaStatus { set: set.name, applied, pending })
}

/// One row of a history.
#[derive(sqlx::FromRow)]
struct Row {
    version: i64,
    description: String,
    checksum: Vec<u8>,
    finished: bool,
}

async fn mysql_lock(connection: &mut MySqlConnection, wait: Duration) -> Result<(), MigrateError> {
    // 1 is "yours"; 0 is "timed out" and NULL an error, both of which sqlx's own migrator takes for success.
    let (locked,): (Option<i64>,) = sqlx::query_as("SELECT GET_LOCK(CONCAT(?, '.', MD5(DATABASE())), ?)")
        .bind(LOCK)
        .bind(i64::try_from(wait.as_secs().max(1)).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await
        .map_err(SqlError::from)?;
    if locked == Some(1) { Ok(()) } else { Err(MigrateError::Locked(wait)) }
}

async fn migrate_mysql(connection: &mut MySqlConnection, set: &MigrationSet) -> Result<MigrationReport, MigrateError> {
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {} (version BIGINT PRIMARY KEY, description VARCHAR(255) NOT NULL, \
         checksum VARBINARY(64) NOT NULL, applied_at BIGINT NOT NULL, finished BOOLEAN NOT NULL) \
         CHARACTER SET utf8mb4",
        table(set)
    );
    connection.execute(&*create).await.map_err(SqlError::from)?;
    let history = mysql_history(connection, set).await?;
    let mut applied = Vec::new();
    for migration in outstanding(set, set.mysql, &history)? {
        sqlx::query(&insert(set, false))
            .bind(migration.version)
            .bind(&*migration.description)
            .bind(&*migration.checksum)
            .bind(SystemClock.now().as_millis())
            .execute(&mut *connection)
            .await
            .map_err(SqlError::from)?;
        connection.execute(&*migration.sql).await.map_err(|reason| MigrateError::Failed {
            step: Step::of(set, migration),
            reason: reason.into(),
            hint: "; its earlier statements have taken effect: the next run will ask for a decision",
        })?;
        let finish = format!("UPDATE {} SET finished = 1 WHERE version = ?", table(set));
        sqlx::query(&finish).bind(migration.version).execute(&mut *connection).await.map_err(SqlError::from)?;
        applied.push(Applied::from(migration));
    }
    Ok(MigrationReport { set: set.name, applied, already_there: history.len() })
}

async fn migrate_sqlite(
    connection: &mut SqliteConnection,
    set: &MigrationSet,
    wait: Duration,
) -> Result<MigrationReport, MigrateError> {
    let mut run = connection.begin_with("BEGIN IMMEDIATE").await.map_err(|error| match SqlError::from(error) {
        SqlError::Contention(_) => MigrateError::Locked(wait),
        error => MigrateError::Database(error),
    })?;
    let create = format!(
        "CREATE TABLE IF NOT EXISTS {} (version BIGINT PRIMARY KEY, description TEXT NOT NULL, checksum BLOB NOT NULL, \
         applied_at BIGINT NOT NULL, finished BOOLEAN NOT NULL)",
        table(set)
    );
    run.execute(&*create).await.map_err(SqlError::from)?;
    let history = sqlite_history(&mut run, set).await?;
    let mut applied = Vec::new();
    for migration in outstanding(set, set.sqlite, &history)? {
        run.execute(&*migration.sql).await.map_err(|reason| MigrateError::Failed {
            step: Step::of(set, migration),
            reason: reason.into(),
            hint: "; nothing of this run has taken effect",
        })?;
        sqlx::query(&insert(set, true))
            .bind(migration.version)
            .bind(&*migration.description)
            .bind(&*migration.checksum)
            .bind(SystemClock.now().as_millis())
            .execute(&mut *run)
            .await
            .map_err(SqlError::from)?;
        applied.push(Applied::from(migration));
    }
    run.commit().await.map_err(SqlError::from)?;
    Ok(MigrationReport { set: set.name, applied, already_there: history.len() })
}

async fn mysql_history(connection: &mut MySqlConnection, set: &MigrationSet) -> Result<Vec<Row>, SqlError> {
    Ok(sqlx::query_as(&select(set)).fetch_all(connection).await?)
}

async fn sqlite_history(connection: &mut SqliteConnection, set: &MigrationSet) -> Result<Vec<Row>, SqlError> {
    Ok(sqlx::query_as(&select(set)).fetch_all(connection).await?)
}

/// What is left to do, after checking that what was done is what the files say.
fn outstanding<'m>(
    set: &MigrationSet,
    migrator: &'m Migrator,
    history: &[Row],
) -> Result<Vec<&'m Migration>, MigrateError> {
    let mut pending = Vec::new();
    for migration in migrator.iter().filter(|migration| !migration.migration_type.is_down_migration()) {
        match history.iter().find(|row| row.version == migration.version) {
            None => pending.push(migration),
            Some(row) if !row.finished => return Err(MigrateError::Unfinished(Step::of(set, migration))),
            Some(row) if *row.checksum != *migration.checksum => {
                return Err(MigrateError::Changed(Step::of(set, migration)));
            }
            Some(_) => {}
        }
    }
    Ok(pending)
}

fn table(set: &MigrationSet) -> String {
    format!("{}_migrations", set.name)
}

fn select(set: &MigrationSet) -> String {
    format!("SELECT version, description, checksum, finished FROM {} ORDER BY version", table(set))
}

fn insert(set: &MigrationSet, finished: bool) -> String {
    let finished = u8::from(finished);
    format!(
        "INSERT INTO {} (version, description, checksum, applied_at, finished) VALUES (?, ?, ?, ?, {finished})",
        table(set)
    )
}

impl From<&Migration> for Applied {
    fn from(migration: &Migration) -> Self {
        Self { version: migration.version, description: migration.description.clone().into_owned() }
    }
}

impl Step {
    fn of(set: &MigrationSet, migration: &Migration) -> Self {
        Self { set: set.name, version: migration.version, description: migration.description.clone().into_owned() }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ({})", self.set, self.version, self.description)
    }
}

#[cfg(test)]
mod tests;

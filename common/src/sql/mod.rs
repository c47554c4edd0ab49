//! One layer over MySQL/MariaDB (production) and SQLite (embedded default).
//!
//! SQL is written once where the dialects agree ([`Sql`]); the types that both drivers know are bound and decoded
//! directly. What is here never knows a table of a service, and no text of a database error leaves the process.
//!
//! In reading order:
//! - `config`: the section `sql`.
//! - `database`: [`Database`]: opening, pools, limits.
//! - `statement`, `query`, `transaction`: [`Sql`] text, one [`Query`], several in a [`Tx`].
//! - `lease`, `mysql`, `sqlite`: how each kind of connection is opened, limited, lent and taken back.
//! - `error`: [`SqlError`]: what a caller can do about a failure.
//! - `migrate`: versioned schema, one history per service.
//! - `segments`: identifiers handed out without I/O.
//! - `group_commit`: many small inserts in one statement.
//! - `job_leases`: which instance runs a job, and when.
//!
//! What stores have to know:
//! - Text columns that are compared exactly are `utf8mb4_bin` on MySQL; they are read through [`Text`].
//! - `RETURNING`, `UPDATE .. LIMIT` and `FOR UPDATE` do not exist on both; a transaction on SQLite is exclusive from
//!   its start, so what `FOR UPDATE` protects on MySQL is protected there without it.
//! - An `UPDATE` that matches a row and changes nothing counts as one row on both.

mod config;
mod database;
mod error;
mod group_commit;
mod job_leases;
mod lease;
mod metrics;
mod migrate;
mod mysql;
mod query;
mod segments;
mod sqlite;
mod statement;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod trace;
mod transaction;

pub use self::{
    config::{SqlConfig, Synchronous},
    database::{Database, Dialect, OpenError},
    error::{Contention, SqlError},
    group_commit::{GroupCommit, GroupCommitConfig, InsertRow},
    job_leases::{JobLeases, JobTable, JobTurn},
    migrate::{Applied, MigrateError, MigrationReport, MigrationSet, SchemaStatus, migrate, schema_status},
    query::{Query, Record, Value},
    segments::{ID_LIMIT, SegmentPlan, Segments, platform_migrations},
    statement::Sql,
    text::Text,
    transaction::Tx,
};

//! The database of a process and the schemas of the services that keep tables in it.

use std::path::Path;

use anyhow::Context;
use common::sql::{self, Database, Dialect, MigrationReport, MigrationSet, SqlConfig};

/// Every service's schema, in no particular order: no service knows another's tables.
fn migration_sets() -> [MigrationSet; 3] {
    [sql::platform_migrations(), account::migrations(), pay::migrations()]
}

/// Opens the database and makes sure that its schema is the one this binary was built for.
///
/// SQLite is migrated on the spot: it belongs to this process. A database server is not: there, several versions run
/// side by side during a roll, and the step that changes the schema is the operator's to choose.
pub(crate) async fn open(config: &SqlConfig, data_dir: &Path) -> anyhow::Result<Database> {
    let database = Database::open(config, data_dir).await?;
    match database.dialect() {
        Dialect::Sqlite => {
            migrate_all(&database).await?;
        }
        Dialect::MySql => {
            for set in migration_sets() {
                let status = sql::schema_status(&database, &set).await?;
                anyhow::ensure!(
                    status.pending.is_empty(),
                    "the schema `{}` misses {} migration(s): run `playgate migrate` first",
                    set.name,
                    status.pending.len(),
                );
            }
        }
    }
    Ok(database)
}

/// Brings every schema up to date.
pub(crate) async fn migrate_all(database: &Database) -> anyhow::Result<Vec<(&'static str, MigrationReport)>> {
    let mut reports = Vec::new();
    for set in migration_sets() {
        let report = sql::migrate(database, &set).await;
        reports.push((set.name, report.with_context(|| format!("the schema `{}` could not be migrated", set.name))?));
    }
    Ok(reports)
}

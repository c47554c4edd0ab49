//! `playgate migrate`: brings the database's schemas up to date. Safe to run from several machines at once, and again.

use std::fmt::Write;

use common::{lifecycle::ExitStatus, sql::Database};

use crate::{
    cli::{failure::Failure, globals::Globals, output::print},
    platform::migrate_all,
};

pub(super) async fn run(globals: &Globals) -> Result<ExitStatus, Failure> {
    let configuration = globals.load().await?.value;
    let database = Database::open(&configuration.sql, &configuration.data_dir).await.map_err(anyhow::Error::from)?;
    let reports = migrate_all(&database).await?;
    database.close().await;
    let mut text = String::new();
    for (schema, report) in reports {
        let _ = match report.applied.len() {
            0 => writeln!(text, "{schema}: up to date"),
            1 => writeln!(text, "{schema}: 1 migration applied"),
            many => writeln!(text, "{schema}: {many} migrations applied"),
        };
    }
    print(&text)?;
    Ok(ExitStatus::Clean)
}

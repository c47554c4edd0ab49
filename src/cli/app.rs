//! `playgate app`: creates apps and rotates their secrets, straight in the database. A running platform sees both
//! within seconds.

use clap::Subcommand;
use common::lifecycle::ExitStatus;
use serde_json::json;

use crate::{
    cli::{failure::Failure, globals::Globals, output::print},
    platform::{admin, open_database},
};

/// What to do with an app.
#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Create an app; prints its id and secret as JSON.
    Create {
        /// Shown to operators
        #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
        name: String,
        /// Choose the id instead of taking the next free one
        #[arg(long, value_parser = app_ids())]
        app_id: Option<i64>,
    },
    /// Give an app a new secret; the newest of the old ones stays good until the next rotation.
    RotateSecret {
        /// The app
        #[arg(long, value_parser = app_ids())]
        app_id: i64,
    },
}

/// Ids survive JavaScript and Lua.
pub(super) fn app_ids() -> clap::builder::RangedI64ValueParser<i64> {
    clap::value_parser!(i64).range(1..1 << 53)
}

pub(super) async fn run(command: AppCommand, globals: &Globals) -> Result<ExitStatus, Failure> {
    let configuration = globals.load_with_master_key().await?.value;
    let database = open_database(&configuration.sql, &configuration.data_dir).await?;
    let admin = admin(&configuration, database.clone())?;
    let app = match command {
        AppCommand::Create { name, app_id } => admin.create_app(&name, app_id).await,
        AppCommand::RotateSecret { app_id } => admin.rotate_app_secret(app_id).await,
    }
    .map_err(anyhow::Error::from)?;
    database.close().await;
    print(&format!("{}\n", json!({ "app_id": app.app_id, "app_secret": app.app_secret.expose() })))?;
    Ok(ExitStatus::Clean)
}

//! `playgate key`: rotates the keys that tokens are made with, straight in the database. Running replicas read a new key
//! before any of them uses it.

use clap::{Subcommand, ValueEnum};
use common::lifecycle::ExitStatus;
use serde_json::json;

use crate::{
    cli::{failure::Failure, globals::Globals, output::print},
    platform::{admin, open_database},
};

/// What to do with the keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Add a key that takes over once it has been announced, and delete those that no living token needs; prints the
    /// new key's id, when it takes over (Unix ms), and the deleted ones as JSON.
    Rotate {
        /// Which kind of token the key is for
        #[arg(long, value_enum, default_value_t = Kind::Access)]
        kind: Kind,
    },
}

/// A kind of token.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// Access tokens, which only this platform reads
    Access,
    /// ID tokens, which anybody verifies with the published keys
    Id,
}

pub(super) async fn run(command: KeyCommand, globals: &Globals) -> Result<ExitStatus, Failure> {
    let KeyCommand::Rotate { kind } = command;
    let configuration = globals.load_with_master_key().await?.value;
    let database = open_database(&configuration.sql, &configuration.data_dir).await?;
    let admin = admin(&configuration, database.clone())?;
    let (name, rotated) = match kind {
        Kind::Access => ("access", admin.rotate_token_key(&configuration.account.tokens).await),
        Kind::Id => ("id", admin.rotate_signing_key(&configuration.account).await),
    };
    let new = rotated.map_err(anyhow::Error::from)?;
    database.close().await;
    let shown = json!({ "kind": name, "key_id": new.key_id, "signs_from": new.signs_from, "removed": new.removed });
    print(&format!("{shown}\n"))?;
    Ok(ExitStatus::Clean)
}

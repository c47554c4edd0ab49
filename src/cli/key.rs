//! `playgate key`: rotates the keys that tokens are made with, straight in the database. Running replicas read a new key
//! before any of them uses it. Or puts another master key in the place of the one that everything is sealed under.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use common::lifecycle::ExitStatus;
use serde_json::json;

use crate::{
    cli::{failure::Failure, globals::Globals, output::print},
    config::master_key::key_in,
    platform::{admin, open_database, reseal_under},
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
    /// Seal everything under another master key, while no process of the platform runs; prints what was sealed as JSON.
    /// Interrupted, it goes on where it was. Afterwards configure the new key and start.
    Reseal {
        /// A file with the new key: 64 hexadecimal digits
        #[arg(long, value_name = "FILE")]
        new_key_file: PathBuf,
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
    match command {
        KeyCommand::Rotate { kind } => rotate(kind, globals).await,
        KeyCommand::Reseal { new_key_file } => Box::pin(reseal(&new_key_file, globals)).await,
    }
}

async fn reseal(new_key_file: &Path, globals: &Globals) -> Result<ExitStatus, Failure> {
    let loaded = globals.load_with_master_key().await?;
    let new = key_in(new_key_file).map_err(|invalid| loaded.provenance.complaint(invalid))?;
    let configuration = loaded.value;
    let database = open_database(&configuration.sql, &configuration.data_dir).await?;
    let resealed = reseal_under(&configuration, database.clone(), &new)?.run().await;
    database.close().await;
    let done = resealed.map_err(anyhow::Error::from)?;
    print(&format!("{}\n", serde_json::to_string(&done).map_err(anyhow::Error::from)?))?;
    Ok(ExitStatus::Clean)
}

async fn rotate(kind: Kind, globals: &Globals) -> Result<ExitStatus, Failure> {
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

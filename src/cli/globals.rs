//! Flags that every command takes: which configuration.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use common::config::{ConfigFile, DEFAULT_FILE, LoadOptions, Loaded, load};

use super::failure::Failure;
use crate::{
    config::{Configuration, check_for_role, check_master_key},
    role::Role,
};

/// Where the configuration comes from: defaults < file < `PLAYGATE__SECTION__KEY` < command line.
#[derive(Clone, Args)]
pub(crate) struct Globals {
    /// Configuration file [default: playgate.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Override one key, for example `--set log.level=debug`
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Globals {
    /// The effective configuration.
    pub(crate) async fn load(&self) -> Result<Loaded<Configuration>, Failure> {
        let file = match &self.config {
            Some(path) => ConfigFile::Required(path.clone()),
            None => ConfigFile::IfPresent(PathBuf::from(DEFAULT_FILE)),
        };
        let environment = std::env::vars_os().collect();
        let options = LoadOptions { file, environment, overrides: self.set.clone() };
        // Reads a file, which may block.
        let loaded = tokio::task::spawn_blocking(move || load(options)).await;
        Ok(loaded.context("the configuration could not be read")??)
    }

    /// The effective configuration of a command that uses account's master key.
    pub(crate) async fn load_with_master_key(&self) -> Result<Loaded<Configuration>, Failure> {
        let loaded = self.load().await?;
        check_master_key(&loaded)?;
        Ok(loaded)
    }

    /// The effective configuration of a process that is to be `role`.
    pub(crate) async fn load_for(&self, role: Role) -> Result<Loaded<Configuration>, Failure> {
        let loaded = self.load().await?;
        check_for_role(&loaded, role)?;
        Ok(loaded)
    }
}

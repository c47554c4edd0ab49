//! `playgate config print`: the effective configuration as TOML, with the origin of every value. With `--rules FILE` it is
//! the document of the rules of traffic as it would apply, every default written out.

use std::path::PathBuf;

use clap::Args;
use common::lifecycle::ExitStatus;

use super::rules;
use crate::cli::{failure::Failure, globals::Globals, output::print};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Print what would be in force with a document of the rules of traffic (playgate-govern.toml)
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals) -> Result<ExitStatus, Failure> {
    let Some(file) = arguments.rules else {
        print(&globals.load().await?.to_toml())?;
        return Ok(ExitStatus::Clean);
    };
    match rules::read(&file).await? {
        Ok(effective) => {
            print(&effective.toml)?;
            Ok(ExitStatus::Clean)
        }
        Err(problems) => {
            rules::complain_of(&file, &problems);
            Ok(ExitStatus::Usage)
        }
    }
}

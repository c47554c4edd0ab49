//! `playgate config check [ROLE]`: exits 0 if the role would accept the configuration, otherwise 64 with one line that
//! says which key and why. With `--rules FILE` it is the document of the rules of traffic that is looked at instead, and
//! all that is wrong with it is said, one line each.

use std::path::PathBuf;

use clap::Args;
use common::lifecycle::ExitStatus;

use super::rules;
use crate::{
    cli::{failure::Failure, globals::Globals, output::print},
    role::Role,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The role that the configuration is for
    #[arg(value_enum, default_value_t)]
    role: Role,
    /// Check a document of the rules of traffic (playgate-govern.toml), and not the configuration
    #[arg(long, value_name = "FILE", conflicts_with = "role")]
    rules: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals) -> Result<ExitStatus, Failure> {
    let Some(file) = arguments.rules else {
        globals.load_for(arguments.role).await?;
        print("the configuration is valid\n")?;
        return Ok(ExitStatus::Clean);
    };
    match rules::read(&file).await? {
        Ok(effective) => {
            print(&format!("the rules are valid, their digest is {}\n", effective.digest))?;
            Ok(ExitStatus::Clean)
        }
        Err(problems) => {
            rules::complain_of(&file, &problems);
            Ok(ExitStatus::Usage)
        }
    }
}

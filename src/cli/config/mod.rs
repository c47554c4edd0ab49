//! `playgate config`: is it right, and what is it?

mod check;
mod print;

use clap::Subcommand;
use common::lifecycle::ExitStatus;

use super::{failure::Failure, globals::Globals};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether a role would start with it.
    Check(check::Arguments),
    /// Print it with the origin of every value; secrets are redacted.
    Print,
}

/// Runs the command.
pub(crate) async fn run(command: ConfigCommand, globals: &Globals) -> Result<ExitStatus, Failure> {
    match command {
        ConfigCommand::Check(arguments) => check::run(arguments, globals).await,
        ConfigCommand::Print => print::run(globals).await,
    }
}

//! `playgate config`: is it right, and what is it?

mod check;
mod print;
mod rules;

use clap::Subcommand;
use common::lifecycle::ExitStatus;

use super::{failure::Failure, globals::Globals};

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Say whether a role would start with it, or whether rules of traffic would be taken.
    Check(check::Arguments),
    /// Print it with the origin of every value; secrets are redacted. Or print rules of traffic.
    Print(print::Arguments),
}

/// Runs the command.
pub(crate) async fn run(command: ConfigCommand, globals: &Globals) -> Result<ExitStatus, Failure> {
    match command {
        ConfigCommand::Check(arguments) => check::run(arguments, globals).await,
        ConfigCommand::Print(arguments) => print::run(arguments, globals).await,
    }
}

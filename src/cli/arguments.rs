//! The commands, and which file runs which.

use std::ffi::OsString;

use clap::{Parser, Subcommand};
use common::lifecycle::ExitStatus;

use super::{
    account::{self, AccountCommand},
    app::{self, AppCommand},
    config::{self, ConfigCommand},
    demo,
    failure::{Failure, complain},
    globals::Globals,
    health,
    ingest::{self, IngestCommand},
    key::{self, KeyCommand},
    migrate,
    partner::{self, PartnerCommand},
    pay::{self, PayCommand},
    serve,
};

/// The login, token and pay platform behind a game SDK.
// Not `Debug`: `--set` may hold a secret.
#[derive(Parser)]
#[command(name = "playgate", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    globals: Globals,
    /// Without one: serve all
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the platform, or one role of it.
    Serve(serve::Arguments),
    /// Ask a process on this machine whether it lives.
    Health(health::Arguments),
    /// Bring the database's schemas up to date.
    Migrate,
    /// Create apps and rotate their secrets.
    #[command(subcommand)]
    App(AppCommand),
    /// Make partners, who push events, and rotate their secrets.
    #[command(subcommand)]
    Partner(PartnerCommand),
    /// Look into the events that partners have pushed.
    #[command(subcommand)]
    Ingest(IngestCommand),
    /// Import accounts of another platform.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Rotate the keys that tokens are made with.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Compare orders with channels' bills, and see to those that are stuck.
    #[command(subcommand)]
    Pay(PayCommand),
    /// Start a throw-away platform and walk a player through it.
    Demo,
    /// Check or show the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

impl Cli {
    /// The parsed arguments, or the status to leave with after help, a version or a complaint was printed.
    pub(crate) fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, ExitStatus> {
        Self::try_parse_from(arguments).map_err(|answer| {
            // A closed standard output or error is no reason for another status.
            let _ = answer.print();
            if answer.use_stderr() { ExitStatus::Usage } else { ExitStatus::Clean }
        })
    }

    /// Runs the command. What went wrong has been said when this returns.
    pub(crate) async fn run(self) -> ExitStatus {
        self.dispatch().await.unwrap_or_else(|failure| {
            complain(&failure.to_string());
            failure.status()
        })
    }

    async fn dispatch(self) -> Result<ExitStatus, Failure> {
        match self.command.unwrap_or_else(|| Command::Serve(serve::Arguments::all())) {
            Command::Serve(arguments) => serve::run(arguments, &self.globals).await,
            Command::Health(arguments) => health::run(arguments, &self.globals).await,
            Command::Migrate => migrate::run(&self.globals).await,
            Command::App(command) => app::run(command, &self.globals).await,
            Command::Partner(command) => partner::run(command, &self.globals).await,
            Command::Ingest(command) => ingest::run(command, &self.globals).await,
            Command::Account(command) => account::run(command, &self.globals).await,
            Command::Key(command) => key::run(command, &self.globals).await,
            Command::Pay(command) => pay::run(command, &self.globals).await,
            Command::Demo => demo::run().await,
            Command::Config(command) => config::run(command, &self.globals).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn verify_cli() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_cannot_be_understood_is_a_usage_error_and_help_is_not() {
        let status = |arguments: &[&str]| {
            let arguments = ["playgate"].iter().chain(arguments).map(OsString::from);
            Cli::from_arguments(arguments).err()
        };
        assert_eq!(status(&["config", "check", "--no-such-flag"]), Some(ExitStatus::Usage));
        assert_eq!(status(&["no-such-command"]), Some(ExitStatus::Usage));
        assert_eq!(status(&["--help"]), Some(ExitStatus::Clean));
        assert_eq!(status(&["--version"]), Some(ExitStatus::Clean));
        assert_eq!(status(&["config", "check", "--set", "a=b", "--config", "x"]), None);
        assert_eq!(status(&["--set", "a=b", "--set", "c=d", "config", "check", "pay"]), None);
    }
}

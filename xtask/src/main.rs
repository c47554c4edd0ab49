//! `cargo xtask …`: what a developer or a build machine does with this workspace.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a developer command talks to its terminal")]

mod commands;
mod invariants;
mod step;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of playgate", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing: Debian packages (as root) and tools (into target/tools).
    Setup,
    /// Start private servers, print how to reach them, and run until Ctrl-C.
    Services,
    /// Everything a change must pass, cheapest checks first.
    Test(commands::test::Options),
    /// Check licences, sources and banned crates; with --advisories, known vulnerabilities instead.
    Deny(commands::deny::Options),
    /// Write Grafana's dashboards from their short form.
    Dashboards,
    /// Run the load scenarios (release build); arguments go to the `bench` program.
    Bench(commands::bench::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Setup => commands::setup::run(),
        Command::Services => commands::services::run(),
        Command::Test(options) => commands::test::run(&options),
        Command::Deny(options) => commands::deny::run(&options),
        Command::Dashboards => xtask::dashboards::write(),
        Command::Bench(options) => commands::bench::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}

//! The `playgate` process: one binary that holds every role.
//!
//! Reads the arguments, builds the runtime, runs one command and leaves with its exit status. Everything is composed
//! below [`cli`]; nothing is decided here.

mod banner;
mod cli;
mod config;
mod demo;
mod first_run;
mod platform;
mod role;

use std::process::ExitCode;

use common::lifecycle::ExitStatus;

fn main() -> ExitCode {
    let cli = match cli::Cli::from_arguments(std::env::args_os()) {
        Ok(cli) => cli,
        Err(status) => return status.into(),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            cli::complain(&format!("the runtime can't be started: {error}"));
            return ExitStatus::Failed.into();
        }
    };
    let status = runtime.block_on(cli.run());
    // A thread that still blocks may not hold up the exit: everything that had to be finished is.
    runtime.shutdown_background();
    status.into()
}

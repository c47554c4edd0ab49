//! `cargo xtask bench …`: the load scenarios, built as they would be shipped.

use anyhow::Result;
use xtask::workspace;

/// Everything after `bench` is for the `bench` program.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Scenarios and options of the `bench` program; `--help` there lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    // The scenarios start the real program, so it is built the same way first.
    workspace::run(workspace::cargo().args(["build", "--release", "--package", "playgate", "--package", "bench"]))?;
    workspace::run(
        workspace::cargo().args(["run", "--release", "--quiet", "--package", "bench", "--"]).args(&options.arguments),
    )
}

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
    // As it is shipped, and in a call of its own: built together with the peers, the program would get features that
    // only they need.
    for package in ["playgate", "bench"] {
        workspace::run(workspace::cargo().args(["build", "--profile", "dist", "--package", package]))?;
    }
    let arguments = ["run", "--profile", "dist", "--quiet", "--package", "bench", "--"];
    workspace::run(workspace::cargo().args(arguments).args(&options.arguments))
}

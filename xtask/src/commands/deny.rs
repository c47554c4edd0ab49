//! `cargo xtask deny`: what may be in the dependency tree.
//!
//! The database of known vulnerabilities is fetched from the network, which a build machine may not have: it is asked
//! for by name and is no part of `test`.

use std::process::Command;

use anyhow::{Context as _, Result};
use xtask::workspace;

use super::setup;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Fetch the advisory database and look for known vulnerabilities (needs the network).
    #[arg(long)]
    advisories: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::tools()?;
    let checks: &[&str] = if options.advisories { &["advisories"] } else { &["bans", "licenses", "sources"] };
    check(checks)
}

/// Runs the named checks. Duplicate versions are warnings with a tree each: only errors are worth a screen.
pub(crate) fn check(checks: &[&str]) -> Result<()> {
    let program = setup::cargo_deny().context("cargo-deny is not installed: run `cargo xtask setup`")?;
    let mut command = Command::new(program);
    command
        .current_dir(workspace::root())
        .args(["--log-level", "error", "check", "--hide-inclusion-graph"])
        .args(checks);
    workspace::run(&mut command)
}

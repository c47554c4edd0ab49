//! `playgate config print`: the effective configuration as TOML, with the origin of every value.

use common::lifecycle::ExitStatus;

use crate::cli::{failure::Failure, globals::Globals, output::print};

pub(super) async fn run(globals: &Globals) -> Result<ExitStatus, Failure> {
    print(&globals.load().await?.to_toml())?;
    Ok(ExitStatus::Clean)
}

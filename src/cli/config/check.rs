//! `playgate config check [ROLE]`: exits 0 if the role would accept the configuration, otherwise 64 with one line that
//! says which key and why.

use clap::Args;
use common::lifecycle::ExitStatus;

use crate::{
    cli::{failure::Failure, globals::Globals, output::print},
    role::Role,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The role that the configuration is for
    #[arg(value_enum, default_value_t)]
    role: Role,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals) -> Result<ExitStatus, Failure> {
    globals.load_for(arguments.role).await?;
    print("the configuration is valid\n")?;
    Ok(ExitStatus::Clean)
}

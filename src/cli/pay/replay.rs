//! `playgate pay replay`: callbacks that were kept, judged again.

use clap::Args;
use common::lifecycle::ExitStatus;

use super::open;
use crate::cli::{failure::Failure, globals::Globals, output::print};

/// Which callbacks.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The order whose callbacks they are
    #[arg(long, value_name = "ORDER_ID")]
    order: String,
    /// Only those whose digest begins with these digits
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
    /// Judge them, and let nothing come of it
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals) -> Result<ExitStatus, Failure> {
    let Arguments { order, digest, dry_run } = arguments;
    let (pay, database) = open(globals).await?;
    let replayed = pay.replay(&order, digest.as_deref(), dry_run).await;
    database.close().await;
    let replayed = replayed.map_err(anyhow::Error::from)?;
    print(&format!("{}\n", serde_json::to_string(&replayed).map_err(anyhow::Error::from)?))?;
    Ok(ExitStatus::Clean)
}

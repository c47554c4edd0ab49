//! `playgate pay redeliver`: orders are sent to their game server again.

use clap::Args;
use common::lifecycle::ExitStatus;

use super::open;
use crate::cli::{app::app_ids, failure::Failure, globals::Globals, output::print};

/// Which orders.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(crate) struct Arguments {
    /// Their app
    #[arg(long, value_parser = app_ids())]
    app_id: i64,
    /// All whose delivery was given up
    #[arg(long, group = "which")]
    dead: bool,
    /// These
    #[arg(long = "order", value_name = "ORDER_ID", group = "which", num_args = 1..)]
    orders: Vec<String>,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals) -> Result<ExitStatus, Failure> {
    let Arguments { app_id, dead, orders } = arguments;
    let (pay, database) = open(globals).await?;
    let sent = if dead { pay.redeliver_dead(app_id).await } else { pay.redeliver(app_id, &orders).await };
    database.close().await;
    let sent = sent?;
    print(&format!("{}\n", serde_json::to_string(&sent).map_err(anyhow::Error::from)?))?;
    Ok(if sent.refused.is_empty() { ExitStatus::Clean } else { ExitStatus::Data })
}

//! `playgate pay`: what operators do to orders from a shell or a cron job, straight in the database. The platform may run
//! meanwhile.

mod dead_letters;
mod reconcile;
mod redeliver;
mod replay;

use clap::Subcommand;
use common::{lifecycle::ExitStatus, sql::Database};
use pay::Pay;

use crate::{
    cli::{failure::Failure, globals::Globals},
    platform::{open_database, pay_by_hand},
};

/// What to do with orders.
#[derive(Debug, Subcommand)]
pub(crate) enum PayCommand {
    /// Compare a channel's bill of a day with the orders, and with what game servers have acknowledged. Changes nothing.
    /// Exit status 1: they differ; 65: the bill can't be used.
    Reconcile(reconcile::Arguments),
    /// Judge the kept callbacks of an order again, as if they came now; prints what each comes to as JSON.
    Replay(replay::Arguments),
    /// List paid orders whose delivery was given up, one JSON object per line.
    DeadLetters(dead_letters::Arguments),
    /// Have orders sent to their game server again; prints how many as JSON. Exit status 65: some were not.
    Redeliver(redeliver::Arguments),
}

pub(super) async fn run(command: PayCommand, globals: &Globals) -> Result<ExitStatus, Failure> {
    match command {
        PayCommand::Reconcile(arguments) => Box::pin(reconcile::run(arguments, globals)).await,
        PayCommand::Replay(arguments) => Box::pin(replay::run(arguments, globals)).await,
        PayCommand::DeadLetters(arguments) => Box::pin(dead_letters::run(arguments, globals)).await,
        PayCommand::Redeliver(arguments) => Box::pin(redeliver::run(arguments, globals)).await,
    }
}

/// The service without anything that runs beside it, and its database, which the caller closes.
async fn open(globals: &Globals) -> Result<(Pay, Database), Failure> {
    let configuration = globals.load().await?.value;
    let database = open_database(&configuration.sql, &configuration.data_dir).await?;
    let pay = pay_by_hand(&configuration, database.clone())?;
    Ok((pay, database))
}

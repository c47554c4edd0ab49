//! `playgate pay dead-letters`: paid orders whose delivery was given up.

use clap::Args;
use common::lifecycle::ExitStatus;
use pay::ByHandError;

use super::open;
use crate::cli::{app::app_ids, failure::Failure, globals::Globals, output::print};

/// Whose.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only those of this app
    #[arg(long, value_parser = app_ids())]
    app_id: Option<i64>,
}

pub(super) async fn run(arguments: Arguments, globals: &Globals) -> Result<ExitStatus, Failure> {
    let (pay, database) = open(globals).await?;
    let shown = pay.dead_letters(arguments.app_id, |letter| {
        let line = serde_json::to_string(&letter).map_err(anyhow::Error::from)?;
        print(&format!("{line}\n"))?;
        Ok::<_, Failure>(())
    });
    let shown = shown.await;
    database.close().await;
    shown.map(|()| ExitStatus::Clean)
}

impl From<ByHandError> for Failure {
    fn from(error: ByHandError) -> Self {
        Self::Other(error.into())
    }
}

//! `playgate demo`: starts an embedded platform on free ports in a directory of its own, walks a player through it, and
//! exits 0 only if every answer was what the contract says.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::Context;
use common::{
    http::{AccessLog, AccessRecord},
    lifecycle::{ExitStatus, LifecycleConfig, Signal, StopRequests},
};

use crate::{
    cli::{failure::Failure, output::print},
    config::Configuration,
    demo::{Operator, walk},
    platform::{Logs, Process, start},
    role::Role,
};

/// The demo shows every request itself.
#[derive(Debug)]
struct Unrecorded;

impl AccessLog for Unrecorded {
    fn record(&self, _: &AccessRecord<'_>) {}
}

pub(super) async fn run() -> Result<ExitStatus, Failure> {
    let directory = tempfile::tempdir().context("no temporary directory can be made")?;
    let configuration = throw_away(directory.path());
    let process = Process::new(LifecycleConfig::default().timing(configuration.environment))?;
    let logs = Logs { access: Arc::new(Unrecorded), level: None };
    let started = start(Role::All, &configuration, &logs, &process).await?;
    process.lifecycle.readiness().all_open().await;
    let listener = |what: &str| started.listeners.iter().find(|listening| listening.what == what);
    let base = listener("gateway").context("the platform has no gateway")?.address.clone();
    let operator = listener("operator").context("the platform has no operator listener")?.address.clone();
    let token = started.admin_token_file.as_ref().context("the platform has made no admin token")?;
    let token = std::fs::read_to_string(token).context("the admin token can't be read")?.trim().to_owned();
    let operator = Operator { base: operator, token };
    let demo = started.demo.context("the platform has no demo app")?;
    let walked = walk(base, &operator, &demo, Box::new(|text| drop(print(text)))).await;
    let (trigger, requests) = StopRequests::manual();
    trigger.fire(Signal::Terminate);
    let ended = process.lifecycle.run(requests).await;
    walked?;
    Ok(ended)
}

/// Defaults, with everything on free ports and on a disk that nobody keeps.
fn throw_away(directory: &Path) -> Configuration {
    let free_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut configuration = Configuration { data_dir: directory.to_owned(), ..Configuration::default() };
    configuration.gateway.listen = Some(free_port);
    configuration.operator.listen = Some(free_port);
    configuration
}

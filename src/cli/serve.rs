//! `playgate serve [ROLE]`: runs the whole platform, or one role of it, until it is told to stop.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use common::{
    clock::SystemClock,
    lifecycle::{ExitStatus, StopRequests},
    telemetry::{
        self, BuildInfo, LogGuard,
        trace::{self, TraceParts},
    },
};

use crate::{
    banner::banner,
    cli::{failure::Failure, globals::Globals, output::print},
    config::Configuration,
    platform::{Logs, Process, Started, start},
    role::Role,
};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What this process runs
    #[arg(value_enum, default_value_t)]
    role: Role,
}

impl Arguments {
    /// What `playgate` without a command runs.
    pub(super) fn all() -> Self {
        Self { role: Role::All }
    }
}

pub(super) async fn run(arguments: Arguments, globals: &Globals) -> Result<ExitStatus, Failure> {
    let configuration = globals.load_for(arguments.role).await?.value;
    // Before anything else: a signal during the start must end it in order, too.
    let requests = StopRequests::of_process().context("signals can't be listened to")?;
    let process = Process::new(configuration.lifecycle.timing(configuration.environment))?;
    let log = telemetry::init(&configuration.log, Arc::new(SystemClock), &process.registry)
        .context("the log can't be started")?;
    let status = serve(arguments.role, &configuration, &process, requests, &log).await?;
    // Forced ends skip destructors; the last lines are worth the moment it takes to write them.
    tokio::task::block_in_place(|| log.flush());
    Ok(status)
}

async fn serve(
    role: Role,
    configuration: &Configuration,
    process: &Process,
    requests: StopRequests,
    log: &LogGuard,
) -> anyhow::Result<ExitStatus> {
    telemetry::observe_runtime(&process.registry, &tokio::runtime::Handle::current())?;
    trace::start(&configuration.otlp, &trace_parts(role, configuration, process), &process.lifecycle)
        .context("traces can't be sent")?;
    let logs = Logs { access: Arc::new(log.access_log().clone()), level: Some(log.level().clone()) };
    let life = process.lifecycle.clone().run(requests);
    tokio::pin!(life);
    let started = tokio::select! {
        started = start(role, configuration, &logs, process) => started?,
        // Told to stop before it has begun: there is nothing to finish.
        status = &mut life => return Ok(status),
    };
    started.follow_log_level(configuration, log.level().clone(), process);
    tokio::select! {
        announced = announce(role, &started, process) => announced?,
        status = &mut life => return Ok(finish(started, status).await),
    }
    let status = life.await;
    Ok(finish(started, status).await)
}

/// Lets go of what the process held, unless it was told to end at once.
async fn finish(started: Started, status: ExitStatus) -> ExitStatus {
    if !matches!(status, ExitStatus::Forced(_)) {
        started.close().await;
    }
    status
}

/// Who this process is to a collector of traces.
fn trace_parts(role: Role, configuration: &Configuration, process: &Process) -> TraceParts {
    TraceParts {
        role: role.name(),
        build: BuildInfo::current(),
        environment: configuration.environment,
        clock: process.clock.clone(),
        random: process.random.clone(),
        registry: process.registry.clone(),
    }
}

/// Tells the person who started this what is there, once it is ready to be tried.
async fn announce(role: Role, started: &Started, process: &Process) -> anyhow::Result<()> {
    process.lifecycle.readiness().all_open().await;
    let admin_token_file = started.admin_token_file.as_deref();
    print(&banner(role.name(), &started.listeners, admin_token_file, started.demo.as_ref()))
}

//! Starts the roles of a process, in the order in which they need each other.

use std::{path::PathBuf, sync::Arc};

use ::gateway::Upstream;
use ::setting::Setting;
use common::{
    clock::{SharedClock, SharedRandom, SystemClock, SystemRandom},
    config::Environment,
    governance::{Governance, RulesRecord, shedding::Gates},
    http::AccessLog,
    lifecycle::{Lifecycle, Timing},
    rpc::{ServerMetrics, ServerParts},
    sql::Database,
    telemetry::{self, BuildInfo, LevelHandle},
};
use prometheus::Registry;

use super::{
    account, admin_token, database,
    directory::Directory,
    events, gateway, operator, pay,
    platform_events::PlatformEvents,
    rpc::{self, Calling, Services},
    setting,
    shared::Shared,
    shipping::Shipping,
};
use crate::{
    banner::Listening,
    config::Configuration,
    first_run::{self, DemoApp},
    role::Role,
};

/// What every role of a process shares.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) registry: Registry,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandom,
    /// The rules that requests and calls are governed by.
    pub(crate) governance: Governance,
    /// What those rules are, for operators.
    pub(crate) rules: RulesRecord,
    /// Lets in what comes from outside this process.
    pub(crate) gates: Gates,
}

impl Process {
    /// A process on the machine's own clock and random source.
    pub(crate) fn new(timing: Timing) -> anyhow::Result<Self> {
        let registry = telemetry::new_registry(&BuildInfo::current())?;
        let (clock, random, governance) = (Arc::new(SystemClock), Arc::new(SystemRandom), Governance::default());
        let rules = RulesRecord::new(governance.clone(), clock.clone(), &registry)?;
        let gates = Gates::new(governance.clone(), random.clone(), &registry)?;
        Ok(Self { lifecycle: Lifecycle::new(timing), registry, clock, random, governance, rules, gates })
    }
}

/// What a process writes down.
#[derive(Clone, Debug)]
pub(crate) struct Logs {
    /// Where answers are recorded.
    pub(crate) access: Arc<dyn AccessLog>,
    /// Changes how much the process log says, if there is one.
    pub(crate) level: Option<LevelHandle>,
}

/// A process that serves.
#[derive(Debug)]
pub(crate) struct Started {
    /// What listens where.
    pub(crate) listeners: Vec<Listening>,
    /// The app to try things with, if this process has one.
    pub(crate) demo: Option<DemoApp>,
    /// Where the admin token lies that nobody chose.
    pub(crate) admin_token_file: Option<PathBuf>,
    database: Option<Database>,
    directory: Directory,
}

impl Started {
    /// Lets operators change how much the process log says while it runs.
    pub(crate) fn follow_log_level(&self, configuration: &Configuration, level: LevelHandle, process: &Process) {
        self.directory.follow_log_level(configuration, level, process);
    }

    /// Lets go of the database in order. For the very end: whatever still runs in the background would miss it.
    pub(crate) async fn close(self) {
        if let Some(database) = self.database {
            database.close().await;
        }
    }
}

/// Opens the role's services, binds its listeners and serves them. Returns when everything is bound; readiness follows
/// when the services' gates are open.
pub(crate) async fn start(
    role: Role,
    configuration: &Configuration,
    logs: &Logs,
    process: &Process,
) -> anyhow::Result<Started> {
    let directory = Directory::new(role, configuration, process)?;
    let in_process = directory.in_process();
    // Before the operator listener: nobody may be told "ready" by a process that has not opened anything yet.
    let started = process.lifecycle.readiness().gate("start");
    process.lifecycle.spawn_background("processor", process.gates.watch_processor());
    let has_gateway = matches!(role, Role::All | Role::Gateway);
    let admin_token = has_gateway.then(|| admin_token::choose(configuration, &*process.random)).transpose()?;
    let (admin_token, admin_token_file) = admin_token.map_or((None, None), |chosen| (Some(chosen.token), chosen.file));
    let parts = operator::Parts { role, admin_token, logs, process };
    let (operator, admin) = operator::listen(&configuration.operator, parts)?;
    let mut listeners = vec![operator];
    let rules = directory.follow_rules(configuration, process);
    let calling = Calling::of(role, configuration, &directory, process)?;
    let shipping = Shipping::of(&configuration.shipper, process)?;
    let around = Around { calling: calling.as_ref(), shipping: shipping.as_ref() };
    let opened = open_services(role, configuration, &directory, around, process).await?;
    // Before anybody can ask: the first request is governed as the last one.
    rules.settled().await;
    if !in_process {
        listeners.extend(listen_for_rpc(&opened.services, configuration, &directory, process).await?);
    }
    let mut demo = None;
    if let Some(calling) = calling.as_ref().filter(|_| has_gateway) {
        let upstream = rpc::upstream(&opened.services, in_process, calling, &configuration.rpc, process);
        if !in_process && opened.services.account.is_none() {
            rpc::wait_for_account(&calling.discovery, process);
        }
        calling.discovery.settled().await;
        if role == Role::All && configuration.environment == Environment::Development {
            demo = opened.demo_app(configuration, &upstream).await?;
        }
        let settings = gateway::settings(&configuration.gateway, &upstream, process)?;
        if let Some(admin) = admin {
            admin.connect(upstream.clone(), settings.clone());
        }
        let shared = opened.shared.state();
        let limits = gateway::limits(configuration, shared.clone(), opened.shared.replicas(configuration), process)?;
        let access_log = Arc::clone(&logs.access);
        let token_keys = gateway::token_keys(role, configuration, process)?;
        let tokens = gateway::tokens(&configuration.gateway, &upstream, token_keys, process)?;
        let events = events::open(configuration, shipping.as_ref(), process).await?;
        let copies = gateway::Copies { tokens, settings, events };
        let gateway = &configuration.gateway;
        listeners.extend(gateway::listen(gateway, upstream, copies, limits, shared, access_log, process)?);
    }
    started.open();
    Ok(Started { listeners, demo, admin_token_file, database: opened.database, directory })
}

/// The services of this process and what stands behind them.
struct Opened {
    services: Services,
    database: Option<Database>,
    setting: Option<Setting>,
    shared: Shared,
}

/// What services reach beyond their own process with.
#[derive(Clone, Copy)]
struct Around<'a> {
    /// The other roles.
    calling: Option<&'a Calling>,
    /// Kafka.
    shipping: Option<&'a Shipping>,
}

async fn open_services(
    role: Role,
    configuration: &Configuration,
    directory: &Directory,
    around: Around<'_>,
    process: &Process,
) -> anyhow::Result<Opened> {
    let Around { calling, shipping } = around;
    let holds = |service: Role| role == Role::All || role == service;
    let metrics = ServerMetrics::register(&process.registry)?;
    let tasks = process.lifecycle.requests().tracker().clone();
    let (random, governance) = (process.random.clone(), process.governance.clone());
    // What is called in process was let in by the gate of the edge.
    let gates = (!directory.in_process()).then(|| process.gates.clone());
    let parts = ServerParts { random, metrics, tasks, governance, gates };
    let shared = if holds(Role::Account) || holds(Role::Gateway) || holds(Role::Setting) {
        Shared::open(configuration, process).await?
    } else {
        Shared::none(configuration, process)
    };
    let mut opened = Opened { services: Services::default(), database: None, setting: None, shared };
    if holds(Role::Account) || holds(Role::Pay) {
        let database = database::open(&configuration.sql, &configuration.data_dir).await?;
        database.register_metrics(&process.registry)?;
        opened.database = Some(database);
    }
    let events = PlatformEvents::open(role, configuration, shipping, process).await?;
    if let Some(database) = opened.database.clone().filter(|_| holds(Role::Account)) {
        let beside = account::Beside { shared: &opened.shared, directory, events: &events };
        opened.services.account = Some(account::open(configuration, database, beside, &parts, process).await?);
    }
    if let (Some(database), Some(calling)) = (opened.database.clone().filter(|_| holds(Role::Pay)), calling) {
        let in_process = directory.in_process();
        let account = rpc::account_for_pay(&opened.services, in_process, calling, &configuration.rpc, process);
        if !in_process {
            // Nobody is told "ready" before it is known where account is, or that it can't be known now.
            calling.discovery.settled().await;
        }
        opened.services.pay = Some(pay::open(configuration, database, account, &events, &parts, process)?);
    }
    if holds(Role::Setting) {
        let (setting, stack) = setting::open(configuration, &opened.shared, &parts, process)?;
        opened.services.setting = Some(stack);
        opened.setting = Some(setting);
    }
    Ok(opened)
}

async fn listen_for_rpc(
    services: &Services,
    configuration: &Configuration,
    directory: &Directory,
    process: &Process,
) -> anyhow::Result<Vec<Listening>> {
    let Configuration { account, setting, pay, rpc_server, .. } = configuration;
    let mut listening = Vec::new();
    if let Some(stack) = services.account.clone() {
        listening.push(rpc::listen("account", account.listen, stack, rpc_server, directory, process).await?);
    }
    if let Some(stack) = services.setting.clone() {
        listening.push(rpc::listen("setting", setting.listen, stack, rpc_server, directory, process).await?);
    }
    if let Some(stack) = services.pay.clone() {
        listening.push(rpc::listen("pay", pay.listen, stack, rpc_server, directory, process).await?);
    }
    Ok(listening)
}

impl Opened {
    /// The demo app of an earlier run, or of this one if nobody has made an app here yet.
    async fn demo_app(&self, configuration: &Configuration, upstream: &Upstream) -> anyhow::Result<Option<DemoApp>> {
        let data_dir = &configuration.data_dir;
        if let Some(demo) = DemoApp::load(data_dir)? {
            return Ok(Some(demo));
        }
        let (Some(database), Some(setting)) = (&self.database, &self.setting) else { return Ok(None) };
        let admin = account::admin(configuration, database.clone())?.for_first_start();
        if admin.has_apps().await? {
            return Ok(None);
        }
        let app = admin.create_app("demo", None).await?;
        let demo = DemoApp::new(app.app_id, app.app_secret.expose().to_owned());
        if let Err(error) = setting.seed_demo(demo.app_id).await {
            // A store that is away keeps nobody from starting.
            tracing::warn!(app_id = demo.app_id, %error, "the demo app has no settings");
        }
        first_run::register_player(upstream, &demo).await?;
        demo.save(data_dir)?;
        Ok(Some(demo))
    }
}

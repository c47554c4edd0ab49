//! The operator listener of a process: metrics, probes, version, and the admin API where there is a gateway.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use common::{
    config::Secret,
    http::{
        AccessLog, AccessRecord, HttpParts, RouteClasses,
        edge::{EdgeConfig, EdgeMetrics, Listener, serve},
        http_stack,
    },
    lifecycle::Signals,
    telemetry::{
        BuildInfo,
        operator::{OperatorConfig, OperatorParts, routes},
    },
};

use gateway::{AdminApi, admin_router};

use super::{Process, start::Logs};
use crate::{banner::Listening, role::Role};

/// Records what is asked of the admin API. Probes come every few seconds: lines about them would hide the others.
#[derive(Debug)]
struct AdminRequests(Arc<dyn AccessLog>);

impl AccessLog for AdminRequests {
    fn record(&self, record: &AccessRecord<'_>) {
        if record.path.starts_with("/admin/") {
            self.0.record(record);
        }
    }
}

/// What the operator listener needs besides its configuration.
pub(super) struct Parts<'a> {
    pub(super) role: Role,
    /// For roles that have the admin API.
    pub(super) admin_token: Option<Secret>,
    pub(super) logs: &'a Logs,
    pub(super) process: &'a Process,
}

/// Binds the operator listener and serves it; answers with the admin API that is to be connected, if it has one. It
/// outlives `stopping`: probes and scrapes are answered until the process ends, so that its last moments can be watched.
pub(super) fn listen(config: &OperatorConfig, parts: Parts<'_>) -> anyhow::Result<(Listening, Option<Arc<AdminApi>>)> {
    let Parts { role, admin_token, logs, process } = parts;
    let address = config.listen.unwrap_or_else(|| default_address(role));
    let listener = Listener::bind_tcp(address)?;
    let bound = listener.local_address().unwrap_or(address);
    let name = format!("{} {bound}", role.name());
    let admin =
        admin_token.map(|token| Arc::new(AdminApi::new(token, name, logs.level.clone(), process.rules.clone())));
    let watching = routes(OperatorParts {
        registry: process.registry.clone(),
        readiness: process.lifecycle.readiness().clone(),
        build: BuildInfo::current(),
        rules: process.rules.clone(),
    });
    let router = match &admin {
        Some(admin) => admin_router(Arc::clone(admin)).merge(watching),
        None => watching,
    };
    let edge = EdgeConfig { body_limit: config.body_limit, ..EdgeConfig::default() };
    let parts = HttpParts {
        larger_bodies: Vec::new(),
        clock: process.clock.clone(),
        random: process.random.clone(),
        governance: process.governance.clone(),
        accounts: None,
        limits: None,
        classes: RouteClasses::default(),
        registry: process.registry.clone(),
        access_log: Arc::new(AdminRequests(Arc::clone(&logs.access))),
        listener: "operator",
    };
    let stack = http_stack(router, &edge, &parts)?;
    let metrics = EdgeMetrics::register(&process.registry, "operator")?;
    let forever = Signals::default();
    process.lifecycle.spawn_background("operator listener", serve(vec![listener], stack, edge, forever, metrics));
    Ok((Listening { what: "operator", address: format!("http://{bound}") }, admin))
}

/// Where a role has its operator listener if nobody chose.
pub(crate) fn default_address(role: Role) -> SocketAddr {
    let port = match role {
        Role::All | Role::Gateway => 9180,
        Role::Account => 9181,
        Role::Setting => 9182,
        Role::Pay => 9183,
    };
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

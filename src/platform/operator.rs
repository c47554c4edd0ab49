//! The operator listener of a process: metrics, probes, version.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use common::{
    http::{
        AccessLog, AccessRecord, HttpParts,
        edge::{EdgeConfig, EdgeMetrics, Listener, serve},
        http_stack,
    },
    lifecycle::Signals,
    telemetry::{
        BuildInfo,
        operator::{OperatorConfig, OperatorParts, routes},
    },
};

use super::Process;
use crate::{banner::Listening, role::Role};

/// Probes come every few seconds: lines about them would hide the others.
#[derive(Debug)]
struct Unrecorded;

impl AccessLog for Unrecorded {
    fn record(&self, _: &AccessRecord<'_>) {}
}

/// Binds the operator listener and serves it. It outlives `stopping`: probes and scrapes are answered until the
/// process ends, so that its last moments can be watched.
pub(super) fn listen(config: &OperatorConfig, role: Role, process: &Process) -> anyhow::Result<Listening> {
    let address = config.listen.unwrap_or_else(|| default_address(role));
    let listener = Listener::bind_tcp(address)?;
    let bound = listener.local_address().unwrap_or(address);
    let router = routes(OperatorParts {
        registry: process.registry.clone(),
        readiness: process.lifecycle.readiness().clone(),
        build: BuildInfo::current(),
    });
    let edge = EdgeConfig::default();
    let parts = HttpParts {
        clock: process.clock.clone(),
        random: process.random.clone(),
        registry: process.registry.clone(),
        access_log: Arc::new(Unrecorded),
        listener: "operator",
    };
    let stack = http_stack(router, &edge, &parts)?;
    let metrics = EdgeMetrics::register(&process.registry, "operator")?;
    let forever = Signals::default();
    process.lifecycle.spawn_background("operator listener", serve(vec![listener], stack, edge, forever, metrics));
    Ok(Listening { what: "operator", address: format!("http://{bound}") })
}

fn default_address(role: Role) -> SocketAddr {
    let port = match role {
        Role::All | Role::Gateway => 9180,
        Role::Account => 9181,
        Role::Setting => 9182,
        Role::Pay => 9183,
    };
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

//! The gateway role: the public listener.

use std::sync::Arc;

use common::{
    http::{
        AccessLog, HttpParts,
        edge::{EdgeMetrics, Listener, serve},
        http_stack,
    },
    shared::SharedState,
};
use gateway::{Config, Parts, Upstream};

use super::Process;
use crate::banner::Listening;

/// Binds the public listeners and serves them until the process stops.
pub(super) fn listen(
    config: &Config,
    upstream: Upstream,
    shared: Arc<dyn SharedState>,
    access_log: Arc<dyn AccessLog>,
    process: &Process,
) -> anyhow::Result<Vec<Listening>> {
    let (mut listeners, mut listening) = (Vec::new(), Vec::new());
    if let Some(address) = config.listen {
        let listener = Listener::bind_tcp(address)?;
        let bound = listener.local_address().unwrap_or(address);
        listening.push(Listening { what: "gateway", address: format!("http://{bound}") });
        listeners.push(listener);
    }
    if let Some(path) = &config.unix_socket {
        listeners.push(Listener::bind_unix(path)?);
        listening.push(Listening { what: "gateway", address: format!("unix:{}", path.display()) });
    }
    let router = gateway::router(
        config,
        Parts { upstream, shared, clock: process.clock.clone(), tasks: process.lifecycle.requests().clone() },
    );
    let parts = HttpParts {
        clock: process.clock.clone(),
        random: process.random.clone(),
        registry: process.registry.clone(),
        access_log,
        listener: "public",
    };
    let stack = http_stack(router, &config.edge, &parts)?;
    let metrics = EdgeMetrics::register(&process.registry, "public")?;
    let signals = process.lifecycle.signals();
    process.lifecycle.spawn_server("gateway", serve(listeners, stack, config.edge.clone(), signals, metrics));
    Ok(listening)
}

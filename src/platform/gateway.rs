//! The gateway role: the public listener.

use std::{num::NonZeroU32, sync::Arc};

use common::{
    config::Environment,
    governance::limits::{Limits, LimitsParts},
    http::{
        AccessLog, AccountOfRequest, HttpParts, LargerBodies,
        edge::{EdgeMetrics, Listener, serve},
        http_stack,
    },
    shared::SharedState,
    token::master_key::TokenKeyVault,
};
use gateway::{Config, EventStore, Parts, SettingsCopy, Tokens, Upstream};

use super::{Process, account};
use crate::{
    banner::Listening,
    config::{Configuration, master_key},
    role::Role,
};

/// What opens the gateway's copy of the key ring: the key it is given for that, or in a process that is account too
/// account's own. `None`: there is no copy.
pub(super) fn token_keys(
    role: Role,
    configuration: &Configuration,
    process: &Process,
) -> anyhow::Result<Option<TokenKeyVault>> {
    let master_key = match (master_key::of_fallback(configuration)?, role) {
        (Some(key), _) => key,
        (None, Role::All) => account::master_key(configuration, &*process.random)?,
        (None, _) => return Ok(None),
    };
    Ok(Some(TokenKeyVault::new(&master_key)))
}

/// Answers about tokens, with a copy that is kept up to date beside the requests if there is a key to it.
///
/// Nobody waits for the copy: a gateway that starts while account is away has other work, and one that starts with
/// account has the copy a moment later.
pub(super) fn tokens(
    config: &Config,
    upstream: &Upstream,
    token_keys: Option<TokenKeyVault>,
    process: &Process,
) -> anyhow::Result<Tokens> {
    let (account, clock) = (upstream.account.clone(), process.clock.clone());
    let tokens = Tokens::new(config, account, token_keys, clock, &process.registry)?;
    if let Some(follow) = tokens.follow(config) {
        process.lifecycle.spawn_background("gateway-token-copy", follow);
    }
    Ok(tokens)
}

/// Answers about settings, from a copy that is kept up to date beside the requests.
pub(super) fn settings(config: &Config, upstream: &Upstream, process: &Process) -> anyhow::Result<SettingsCopy> {
    let (clock, tasks) = (process.clock.clone(), process.lifecycle.requests().clone());
    let settings = SettingsCopy::new(config, upstream.setting.clone(), clock, tasks, &process.registry)?;
    process.lifecycle.spawn_background("gateway-settings", settings.follow());
    Ok(settings)
}

/// Who may ask how often, as the rules say. `replicas` share the quotas of apps and partners.
pub(super) fn limits(
    configuration: &Configuration,
    shared: Arc<dyn SharedState>,
    replicas: NonZeroU32,
    process: &Process,
) -> anyhow::Result<Limits> {
    let parts = LimitsParts {
        governance: process.governance.clone(),
        shared,
        replicas,
        tasks: process.lifecycle.requests().clone(),
        random: process.random.clone(),
        spares_loopback: configuration.environment == Environment::Development,
    };
    let limits = Limits::new(parts, &process.registry)?;
    process.lifecycle.spawn_background("gateway-limits", limits.clone().keep());
    // Others need not wait until what this gateway had leased comes back by itself.
    process.lifecycle.on_flush("gateway-limits", limits.clone().give_back());
    Ok(limits)
}

/// What a gateway has of its own: what answers for the other roles while they can't, and the store of events.
pub(super) struct Copies {
    pub(super) tokens: Tokens,
    pub(super) settings: SettingsCopy,
    /// What partners push into, where their routes are served.
    pub(super) events: Option<EventStore>,
}

/// Binds the public listeners and serves them until the process stops.
pub(super) fn listen(
    config: &Config,
    upstream: Upstream,
    copies: Copies,
    limits: Limits,
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
    let Copies { tokens, settings, events } = copies;
    let partners_bodies =
        |events: &EventStore| LargerBodies { path_prefix: "/v1/partner/", limit: events.longest_body() };
    let accounts = tokens.accounts().map(|accounts| -> Arc<dyn AccountOfRequest> { Arc::new(accounts) });
    let larger_bodies = events.iter().map(partners_bodies).collect();
    let (clock, tasks) = (process.clock.clone(), process.lifecycle.requests().clone());
    let gate = process.gates.open("gateway");
    let (limits_of_endpoints, limits) = (limits.clone(), Some(limits));
    let parts = Parts { upstream, tokens, settings, shared, limits: limits_of_endpoints, clock, tasks, events, gate };
    let endpoints = gateway::endpoints(config, parts);
    let parts = HttpParts {
        larger_bodies,
        clock: process.clock.clone(),
        random: process.random.clone(),
        governance: process.governance.clone(),
        accounts,
        limits,
        classes: endpoints.classes().clone(),
        registry: process.registry.clone(),
        access_log,
        listener: "public",
    };
    let stack = http_stack(endpoints, &config.edge, &parts)?;
    let metrics = EdgeMetrics::register(&process.registry, "public")?;
    let signals = process.lifecycle.signals();
    process.lifecycle.spawn_server("gateway", serve(listeners, stack, config.edge.clone(), signals, metrics));
    Ok(listening)
}

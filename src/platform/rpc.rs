//! The RPC side of a process: which services it holds, and how they are reached.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use common::{
    discovery::Discovery,
    rpc::{
        AccountContract, ClientConfig, ClientMetrics, ClientParts, Contract, PayContract, ServerConfig, ServerStack,
        SettingContract, Transport, account_client, pay_client, serve, setting_client,
    },
};
use gateway::Upstream;
use idl::account::AccountServiceClient;
use tokio::net::TcpListener;

use super::{Process, directory::Directory};
use crate::{banner::Listening, config::Configuration, role::Role};

/// The services that this process holds.
#[derive(Default)]
pub(super) struct Services {
    pub(super) account: Option<ServerStack<AccountContract>>,
    pub(super) setting: Option<ServerStack<SettingContract>>,
    pub(super) pay: Option<ServerStack<PayContract>>,
}

/// What clients of other roles are made of, in a process that calls any.
pub(super) struct Calling {
    pub(super) discovery: Arc<dyn Discovery>,
    metrics: ClientMetrics,
}

impl Calling {
    /// Of a gateway, and of pay, which asks account.
    pub(super) fn of(
        role: Role,
        configuration: &Configuration,
        directory: &Directory,
        process: &Process,
    ) -> anyhow::Result<Option<Self>> {
        if !matches!(role, Role::All | Role::Gateway | Role::Pay) {
            return Ok(None);
        }
        let discovery = directory.discovery(configuration, process)?;
        Ok(Some(Self { discovery, metrics: ClientMetrics::register(&process.registry)? }))
    }
}

/// Clients of all services. A service that this process holds is called in place when `in_process`; otherwise, and for
/// all others, discovery knows where they are.
pub(super) fn upstream(
    services: &Services,
    in_process: bool,
    calling: &Calling,
    config: &ClientConfig,
    process: &Process,
) -> Upstream {
    let Calling { discovery, metrics } = calling;
    let metrics = metrics.clone();
    let parts = client_parts("gateway", process, metrics);
    Upstream {
        account: account_client(transport(&services.account, in_process, discovery), config, &parts),
        setting: setting_client(transport(&services.setting, in_process, discovery), config, &parts),
        pay: pay_client(transport(&services.pay, in_process, discovery), config, &parts),
    }
}

/// The client through which pay asks where apps are delivered to.
pub(super) fn account_for_pay(
    services: &Services,
    in_process: bool,
    calling: &Calling,
    config: &ClientConfig,
    process: &Process,
) -> AccountServiceClient {
    let Calling { discovery, metrics } = calling;
    let metrics = metrics.clone();
    let parts = client_parts("pay", process, metrics);
    account_client(transport(&services.account, in_process, discovery), config, &parts)
}

fn client_parts(caller: &'static str, process: &Process, metrics: ClientMetrics) -> ClientParts {
    ClientParts { caller, random: process.random.clone(), metrics, governance: process.governance.clone() }
}

fn transport<C: Contract>(
    service: &Option<ServerStack<C>>,
    in_process: bool,
    discovery: &Arc<dyn Discovery>,
) -> Transport<C> {
    match service {
        Some(stack) if in_process => Transport::InProcess(stack.clone()),
        _ => Transport::Wire(discovery.clone()),
    }
}

/// Keeps a gateway from traffic until it knows an instance of account, from whoever knows or from an earlier run.
///
/// Without one it could only answer "not now", to callers whom another gateway would have served. Once open the gate
/// stays open: a registry that fails later takes no gateway out, and neither do accounts that are all gone.
pub(super) fn wait_for_account(discovery: &Arc<dyn Discovery>, process: &Process) {
    let gate = process.lifecycle.readiness().gate("account instances");
    let mut instances = discovery.watch("account");
    process.lifecycle.spawn_background("gateway account instances", async move {
        // Discovery keeps the sender for as long as the process lives; without it nothing would ever be known.
        if instances.wait_for(|known| !known.is_empty()).await.is_ok() {
            gate.open();
        }
        std::future::pending::<()>().await;
    });
}

/// Serves one service on its own port and makes it known.
pub(super) async fn listen<C: Contract>(
    name: &'static str,
    address: SocketAddr,
    stack: ServerStack<C>,
    config: &ServerConfig,
    directory: &Directory,
    process: &Process,
) -> anyhow::Result<Listening> {
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for {name}: choose another `{name}.listen`"))?;
    let bound = listener.local_addr()?;
    let (config, stopping) = (config.clone(), process.lifecycle.signals().stopping);
    process.lifecycle.spawn_server(name, async move {
        if let Err(error) = serve(listener, stack, &config, stopping).await {
            tracing::error!(%error, role = name, "the RPC listener could not be closed in order");
        }
    });
    directory.announce(name, bound);
    Ok(Listening { what: name, address: bound.to_string() })
}

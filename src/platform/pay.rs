//! The pay role.

use anyhow::Context;
use common::{
    rpc::{PayContract, ServerParts, ServerStack, server_stack},
    sql::Database,
};
use idl::account::AccountServiceClient;
use pay::{Apps, Resources};

use super::Process;
use crate::config::Configuration;

/// Opens the service, starts what it does in the background and puts the server suite around it.
pub(super) fn open(
    configuration: &Configuration,
    database: Database,
    account: AccountServiceClient,
    parts: &ServerParts,
    process: &Process,
) -> anyhow::Result<ServerStack<PayContract>> {
    let lifecycle = &process.lifecycle;
    let resources = Resources {
        database,
        apps: Apps::of_account(account),
        tasks: lifecycle.requests().clone(),
        environment: configuration.environment,
        clock: process.clock.clone(),
        random: process.random.clone(),
        registry: process.registry.clone(),
    };
    let pay = pay::open(configuration.pay.clone(), resources)?;
    for task in pay.background() {
        lifecycle.spawn_background(task.name, task.run);
    }
    let deliver = pay.deliver(lifecycle.signals().stopping).context("the delivery worker runs already")?;
    lifecycle.spawn_server("pay-delivery", deliver);
    Ok(server_stack(pay, parts))
}

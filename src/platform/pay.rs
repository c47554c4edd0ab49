//! The pay role.

use account::MasterKey;
use anyhow::Context;
use common::{
    clock::Random,
    config::Environment,
    rpc::{PayContract, ServerParts, ServerStack, server_stack},
    sql::Database,
};
use idl::account::AccountServiceClient;
use pay::{Apps, Resources};

use super::{Process, data_dir};
use crate::config::{Configuration, master_key as configured};

/// The configured key; in development one that is made at the first start; in production without one none.
fn master_key(configuration: &Configuration, random: &dyn Random) -> anyhow::Result<Option<MasterKey>> {
    match (configured::of_pay(configuration)?, configuration.environment) {
        (Some(key), _) => Ok(Some(key)),
        (None, Environment::Production) => Ok(None),
        (None, Environment::Development) => {
            let directory = &configuration.data_dir;
            data_dir::make(directory)?;
            Ok(Some(account::master_key::load_or_create(&directory.join("pay-master-key"), random)?))
        }
    }
}

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
        master_key: master_key(configuration, &*process.random)?,
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

//! The account role.

use std::sync::Arc;

use account::{MasterKey, RISK_DOCUMENT, Resources, RiskDocument, admin::Admin, import::Import, reseal::Reseal};
use common::{
    clock::{Random, SystemClock, SystemRandom},
    config::watch::ConfigWatch,
    rpc::{AccountContract, ServerParts, ServerStack, server_stack},
    sql::Database,
};

use super::{Process, data_dir, directory::Directory, platform_events::PlatformEvents, shared::Shared};
use crate::{
    config::{Configuration, master_key as configured},
    role::Role,
};

/// What the service uses of this process besides its database.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside<'a> {
    pub(super) shared: &'a Shared,
    pub(super) directory: &'a Directory,
    pub(super) events: &'a PlatformEvents,
}

/// The key that everything secret at rest is sealed under: the configured one, or in development one that is made at
/// the first start and kept in the data directory.
pub(super) fn master_key(configuration: &Configuration, random: &dyn Random) -> anyhow::Result<MasterKey> {
    match configured::of_account(configuration)? {
        Some(key) => Ok(key),
        None => {
            let directory = &configuration.data_dir;
            data_dir::make(directory)?;
            Ok(account::master_key::load_or_create(&directory.join("master-key"), random)?)
        }
    }
}

/// What the command line does to apps.
pub(crate) fn admin(configuration: &Configuration, database: Database) -> anyhow::Result<Admin> {
    let master_key = master_key(configuration, &SystemRandom)?;
    Ok(Admin::new(database, &master_key, Arc::new(SystemClock), Arc::new(SystemRandom)))
}

/// What the command line does to accounts of another platform.
pub(crate) async fn import(configuration: &Configuration, database: Database, source: &str) -> anyhow::Result<Import> {
    let master_key = master_key(configuration, &SystemRandom)?;
    Ok(Import::open(database, &master_key, Arc::new(SystemClock), source).await?)
}

/// What the command line does to change the master key.
pub(crate) fn reseal_under(
    configuration: &Configuration,
    database: Database,
    new: &MasterKey,
) -> anyhow::Result<Reseal> {
    let old = master_key(configuration, &SystemRandom)?;
    Ok(Reseal::new(database, &old, new, Arc::new(SystemClock), Arc::new(SystemRandom)))
}

/// Opens the service, starts what it does in the background and puts the server suite around it.
pub(super) async fn open(
    configuration: &Configuration,
    database: Database,
    beside: Beside<'_>,
    parts: &ServerParts,
    process: &Process,
) -> anyhow::Result<ServerStack<AccountContract>> {
    let master_key = master_key(configuration, &*process.random)?;
    let resources = Resources {
        database,
        feed: beside.shared.feed(configuration),
        shared: beside.shared.state(),
        risk_documents: beside
            .directory
            .document(RISK_DOCUMENT, configuration, process)
            .unwrap_or_else(|| ConfigWatch::fixed(RiskDocument::default())),
        tasks: process.lifecycle.requests().clone(),
        environment: configuration.environment,
        clock: process.clock.clone(),
        random: process.random.clone(),
        registry: process.registry.clone(),
    };
    let account = Box::pin(account::open(configuration.account.clone(), &master_key, resources)).await?;
    for task in account.background() {
        process.lifecycle.spawn_background(task.name, task.run);
    }
    beside.events.carry_on("account-events", Role::Account, account.events(), process)?;
    process.lifecycle.on_flush("account-history", account.clone().flush());
    Ok(server_stack(account, parts))
}

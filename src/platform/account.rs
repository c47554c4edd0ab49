//! The account role.

use std::sync::Arc;

use account::{MasterKey, admin::Admin};
use common::{
    clock::{Random, SystemClock, SystemRandom},
    rpc::{AccountContract, ServerParts, ServerStack, server_stack},
    shared::Feed,
    sql::Database,
};

use super::{Process, data_dir};
use crate::config::Configuration;

/// The key that everything secret at rest is sealed under: the configured one, or in development one that is made at
/// the first start and kept in the data directory.
pub(super) fn master_key(configuration: &Configuration, random: &dyn Random) -> anyhow::Result<MasterKey> {
    match &configuration.account.master_key {
        Some(key) => Ok(MasterKey::parse(key.expose())?),
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

/// Opens the service, starts what it does in the background and puts the server suite around it.
pub(super) async fn open(
    configuration: &Configuration,
    database: Database,
    feed: Option<Arc<dyn Feed>>,
    parts: &ServerParts,
    process: &Process,
) -> anyhow::Result<ServerStack<AccountContract>> {
    let master_key = master_key(configuration, &*process.random)?;
    let Process { lifecycle, registry, clock, random } = process;
    let config = configuration.account.clone();
    let (clock, random) = (clock.clone(), random.clone());
    let account = account::open(config, database, feed, &master_key, clock, random, registry).await?;
    for task in account.background() {
        lifecycle.spawn_background(task.name, task.run);
    }
    Ok(server_stack(account, parts))
}

//! The setting role.

use common::rpc::{ServerParts, ServerStack, SettingContract, server_stack};
use setting::{Resources, Setting, StoreKind};

use super::{Process, data_dir as directory, shared::Shared};
use crate::config::Configuration;

/// Opens the service, starts what it does in the background and puts the server suite around it.
pub(super) fn open(
    configuration: &Configuration,
    shared: &Shared,
    parts: &ServerParts,
    process: &Process,
) -> anyhow::Result<(Setting, ServerStack<SettingContract>)> {
    let config = configuration.setting.clone();
    if config.store == StoreKind::Fs && config.root.is_none() {
        directory::make(&configuration.data_dir)?;
    }
    let resources = Resources {
        data_dir: configuration.data_dir.clone(),
        feed: shared.feed(configuration),
        clock: process.clock.clone(),
        random: process.random.clone(),
        registry: process.registry.clone(),
    };
    let setting = setting::open(config, resources)?;
    for task in setting.background() {
        process.lifecycle.spawn_background(task.name, task.run);
    }
    let stack = server_stack(setting.clone(), parts);
    Ok((setting, stack))
}

//! The setting role.

use std::path::Path;

use common::rpc::{ServerParts, ServerStack, SettingContract, server_stack};
use setting::Setting;

use super::{Process, data_dir as directory};
use crate::config::Configuration;

/// Opens the service and puts the server suite around it.
pub(super) fn open(
    configuration: &Configuration,
    data_dir: &Path,
    parts: &ServerParts,
    process: &Process,
) -> anyhow::Result<(Setting, ServerStack<SettingContract>)> {
    if configuration.setting.root.is_none() {
        directory::make(data_dir)?;
    }
    let setting = setting::open(configuration.setting.clone(), data_dir, process.random.clone(), &process.registry)?;
    let stack = server_stack(setting.clone(), parts);
    Ok((setting, stack))
}

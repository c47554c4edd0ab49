//! The pay role.

use common::{
    rpc::{PayContract, ServerParts, ServerStack, server_stack},
    sql::Database,
};

use super::Process;

/// Opens the service and puts the server suite around it.
pub(super) fn open(
    database: Database,
    parts: &ServerParts,
    process: &Process,
) -> anyhow::Result<ServerStack<PayContract>> {
    let pay = pay::open(database, process.clock.clone(), process.random.clone(), &process.registry)?;
    Ok(server_stack(pay, parts))
}

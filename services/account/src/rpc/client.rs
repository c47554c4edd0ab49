//! What a game client says about itself, from the wire.

use idl::account::ClientInfo;

use crate::domain::{
    client::{Client, ClientClaims},
    device::DeviceId,
    field::FieldError,
};

/// Reads it, or names the field that is over its limit.
pub(super) fn parse(info: &ClientInfo) -> Result<Client, FieldError> {
    Client::parse(ClientClaims {
        device_id: info.device_id.as_deref(),
        device_class: info.device_class.as_deref(),
        channel: info.channel.as_deref(),
        package_name: info.package_name.as_deref(),
        sdk_version: info.sdk_version.as_deref(),
        address: info.address.as_deref(),
    })
}

/// Whoever goes on with a session: at the address that is said, on the device that the session has.
pub(super) fn on_device(said: Option<&ClientInfo>, device_id: Option<DeviceId>) -> Result<Client, FieldError> {
    let address = said.and_then(|said| said.address.as_deref());
    let client = Client::parse(ClientClaims { address, ..ClientClaims::default() })?;
    Ok(Client { device_id, ..client })
}

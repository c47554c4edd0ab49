//! What a game client says about itself, from the wire.

use idl::account::ClientInfo;

use crate::domain::{
    client::{Client, ClientClaims},
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

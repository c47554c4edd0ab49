//! What a game client says about itself. Kept with the session, trusted for nothing.

use super::{access_token, device::DeviceId, device_class::DeviceClass, field::FieldError};

/// A client's own account of device and build, within its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// The device it runs on.
    pub(crate) device_id: Option<DeviceId>,
    /// What kind of device that is.
    pub(crate) device_class: DeviceClass,
    /// The store or platform the build came from; `None` is the official one.
    pub(crate) channel: Option<String>,
    /// Package name of the build.
    pub(crate) package_name: Option<String>,
    /// Version of the SDK.
    pub(crate) sdk_version: Option<String>,
    /// Network address, as the gateway established it.
    pub(crate) address: Option<String>,
}

/// What a client claims, as it came in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ClientClaims<'a> {
    pub(crate) device_id: Option<&'a str>,
    pub(crate) device_class: Option<&'a str>,
    pub(crate) channel: Option<&'a str>,
    pub(crate) package_name: Option<&'a str>,
    pub(crate) sdk_version: Option<&'a str>,
    pub(crate) address: Option<&'a str>,
}

impl Client {
    /// What a token holds.
    pub(crate) const LONGEST_CHANNEL_BYTES: usize = access_token::LONGEST_CHANNEL_BYTES;

    pub(crate) fn parse(claims: ClientClaims<'_>) -> Result<Self, FieldError> {
        Ok(Self {
            device_id: claims.device_id.map(DeviceId::parse).transpose()?,
            device_class: claims.device_class.map(DeviceClass::parse).transpose()?.unwrap_or_default(),
            channel: channel(claims.channel)?,
            package_name: text("package", claims.package_name, 128)?,
            sdk_version: text("sdk_version", claims.sdk_version, 32)?,
            address: text("address", claims.address, 64)?,
        })
    }
}

/// "official" is what an absent channel means, so both are stored, and later answered, as the same thing.
fn channel(raw: Option<&str>) -> Result<Option<String>, FieldError> {
    let channel = text("channel", raw, Client::LONGEST_CHANNEL_BYTES)?;
    Ok(channel.filter(|channel| channel != "official"))
}

fn text(field: &'static str, raw: Option<&str>, longest: usize) -> Result<Option<String>, FieldError> {
    match raw {
        None | Some("") => Ok(None),
        Some(raw) if raw.len() > longest => Err(FieldError::new(field, "too long")),
        Some(raw) if raw.chars().any(char::is_control) => Err(FieldError::new(field, "has a control character")),
        Some(raw) => Ok(Some(raw.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_fine_and_the_official_channel_is_the_absent_one() {
        assert_eq!(Client::parse(ClientClaims::default()), Ok(Client::default()));
        let official = ClientClaims { channel: Some("official"), ..ClientClaims::default() };
        assert_eq!(Client::parse(official), Ok(Client::default()));
    }

    #[test]
    fn an_over_long_value_is_refused_by_its_public_name() {
        let long = "x".repeat(129);
        let claims = ClientClaims::default();
        for (claims, field) in [
            (ClientClaims { device_id: Some(&long), ..claims }, "device_id"),
            (ClientClaims { channel: Some(&long[..33]), ..claims }, "channel"),
            (ClientClaims { package_name: Some(&long), ..claims }, "package"),
            (ClientClaims { sdk_version: Some(&long[..33]), ..claims }, "sdk_version"),
            (ClientClaims { channel: Some("a\rb"), ..claims }, "channel"),
            (ClientClaims { device_class: Some("fridge"), ..claims }, "device_class"),
        ] {
            assert_eq!(Client::parse(claims).map_err(|error| error.field), Err(field));
        }
    }
}

//! Fields that several player endpoints take, and their limits at the edge of the platform.
//!
//! Lengths are checked here so that an over-long value never travels; what a value *means* is checked by its service.

use std::net::IpAddr;

use common::error_code::PublicError;
use idl::account::{ClientInfo, PhoneProof};
use secrecy::{ExposeSecret, SecretString};
use volo::FastStr;

use super::device_class::DeviceClass;

/// `app_id`s and `account_id`s stay below this, so that they survive JavaScript's and Lua's numbers.
const ID_LIMIT: i64 = 1 << 53;

/// `+` and 15 digits are 16 bytes; what is longer is no phone, and what is shorter is for account to judge.
pub(super) const LONGEST_PHONE: usize = 32;

/// Six digits, and room for a client's mistake.
const LONGEST_CODE: usize = 16;

/// What the client says about itself. All optional, none of it trusted.
pub(super) struct ClientFields {
    pub(super) device_id: Option<FastStr>,
    pub(super) device_class: Option<DeviceClass>,
    pub(super) channel: Option<FastStr>,
    pub(super) package: Option<FastStr>,
    pub(super) sdk_version: Option<FastStr>,
}

/// The checked form that travels, with the address the edge established.
pub(super) fn client_info(fields: ClientFields, address: IpAddr) -> Result<ClientInfo, PublicError> {
    Ok(ClientInfo {
        device_id: bounded("device_id", fields.device_id, 128)?,
        device_class: fields.device_class.map(|class| FastStr::from_static_str(class.as_str())),
        channel: checked_channel(fields.channel)?,
        package_name: bounded("package", fields.package, 128)?,
        sdk_version: bounded("sdk_version", fields.sdk_version, 32)?,
        address: Some(address.to_string().into()),
    })
}

/// Of whoever goes on with a session: the address that the edge established. Everything else is known of the session.
pub(super) fn client_at(address: IpAddr) -> ClientInfo {
    ClientInfo { address: Some(address.to_string().into()), ..ClientInfo::default() }
}

/// An id that every client language can hold.
pub(super) fn checked_id(field: &'static str, id: i64) -> Result<i64, PublicError> {
    match id {
        1..ID_LIMIT => Ok(id),
        _ => Err(PublicError::invalid(field, "must be between 1 and 2^53 - 1")),
    }
}

/// A channel's name. What could not be the name of settings is refused here, where its field is known: further in it
/// would only look like settings that could not be read.
pub(super) fn checked_channel(channel: Option<FastStr>) -> Result<Option<FastStr>, PublicError> {
    let channel = bounded("channel", channel, 32)?;
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    match channel {
        Some(name) if !name.bytes().all(allowed) => {
            Err(PublicError::invalid("channel", "must be 1-32 of a-z, 0-9, _ and -"))
        }
        other => Ok(other),
    }
}

/// A text that must be there.
pub(super) fn required<T>(field: &'static str, value: Option<T>) -> Result<T, PublicError> {
    value.ok_or_else(|| PublicError::invalid(field, "is required"))
}

/// A text that must be there, is not empty and not longer than `limit` bytes.
pub(super) fn checked_text(field: &'static str, value: FastStr, limit: usize) -> Result<FastStr, PublicError> {
    required(field, bounded(field, Some(value), limit)?)
}

/// A phone with the code that was sent to it.
pub(super) fn phone_proof(phone: Option<SecretString>, code: Option<SecretString>) -> Result<PhoneProof, PublicError> {
    let text = |field, value: Option<SecretString>, limit| {
        let value = required(field, value)?;
        checked_text(field, value.expose_secret().to_owned().into(), limit)
    };
    Ok(PhoneProof { phone: text("phone", phone, LONGEST_PHONE)?, code: text("code", code, LONGEST_CODE)? })
}

/// An optional text that is neither empty nor longer than `limit` bytes.
pub(super) fn bounded(
    field: &'static str,
    value: Option<FastStr>,
    limit: usize,
) -> Result<Option<FastStr>, PublicError> {
    match value {
        Some(text) if text.is_empty() => Err(PublicError::invalid(field, "must not be empty")),
        Some(text) if text.len() > limit => Err(PublicError::invalid(field, format!("is longer than {limit} bytes"))),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_javascript_cannot_hold_is_refused_by_name() {
        assert_eq!(checked_id("app_id", (1 << 53) - 1), Ok((1 << 53) - 1));
        for id in [0, -1, 1 << 53] {
            let error = checked_id("app_id", id).expect_err("out of range");
            assert_eq!(error.details[0].0, "app_id");
        }
    }

    #[test]
    fn a_channel_that_could_not_name_settings_is_refused_by_name() {
        assert_eq!(checked_channel(Some("app_store-2".into())), Ok(Some("app_store-2".into())));
        for name in ["../x", "a b", "AppStore", "caf\u{e9}", "a\n"] {
            assert_eq!(checked_channel(Some(name.into())).expect_err("refused").details[0].0, "channel", "{name:?}");
        }
    }

    #[test]
    fn a_text_over_its_limit_is_refused_by_name() {
        assert_eq!(bounded("channel", None, 4), Ok(None));
        assert_eq!(bounded("channel", Some("abcd".into()), 4), Ok(Some("abcd".into())));
        for text in ["", "abcde"] {
            assert_eq!(bounded("channel", Some(text.into()), 4).expect_err("refused").details[0].0, "channel");
        }
    }
}

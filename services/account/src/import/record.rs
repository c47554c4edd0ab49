//! One line: an account of another platform as it is told, and what can't be one.

use std::borrow::Cow;

use common::clock::Timestamp;
use serde::Deserialize;

use crate::{
    domain::{
        channel::identity::{ChannelIdentity, ChannelName, ChannelUid},
        device::DeviceId,
        field::FieldError,
        ids::AppId,
        personal_data::{PersonalData, PhoneIndex},
        phone::PhoneNumber,
        stored_hash::{HashFormError, StoredHash},
        username::Username,
    },
    store::accounts::CredentialName,
};

/// 1990-01-01 in Unix milliseconds: an earlier account would have its time in seconds.
const EARLIEST: Timestamp = Timestamp::from_millis(631_152_000_000);

const LONGEST_EXTERNAL_ID: usize = 128;

/// Identities on channels that one account may bring. Protects transactions from lines that are nothing else.
const MOST_CHANNELS: usize = 16;

/// An account that can be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// What the other platform calls it.
    pub(crate) external_id: Option<String>,
    pub(crate) password: Option<ImportedPassword>,
    pub(crate) phone: Option<ImportedPhone>,
    pub(crate) device: Option<ImportedDevice>,
    pub(crate) channels: Vec<ImportedChannel>,
    pub(crate) created_at: Option<Timestamp>,
}

/// A username and a hash that can be compared with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ImportedPassword {
    pub(crate) username: Username,
    pub(crate) hash: String,
}

/// A phone that codes can be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportedPhone {
    pub(crate) number: PhoneNumber,
    /// What it is found by.
    pub(crate) index: PhoneIndex,
}

/// A player of a channel. Whether the app has it configured yet makes no difference.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ImportedChannel {
    pub(crate) app_id: AppId,
    pub(crate) identity: ChannelIdentity,
}

/// A device that signs in with the secret whose SHA-256 this is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ImportedDevice {
    pub(crate) app_id: AppId,
    pub(crate) device_id: DeviceId,
    /// 64 lower-case hexadecimal digits.
    pub(crate) secret_sha256: String,
}

/// Why a line is no account. Never repeats what stands in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("not a JSON object")]
    NotJson,
    /// The column is where a reader gave up: behind the culprit.
    #[error("a field that is unknown, of another type, missing or there twice, before column {column}")]
    NotTheFormat { column: usize },
    #[error("longer than {most} bytes")]
    TooLong { most: usize },
    #[error("nothing to sign in with: neither a username with a password hash nor a phone, a device or a channel")]
    NothingToSignInWith,
    #[error("{}", .0.reason)]
    Field(#[from] FieldError),
    #[error("{0}")]
    PasswordHash(#[from] HashFormError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'l> {
    #[serde(borrow)]
    external_id: Option<Cow<'l, str>>,
    #[serde(borrow)]
    username: Option<Cow<'l, str>>,
    #[serde(borrow)]
    password_hash: Option<Cow<'l, str>>,
    #[serde(borrow)]
    phone: Option<Cow<'l, str>>,
    #[serde(borrow)]
    device: Option<DeviceLine<'l>>,
    #[serde(borrow, default)]
    channels: Vec<ChannelLine<'l>>,
    created_at: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceLine<'l> {
    app_id: i64,
    #[serde(borrow)]
    device_id: Cow<'l, str>,
    #[serde(borrow)]
    device_secret_sha256: Cow<'l, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelLine<'l> {
    app_id: i64,
    #[serde(borrow)]
    channel: Cow<'l, str>,
    #[serde(borrow)]
    channel_uid: Cow<'l, str>,
}

impl Record {
    pub(super) fn parse(line: &[u8], now: Timestamp, personal_data: &PersonalData) -> Result<Self, Refusal> {
        let line: Line<'_> = serde_json::from_slice(line).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Refusal::NotTheFormat { column: error.column() },
            _ => Refusal::NotJson,
        })?;
        let password = match (line.username, line.password_hash) {
            (None, None) => None,
            (Some(username), Some(hash)) => Some(ImportedPassword::parse(&username, hash.into_owned())?),
            (Some(_), None) => return Err(FieldError::new("password_hash", "missing beside a username").into()),
            (None, Some(_)) => return Err(FieldError::new("username", "missing beside a password_hash").into()),
        };
        let device = line.device.as_ref().map(ImportedDevice::parse).transpose()?;
        let phone = line.phone.map(|phone| ImportedPhone::parse(&phone, personal_data)).transpose()?;
        let channels = channels(&line.channels)?;
        if password.is_none() && phone.is_none() && device.is_none() && channels.is_empty() {
            return Err(Refusal::NothingToSignInWith);
        }
        Ok(Self {
            external_id: line.external_id.map(external_id).transpose()?,
            password,
            phone,
            device,
            channels,
            created_at: line.created_at.map(|millis| created_at(millis, now)).transpose()?,
        })
    }
}

impl Record {
    /// What it can be signed in to with, each with its field.
    pub(crate) fn names(&self) -> Vec<(&'static str, CredentialName<'_>)> {
        let password = self.password.iter().map(|it| ("username", CredentialName::Password(&it.username)));
        let phone = self.phone.iter().map(|it| ("phone", CredentialName::Phone(&it.index)));
        let device = self.device.iter().map(|it| ("device", CredentialName::Device(it.app_id, &it.device_id)));
        let channels = self.channels.iter().map(|it| ("channels", CredentialName::Channel(it.app_id, &it.identity)));
        password.chain(phone).chain(device).chain(channels).collect()
    }

    /// The apps that it names, each with the field that does.
    pub(crate) fn apps(&self) -> impl Iterator<Item = (&'static str, AppId)> {
        let device = self.device.iter().map(|device| ("device.app_id", device.app_id));
        device.chain(self.channels.iter().map(|channel| ("channels.app_id", channel.app_id)))
    }
}

impl ImportedPassword {
    fn parse(username: &str, hash: String) -> Result<Self, Refusal> {
        let username = Username::parse(username)?;
        StoredHash::parse(&hash)?;
        Ok(Self { username, hash })
    }
}

impl ImportedPhone {
    fn parse(raw: &str, personal_data: &PersonalData) -> Result<Self, FieldError> {
        let number = PhoneNumber::parse(raw)?;
        Ok(Self { index: personal_data.index_of(&number), number })
    }
}

impl ImportedChannel {
    fn parse(line: &ChannelLine<'_>) -> Result<Self, FieldError> {
        let channel = ChannelName::parse(&line.channel)
            .map_err(|FieldError { reason, .. }| FieldError::new("channels.channel", reason))?;
        let uid = ChannelUid::parse(&line.channel_uid)
            .ok_or(FieldError::new("channels.channel_uid", "must be 1 to 255 bytes without control characters"))?;
        let app_id = AppId::parse(line.app_id)
            .map_err(|FieldError { reason, .. }| FieldError::new("channels.app_id", reason))?;
        Ok(Self { app_id, identity: ChannelIdentity::new(&channel, &uid) })
    }
}

impl ImportedDevice {
    fn parse(line: &DeviceLine<'_>) -> Result<Self, Refusal> {
        let secret_sha256 = line.device_secret_sha256.to_ascii_lowercase();
        if secret_sha256.len() != 64 || !secret_sha256.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(FieldError::new("device_secret_sha256", "must be 64 hexadecimal digits").into());
        }
        Ok(Self { app_id: AppId::parse(line.app_id)?, device_id: DeviceId::parse(&line.device_id)?, secret_sha256 })
    }
}

impl std::fmt::Debug for ImportedPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportedPassword").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ImportedDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportedDevice").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ImportedChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportedChannel").finish_non_exhaustive()
    }
}

impl Refusal {
    /// The field that is to blame, where one is.
    pub(super) fn field(&self) -> Option<&'static str> {
        match self {
            Self::Field(error) => Some(error.field),
            Self::PasswordHash(_) => Some("password_hash"),
            Self::NotJson | Self::NotTheFormat { .. } | Self::TooLong { .. } | Self::NothingToSignInWith => None,
        }
    }
}

fn channels(lines: &[ChannelLine<'_>]) -> Result<Vec<ImportedChannel>, FieldError> {
    if lines.len() > MOST_CHANNELS {
        return Err(FieldError::new("channels", "more than 16"));
    }
    let mut channels = Vec::with_capacity(lines.len());
    for line in lines {
        let channel = ImportedChannel::parse(line)?;
        if channels.contains(&channel) {
            return Err(FieldError::new("channels", "names one player twice"));
        }
        channels.push(channel);
    }
    Ok(channels)
}

fn external_id(raw: Cow<'_, str>) -> Result<String, FieldError> {
    let allowed = (1..=LONGEST_EXTERNAL_ID).contains(&raw.len()) && !raw.chars().any(char::is_control);
    let refusal = FieldError::new("external_id", "must be 1 to 128 bytes without control characters");
    if allowed { Ok(raw.into_owned()) } else { Err(refusal) }
}

fn created_at(millis: i64, now: Timestamp) -> Result<Timestamp, FieldError> {
    let at = Timestamp::from_millis(millis);
    let refusal = FieldError::new("created_at", "must be Unix milliseconds between 1990 and now");
    if (EARLIEST..=now).contains(&at) { Ok(at) } else { Err(refusal) }
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;

    use super::*;
    use crate::MasterKey;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HASH: &str = "$md5$f=md5pass-salt$568$16780ba78d2d5f02f3202901c1b6d975";

    fn parse(line: &str) -> Result<Record, Refusal> {
        let personal_data = PersonalData::new(&MasterKey::generate(&SeededRandom::new(1)));
        Record::parse(line.as_bytes(), NOW, &personal_data)
    }

    #[test]
    fn a_line_is_a_username_with_its_hash_or_a_device_or_both() {
        let secret = "AB".repeat(32);
        let device = format!(r#""device":{{"app_id":7,"device_id":"phone","device_secret_sha256":"{secret}"}}"#);
        let password = format!(r#""username":"Ann","password_hash":"{HASH}""#);
        let both = parse(&format!(r#"{{"external_id":"4711",{password},{device},"created_at":1420070400000}}"#))
            .expect("an account");
        assert_eq!(both.external_id.as_deref(), Some("4711"));
        assert_eq!(both.created_at, Some(Timestamp::from_millis(1_420_070_400_000)));
        let imported = both.password.expect("a password");
        assert_eq!((imported.username.folded(), imported.hash.as_str()), ("ann", HASH));
        assert_eq!(both.device.expect("a device").secret_sha256, "ab".repeat(32));
        assert!(parse(&format!("{{{password}}}")).is_ok_and(|record| record.device.is_none()));
        assert!(parse(&format!("{{{device}}}")).is_ok_and(|record| record.password.is_none()));
    }

    #[test]
    fn a_line_may_have_a_phone_and_players_of_channels_and_shows_neither() {
        let channel = |uid: &str| format!(r#"{{"app_id":7,"channel":"taptap","channel_uid":"{uid}"}}"#);
        let line = format!(r#"{{"phone":"+8613812345678","channels":[{},{}]}}"#, channel("4711"), channel("4712"));
        let record = parse(&line).expect("an account");
        let fields: Vec<_> = record.names().into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["phone", "channels", "channels"]);
        let shown = format!("{record:?}");
        assert!(!shown.contains("138") && !shown.contains("471"), "{shown}");
        let twice = parse(&format!(r#"{{"channels":[{},{}]}}"#, channel("4711"), channel("4711")));
        assert_eq!(twice.expect_err("twice").field(), Some("channels"));
        let many: Vec<_> = (0..17).map(|uid| channel(&uid.to_string())).collect();
        let many = parse(&format!(r#"{{"channels":[{}]}}"#, many.join(",")));
        assert_eq!(many.expect_err("too many").field(), Some("channels"));
    }

    #[test]
    fn what_is_no_account_is_refused_with_the_field_and_never_with_a_value() {
        for (line, field) in [
            ("", None),
            ("ann,secret-hash", None),
            (r#"{"username":"ann","password_hash":"secret-hash"}"#, Some("password_hash")),
            (r#"{"username":"ann","password_hash":"$2y$99$secret-hash"}"#, Some("password_hash")),
            (r#"{"username":"ann"}"#, Some("password_hash")),
            (r#"{"password_hash":"$P$984478476IagS59wHZvyQMArzfx58u."}"#, Some("username")),
            (r#"{"username":"a b","password_hash":"$P$984478476IagS59wHZvyQMArzfx58u."}"#, Some("username")),
            (r#"{"username":"ann","password_hash":"$P$984478476IagS59wHZvyQMArzfx58u.","email":"secret-hash"}"#, None),
            (r#"{"phone":"secret-hash"}"#, Some("phone")),
            (r#"{"phone":"13812345678"}"#, Some("phone")),
            (r#"{"phone":8613812345678}"#, None),
            (r#"{"channels":[]}"#, None),
            (r#"{"channels":[{"channel":"taptap","channel_uid":"secret-hash"}]}"#, None),
            (r#"{"channels":[{"app_id":0,"channel":"taptap","channel_uid":"secret-hash"}]}"#, Some("channels.app_id")),
            (r#"{"channels":[{"app_id":7,"channel":"Secret Hash","channel_uid":"1"}]}"#, Some("channels.channel")),
            (r#"{"channels":[{"app_id":7,"channel":"taptap","channel_uid":""}]}"#, Some("channels.channel_uid")),
            (
                r#"{"username":"ann","password_hash":"$P$984478476IagS59wHZvyQMArzfx58u.","created_at":"secret-hash"}"#,
                None,
            ),
            (
                r#"{"username":"ann","password_hash":"$P$984478476IagS59wHZvyQMArzfx58u.","created_at":1420070400}"#,
                Some("created_at"),
            ),
            (
                r#"{"username":"ann","password_hash":"$P$984478476IagS59wHZvyQMArzfx58u.","external_id":""}"#,
                Some("external_id"),
            ),
            (
                r#"{"device":{"app_id":7,"device_id":"x","device_secret_sha256":"secret-hash"}}"#,
                Some("device_secret_sha256"),
            ),
            (
                r#"{"device":{"app_id":7,"device_id":"","device_secret_sha256":"secret-hash"}}"#,
                Some("device_secret_sha256"),
            ),
            (r#"{"external_id":"1"}"#, None),
            ("[]", None),
        ] {
            let refusal = parse(line).expect_err(line);
            assert_eq!(refusal.field(), field, "{line}: {refusal}");
            assert!(!refusal.to_string().contains("secret"), "{refusal}");
        }
    }
}

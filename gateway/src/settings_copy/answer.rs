//! An answer of the setting service, ready to be given: its JSON is text that was looked at once and is never parsed again.

use std::time::Duration;

use common::{clock::Timestamp, error_code::PublicError};
use http::HeaderValue;
use idl::{
    common::SignInSwitches,
    setting::{DependsOn, GetSettingsResponse},
};
use serde_json::value::RawValue;
use tokio::time::Instant;
use volo::FastStr;

use super::caller::{Caller, Key};

/// What an answer takes besides its texts: itself, its place in the cache and the cache's own book-keeping.
const OVERHEAD_BYTES: usize = 600;

/// The settings of an app for everybody of one [`Key`].
#[derive(Debug)]
pub(crate) struct Answer {
    /// Whom it is for.
    pub(super) key: Key,
    pub(super) depends_on: DependsOn,
    /// Strong: equal tags mean equal settings and revisions.
    pub(crate) entity_tag: HeaderValue,
    /// 0 when the app has published none.
    pub(crate) revision: i64,
    /// A JSON object.
    pub(crate) settings: Box<RawValue>,
    /// A JSON array.
    pub(crate) notices: Box<RawValue>,
    pub(crate) switches: SignInSwitches,
    /// When a time window begins or ends.
    pub(super) valid_until: Option<Timestamp>,
    /// When the setting service was asked.
    pub(super) asked_at: Instant,
    /// For how long at that moment the setting service had not been able to confirm the revision in its store.
    pub(super) unconfirmed_for: Duration,
}

impl Answer {
    /// # Errors
    /// When it is not what the contract says; logged here.
    pub(super) fn read(caller: &Caller, response: GetSettingsResponse, asked_at: Instant) -> Result<Self, PublicError> {
        let GetSettingsResponse { entity_tag, revision, settings_json, notices_json, .. } = response;
        let entity_tag = HeaderValue::from_str(&entity_tag).map_err(|_| malformed("entity_tag"))?;
        let settings =
            settings_json.as_ref().and_then(|json| raw(json, '{')).ok_or_else(|| malformed("settings_json"))?;
        let notices = raw(&notices_json, '[').ok_or_else(|| malformed("notices_json"))?;
        Ok(Self {
            key: caller.key(&response.depends_on),
            depends_on: response.depends_on,
            entity_tag,
            revision,
            settings,
            notices,
            switches: response.switches,
            valid_until: response.valid_until.map(Timestamp::from_millis),
            asked_at,
            unconfirmed_for: Duration::from_millis(u64::try_from(response.age_ms).unwrap_or(0)),
        })
    }

    /// Whether the setting service answers a signed-in player by who they are.
    pub(crate) fn depends_on_account(&self) -> bool {
        self.depends_on.account_id
    }

    /// What it weighs in the cache.
    pub(super) fn bytes(&self) -> u32 {
        let texts =
            self.settings.get().len() + self.notices.get().len() + self.entity_tag.len() + self.key.text_bytes();
        let maintenance = self.switches.maintenance.as_ref();
        let switches = maintenance.map_or(0, |is| is.message.len() + is.allowed_accounts.len() * size_of::<i64>());
        u32::try_from(OVERHEAD_BYTES + texts + switches).unwrap_or(u32::MAX)
    }
}

/// The text as JSON that begins with `opening`, if it is that.
fn raw(json: &FastStr, opening: char) -> Option<Box<RawValue>> {
    let raw: Box<RawValue> = serde_json::from_str(json).ok()?;
    raw.get().starts_with(opening).then_some(raw)
}

fn malformed(field: &'static str) -> PublicError {
    tracing::error!(field, "an answer of the setting service is not what its contract says");
    PublicError::internal()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> GetSettingsResponse {
        GetSettingsResponse {
            entity_tag: "\"a\"".into(),
            settings_json: Some(r#"{"a":1}"#.into()),
            notices_json: "[]".into(),
            ..GetSettingsResponse::default()
        }
    }

    fn read(response: GetSettingsResponse) -> Result<Answer, PublicError> {
        Answer::read(&Caller::default(), response, Instant::now())
    }

    #[tokio::test]
    async fn what_is_not_json_of_the_right_kind_never_becomes_an_answer() {
        assert_eq!(read(response()).expect("right").settings.get(), r#"{"a":1}"#);
        for settings_json in [None, Some("[]"), Some("{"), Some("{} {}"), Some("")] {
            let settings_json = settings_json.map(FastStr::from_static_str);
            assert!(read(GetSettingsResponse { settings_json, ..response() }).is_err());
        }
        assert!(read(GetSettingsResponse { notices_json: "{}".into(), ..response() }).is_err());
        assert!(read(GetSettingsResponse { entity_tag: "\n".into(), ..response() }).is_err());
    }

    #[tokio::test]
    async fn an_answer_weighs_at_least_its_texts() {
        let settings_json = Some(format!("{{\"text\":\"{}\"}}", "x".repeat(10_000)).into());
        let large = read(GetSettingsResponse { settings_json, ..response() }).expect("right");
        assert!(large.bytes() > 10_000 && large.bytes() < 12_000, "{}", large.bytes());
    }
}

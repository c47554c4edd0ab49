//! What is different between two documents.

use common::error_code::PublicError;
use idl::setting_admin as wire;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use volo::FastStr;

/// One place that differs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettingsChange)]
pub(crate) struct Change {
    #[schema(value_type = String, example = "settings.drop_rate.value")]
    path: FastStr,
    /// `added`, `removed` or `changed`.
    #[schema(value_type = String, example = "changed")]
    kind: FastStr,
    /// Absent if it was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!(0.02))]
    before: Option<Box<RawValue>>,
    /// Absent if it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!(0.05))]
    after: Option<Box<RawValue>>,
}

impl TryFrom<wire::Change> for Change {
    type Error = PublicError;

    fn try_from(change: wire::Change) -> Result<Self, PublicError> {
        let raw_if_any = |json: Option<FastStr>| json.map(|json| raw(&json)).transpose();
        let wire::Change { path, kind, before_json, after_json, .. } = change;
        Ok(Self { path, kind, before: raw_if_any(before_json)?, after: raw_if_any(after_json)? })
    }
}

/// All of them.
pub(super) fn changes(changes: Vec<wire::Change>) -> Result<Vec<Change>, PublicError> {
    changes.into_iter().map(Change::try_from).collect()
}

/// JSON of the setting service, to be answered as the text that it is.
pub(super) fn raw(json: &FastStr) -> Result<Box<RawValue>, PublicError> {
    serde_json::from_str(json).map_err(|error| {
        tracing::error!(%error, "an answer of the setting service holds what is not JSON");
        PublicError::internal()
    })
}

//! A version of an app's settings, as its list tells it.

use idl::setting_admin::VersionInfo;
use serde::Serialize;
use utoipa::ToSchema;
use volo::FastStr;

/// Who published a version, when and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettingsVersion)]
pub(crate) struct Version {
    /// Counts up, per app from 1. The same number is its revision.
    #[schema(example = 42)]
    version: i64,
    /// Unix milliseconds.
    published_at: i64,
    #[schema(value_type = String, example = "operator")]
    author: FastStr,
    #[schema(value_type = String, example = "spring sale")]
    note: FastStr,
    /// The version that it repeats, if it was a roll-back.
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back_to: Option<i64>,
    /// Size of the document.
    bytes: i64,
}

impl From<VersionInfo> for Version {
    fn from(info: VersionInfo) -> Self {
        let VersionInfo { version, published_at, author, note, rolled_back_to, bytes, .. } = info;
        Self { version, published_at, author, note, rolled_back_to, bytes }
    }
}

//! How the deletion of an account is told. Shared by the endpoints that ask for it, call it off and show it.

use idl::account::DeletionInfo;
use serde::Serialize;
use utoipa::ToSchema;
use volo::FastStr;

/// Whether the account is to be deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deletion {
    /// `requested` or `cancelled`.
    #[schema(value_type = String, example = "requested")]
    state: FastStr,
    /// With `requested`, Unix milliseconds: not before, and soon after it, the account is deleted for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    executes_at: Option<i64>,
}

impl From<DeletionInfo> for Deletion {
    fn from(deletion: DeletionInfo) -> Self {
        Self { state: deletion.state, executes_at: deletion.executes_at }
    }
}

//! `DELETE /admin/v1/bans/{ban_id}`: a device or a part of the network is let in again.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::account_admin::LiftSubjectBanRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operator::Operator;

/// Which ban, in the path.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct BanPath {
    ban_id: i64,
}

/// Nothing: the ban is not in effect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminLiftSubjectBanAnswer)]
pub(crate) struct Answer {}

/// Lifts the ban of a device or a part of the network. Where it is not in effect nothing is changed.
#[utoipa::path(delete, path = "/admin/v1/bans/{ban_id}", tag = "Bans", security(("operator" = [])), params(("ban_id" = i64, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn lift_subject_ban(
    Operator { actor, account }: Operator,
    Path(BanPath { ban_id }): Path<BanPath>,
) -> Result<Envelope<Answer>, ApiError> {
    account.admin_lift_subject_ban(LiftSubjectBanRequest { actor, ban_id }).await.map_err(CallError::from)?;
    Ok(Envelope(Answer {}))
}

//! `DELETE /admin/v1/accounts/{account_id}/ban`: an account may play again.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::account_admin::LiftBanRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{account_path::AccountPath, operator::Operator};

/// Nothing: no ban is in effect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminLiftBanAnswer)]
pub(crate) struct Answer {}

/// Lifts the ban of an account. Where none is in effect nothing is changed.
#[utoipa::path(delete, path = "/admin/v1/accounts/{account_id}/ban", tag = "Accounts", security(("operator" = [])), params(("account_id" = i64, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn lift_ban(
    Operator { actor, account }: Operator,
    Path(AccountPath { account_id }): Path<AccountPath>,
) -> Result<Envelope<Answer>, ApiError> {
    account.admin_lift_ban(LiftBanRequest { actor, account_id }).await.map_err(CallError::from)?;
    Ok(Envelope(Answer {}))
}

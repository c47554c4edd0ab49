//! `DELETE /admin/v1/accounts/{account_id}/deletion`: an account is kept after all.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::account_admin::CancelAccountDeletionRequest;
use serde::Serialize;
use utoipa::ToSchema;

use super::{account_path::AccountPath, operator::Operator};

/// Nothing: no deletion is pending.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminCancelDeletionAnswer)]
pub(crate) struct Answer {}

/// Calls a deletion off. Where none is pending nothing is changed; 4040101 once it was carried out.
#[utoipa::path(delete, path = "/admin/v1/accounts/{account_id}/deletion", tag = "Accounts", security(("operator" = [])), params(("account_id" = i64, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn cancel_deletion(
    Operator { actor, account }: Operator,
    Path(AccountPath { account_id }): Path<AccountPath>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = CancelAccountDeletionRequest { actor, account_id };
    account.admin_cancel_deletion(request).await.map_err(CallError::from)?;
    Ok(Envelope(Answer {}))
}

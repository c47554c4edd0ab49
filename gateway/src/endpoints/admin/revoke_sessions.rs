//! `POST /admin/v1/accounts/{account_id}/revoke-sessions`: signs an account out everywhere.

use common::{
    http::{ApiError, Envelope, Json, Path},
    rpc::CallError,
};
use idl::account_admin::RevokeAccountSessionsRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

use super::{account_path::AccountPath, operator::Operator};

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AdminRevokeSessionsRequest)]
pub(crate) struct Request {
    /// For the audit, 1-255 bytes. The player is told that an operator did it, and not this.
    #[schema(value_type = String, max_length = 255)]
    reason: FastStr,
}

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminRevokeSessionsAnswer)]
pub(crate) struct Answer {
    /// Sessions that were live and no longer are.
    revoked: i64,
}

/// Ends every session of an account, in every app. Sessions that begin later are not touched.
#[utoipa::path(post, path = "/admin/v1/accounts/{account_id}/revoke-sessions", tag = "Accounts", security(("operator" = [])), params(("account_id" = i64, Path)), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn revoke_sessions(
    Operator { actor, account }: Operator,
    Path(AccountPath { account_id }): Path<AccountPath>,
    Json(Request { reason }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let call = account.admin_revoke_sessions(RevokeAccountSessionsRequest { actor, account_id, reason });
    let answer = call.await.map_err(CallError::from)?;
    Ok(Envelope(Answer { revoked: answer.revoked }))
}

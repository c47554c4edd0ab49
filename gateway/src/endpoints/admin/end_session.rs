//! `DELETE /admin/v1/accounts/{account_id}/sessions/{session_id}`: signs an account out on one device.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::account_admin::EndAccountSessionRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

use super::operator::Operator;

/// Which session, in the path.
#[derive(Debug, Deserialize)]
pub(crate) struct SessionPath {
    account_id: i64,
    session_id: FastStr,
}

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminEndSessionAnswer)]
pub(crate) struct Answer {
    /// 1, or 0 if the account has no such live session.
    revoked: i64,
}

/// Ends one session of an account. The player is told `operator`.
#[utoipa::path(delete, path = "/admin/v1/accounts/{account_id}/sessions/{session_id}", tag = "Accounts", security(("operator" = [])), params(("account_id" = i64, Path), ("session_id" = String, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn end_session(
    Operator { actor, account }: Operator,
    Path(SessionPath { account_id, session_id }): Path<SessionPath>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = EndAccountSessionRequest { actor, account_id, session_id };
    let answer = account.admin_end_session(request).await.map_err(CallError::from)?;
    Ok(Envelope(Answer { revoked: answer.revoked }))
}

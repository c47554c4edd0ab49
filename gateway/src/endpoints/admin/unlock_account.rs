//! `POST /admin/v1/accounts/{account_id}/unlock`: a player who was locked out by wrong passwords may try again at once.

use common::{
    http::{ApiError, Envelope, Json, Path},
    rpc::CallError,
};
use idl::account_admin::UnlockAccountRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

use super::{account_path::AccountPath, operator::Operator};

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AdminUnlockRequest)]
pub(crate) struct Request {
    /// For the audit, 1-255 bytes. The player is not shown it.
    #[schema(value_type = String, max_length = 255)]
    reason: FastStr,
}

/// What was locked and no longer is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminUnlockAnswer)]
pub(crate) struct Answer {
    /// Each once: `account` (the name, for devices that the account does not know), `known_device` (a device that it
    /// knows), `device` (another one, where its password was tried). Empty when nothing was locked.
    #[schema(value_type = Vec<String>, example = json!(["account", "device"]))]
    unlocked: Vec<FastStr>,
}

/// Lifts the locks that failed logins have put on an account, and forgets the failures. Locks of addresses stay: many
/// players share one. 503 when the counters can't be reached; then nothing is recorded, and it may be repeated.
#[utoipa::path(post, path = "/admin/v1/accounts/{account_id}/unlock", tag = "Accounts", security(("operator" = [])), params(("account_id" = i64, Path)), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn unlock_account(
    Operator { actor, account }: Operator,
    Path(AccountPath { account_id }): Path<AccountPath>,
    Json(Request { reason }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let call = account.admin_unlock_account(UnlockAccountRequest { actor, account_id, reason });
    let answer = call.await.map_err(CallError::from)?;
    Ok(Envelope(Answer { unlocked: answer.unlocked }))
}

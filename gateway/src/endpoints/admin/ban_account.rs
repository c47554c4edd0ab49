//! `POST /admin/v1/accounts/{account_id}/ban`: an account may not play, for a time or for good.

use common::{
    http::{ApiError, Envelope, Json, Path},
    rpc::CallError,
};
use idl::account_admin::BanAccountRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

use super::{account_path::AccountPath, operator::Operator};

/// The ban.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AdminBanRequest)]
pub(crate) struct Request {
    /// Shown to the player and to game servers: 1-255 bytes without control characters.
    #[schema(value_type = String, max_length = 255)]
    reason: FastStr,
    /// For operators only: the same.
    #[schema(value_type = Option<String>, max_length = 255)]
    note: Option<FastStr>,
    /// Unix milliseconds, in the future; absent: for good.
    until: Option<i64>,
}

/// Nothing: the ban is in effect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminBanAnswer)]
pub(crate) struct Answer {}

/// Bans an account in every app, in place of the ban there may be.
///
/// Verifications say `banned` within a second; logins and refreshes are refused with 4030101. Sessions are not ended: they
/// go on when the ban is over.
#[utoipa::path(post, path = "/admin/v1/accounts/{account_id}/ban", tag = "Accounts", security(("operator" = [])), params(("account_id" = i64, Path)), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn ban_account(
    Operator { actor, account }: Operator,
    Path(AccountPath { account_id }): Path<AccountPath>,
    Json(Request { reason, note, until }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = BanAccountRequest { actor, account_id, reason, note, until };
    account.admin_ban_account(request).await.map_err(CallError::from)?;
    Ok(Envelope(Answer {}))
}

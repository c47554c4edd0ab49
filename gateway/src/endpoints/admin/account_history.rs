//! `GET /admin/v1/accounts/{account_id}/history`: what happened to an account.

use common::{
    http::{ApiError, Envelope, Path, Query},
    rpc::CallError,
};
use idl::account_admin::ListHistoryRequest;

use super::{account_path::AccountPath, operator::Operator};
use crate::endpoints::{
    history::{History, HistoryPage},
    page,
};

/// Sign-ins, failed ones included, and every change of the account, newest first, in pages.
///
/// 4040101 when there is no such account.
#[utoipa::path(get, path = "/admin/v1/accounts/{account_id}/history", tag = "Accounts", security(("operator" = [])), params(("account_id" = i64, Path), HistoryPage), responses((status = 200, body = History)))]
pub(crate) async fn account_history(
    Operator { account, .. }: Operator,
    Path(AccountPath { account_id }): Path<AccountPath>,
    Query(HistoryPage { before, limit }): Query<HistoryPage>,
) -> Result<Envelope<History>, ApiError> {
    let request = ListHistoryRequest { account_id, before, limit: page::limit(limit)? };
    Ok(Envelope(account.admin_list_history(request).await.map_err(CallError::from)?.into()))
}

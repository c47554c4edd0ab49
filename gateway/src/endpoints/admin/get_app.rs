//! `GET /admin/v1/apps/{app_id}`: an app and its policy.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::account_admin::DescribeAppRequest;

use super::{
    app::{App, AppPath},
    operator::Operator,
};

/// An app.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}", tag = "Apps", security(("operator" = [])), params(("app_id" = i64, Path)), responses((status = 200, body = App)))]
pub(crate) async fn get_app(
    Operator { account, .. }: Operator,
    Path(AppPath { app_id }): Path<AppPath>,
) -> Result<Envelope<App>, ApiError> {
    let found = account.admin_describe_app(DescribeAppRequest { app_id }).await.map_err(CallError::from)?;
    Ok(Envelope(found.app.into()))
}

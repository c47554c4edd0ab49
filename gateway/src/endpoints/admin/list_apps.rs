//! `GET /admin/v1/apps`: every app, by id, in pages.

use common::{
    http::{ApiError, Envelope, Query},
    rpc::CallError,
};
use idl::account_admin::ListAppsRequest;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{app::App, operator::Operator};
use crate::endpoints::page;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The `next` of the page before.
    after: Option<i64>,
    /// 1-200; absent: 50.
    limit: Option<i64>,
}

/// A page of apps.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListAppsAnswer)]
pub(crate) struct Answer {
    apps: Vec<App>,
    /// There is another page: ask with `after` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// Apps, by id.
#[utoipa::path(get, path = "/admin/v1/apps", tag = "Apps", security(("operator" = [])), params(Request), responses((status = 200, body = Answer)))]
pub(crate) async fn list_apps(
    Operator { account, .. }: Operator,
    Query(Request { after, limit }): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = ListAppsRequest { after, limit: page::limit(limit)? };
    let found = account.admin_list_apps(request).await.map_err(CallError::from)?;
    let next = found.apps.last().filter(|_| found.more).map(|last| last.app_id);
    Ok(Envelope(Answer { apps: found.apps.into_iter().map(App::from).collect(), next }))
}

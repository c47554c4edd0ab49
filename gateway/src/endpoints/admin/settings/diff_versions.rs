//! `GET /admin/v1/apps/{app_id}/settings/diff`: what is different between two versions.

use common::http::{ApiError, Envelope, Path, Query};
use idl::setting_admin::DiffRequest;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    app::require_app,
    change::{Change, changes},
};
use crate::{
    endpoints::admin::{app::AppPath, operator::OperatorOfSettings},
    upstream::could_not_tell,
};

/// Which two.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The version that is taken as before; 0 is the empty one before an app's first.
    #[param(example = 41)]
    from: i64,
    /// The version that is taken as after.
    #[param(example = 42)]
    to: i64,
}

/// What is different.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettingsDiffAnswer, example = json!({
    "changes": [{ "path": "settings.drop_rate.value", "kind": "changed", "before": 0.02, "after": 0.05 }],
    "truncated": false,
}))]
pub(crate) struct Answer {
    /// At most 1000.
    changes: Vec<Change>,
    /// There are more.
    truncated: bool,
}

/// What is different between two versions.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/settings/diff", tag = "Settings", security(("operator" = [])), params(("app_id" = i64, Path), Request), responses(
        (status = 200, body = Answer),
        (status = 404, description = "There is no such app (4040102) or version (4040201)."),
))]
pub(crate) async fn diff_versions(
    OperatorOfSettings { account, setting, .. }: OperatorOfSettings,
    Path(AppPath { app_id }): Path<AppPath>,
    Query(Request { from, to }): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    require_app(&account, app_id).await?;
    let request = DiffRequest { app_id, from_version: from, to_version: to };
    let found = setting.admin_diff(request).await.map_err(could_not_tell)?;
    Ok(Envelope(Answer { changes: changes(found.changes)?, truncated: found.truncated }))
}

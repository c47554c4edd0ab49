//! `POST /admin/v1/apps/{app_id}/settings/rollback`: publishes an earlier version again.

use common::http::{ApiError, Envelope, Json, Path};
use idl::setting_admin::RollbackRequest;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    app::require_app,
    audit::{self, Change},
    publish_settings::Published,
};
use crate::{
    endpoints::admin::{app::AppPath, operator::OperatorOfSettings},
    upstream::could_not_tell,
};

/// Where to.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RollBackSettingsRequest)]
pub(crate) struct Request {
    /// The version to publish again.
    #[schema(example = 41)]
    to_version: i64,
    /// Why. Kept with the version.
    #[schema(value_type = String, example = "the sale crashes the shop")]
    note: FastStr,
    /// If given: only if this is the current revision. Absent: whatever is current, for when every second counts.
    #[schema(example = 42)]
    base_revision: Option<i64>,
}

/// Publishes an earlier version again, as the next revision.
///
/// Nothing is taken out of the list of versions. 4040201 if there is no such version, 4090201 if `base_revision` is given and
/// not the current one.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/settings/rollback", tag = "Settings", security(("operator" = [])), params(("app_id" = i64, Path)), request_body = Request, responses(
        (status = 200, body = Published),
        (status = 404, description = "There is no such app (4040102) or version (4040201)."),
        (status = 409, description = "`base_revision` is given and not the current one (4090201)."),
))]
pub(crate) async fn roll_back_settings(
    OperatorOfSettings { actor, account, setting, settings }: OperatorOfSettings,
    Path(AppPath { app_id }): Path<AppPath>,
    Json(Request { to_version, note, base_revision }): Json<Request>,
) -> Result<Envelope<Published>, ApiError> {
    require_app(&account, app_id).await?;
    let request = RollbackRequest { app_id, to_version, note: note.clone(), author: actor.clone(), base_revision };
    let published = setting.admin_rollback(request).await.map_err(could_not_tell)?;
    let revision = published.revision;
    settings.published(app_id, revision).await;
    let particulars = json!({ "to_version": to_version });
    let change = Change { actor, action: "settings.rollback", app_id, revision, note: &note, particulars };
    let degraded = audit::write_down(&account, change).await;
    Ok(Envelope(Published { revision, version: revision, published_at: published.published_at, degraded }))
}

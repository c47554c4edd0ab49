//! `POST /admin/v1/apps/{app_id}/settings/validate`: what is wrong with a document, and what publishing it would change.

use common::http::{ApiError, Envelope, Json, Path};
use idl::setting_admin::{Problem, ValidateRequest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    app::require_app,
    change::{Change, changes},
};
use crate::{
    endpoints::admin::{app::AppPath, operator::OperatorOfSettings},
    upstream::could_not_tell,
};

/// What is to be looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ValidateSettingsRequest)]
pub(crate) struct Request {
    /// The whole document, at most 1 MiB.
    #[schema(value_type = Object, example = json!({ "settings": { "drop_rate": { "type": "number", "value": 0.05 } } }))]
    document: Box<RawValue>,
}

/// What there is to say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ValidateSettingsAnswer, example = json!({
    "valid": true,
    "problems": [],
    "changes": [{ "path": "settings.drop_rate.value", "kind": "changed", "before": 0.02, "after": 0.05 }],
    "current_revision": 41,
}))]
pub(crate) struct Answer {
    /// It could be published.
    valid: bool,
    /// What keeps it from that; at most 100.
    problems: Vec<SettingsProblem>,
    /// Against the current revision; empty if there are problems.
    changes: Vec<Change>,
    /// What `base_revision` has to be to publish it now.
    current_revision: i64,
}

/// Something that keeps a document from being published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsProblem {
    /// Empty for the document as a whole.
    #[schema(value_type = String, example = "rules[3].when.percent")]
    path: FastStr,
    #[schema(value_type = String)]
    reason: FastStr,
}

/// Looks at a document without publishing it.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/settings/validate", tag = "Settings", security(("operator" = [])), params(("app_id" = i64, Path)), request_body = Request, responses(
        (status = 200, body = Answer),
        (status = 404, description = "There is no such app (4040102)."),
        (status = 413, description = "The document or the request is too large (4130001)."),
))]
pub(crate) async fn validate_settings(
    OperatorOfSettings { account, setting, .. }: OperatorOfSettings,
    Path(AppPath { app_id }): Path<AppPath>,
    Json(Request { document }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    require_app(&account, app_id).await?;
    let document_json = String::from(Box::<str>::from(document)).into();
    let judged = setting.admin_validate(ValidateRequest { app_id, document_json }).await.map_err(could_not_tell)?;
    let problems = judged.problems.into_iter();
    Ok(Envelope(Answer {
        valid: problems.len() == 0,
        problems: problems.map(|Problem { path, reason, .. }| SettingsProblem { path, reason }).collect(),
        changes: changes(judged.changes)?,
        current_revision: judged.current_revision,
    }))
}

//! `GET /admin/v1/apps/{app_id}/settings`: the document as it was published.

use common::http::{ApiError, Envelope, Path, Query};
use http::{HeaderValue, header};
use idl::setting_admin::GetRevisionRequest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use volo_http::{response::Response, server::IntoResponse};

use super::{app::require_app, change::raw, version::Version};
use crate::{
    endpoints::admin::{app::AppPath, operator::OperatorOfSettings},
    upstream::could_not_tell,
};

/// Which one.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// Absent: the current one.
    #[param(example = 41)]
    revision: Option<i64>,
}

/// A document and where it comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminSettingsAnswer, example = json!({
    "revision": 42,
    "version": 42,
    "document": { "settings": { "drop_rate": { "type": "number", "value": 0.05 } } },
    "info": { "version": 42, "published_at": 1_775_000_000_000_i64, "author": "operator", "note": "spring sale", "bytes": 62 },
    "age_ms": 120,
}))]
pub(crate) struct Answer {
    /// 0 if the app has published none.
    revision: i64,
    /// The same number.
    version: i64,
    /// As it was published; docs/settings.md describes it.
    #[schema(value_type = Object)]
    document: Box<RawValue>,
    /// Absent for revision 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Version>,
    /// How long ago the store confirmed that this is the current revision; absent for an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    age_ms: Option<i64>,
}

/// The settings document of an app.
///
/// 4040201 if there is no such revision.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/settings", tag = "Settings", security(("operator" = [])), params(("app_id" = i64, Path), Request), responses(
    (status = 200, body = Answer, headers(("Age" = Option<u64>, description = "`age_ms` in whole seconds; absent below 1."))),
    (status = 404, description = "There is no such app (4040102) or revision (4040201)."),
))]
pub(crate) async fn get_settings(
    OperatorOfSettings { account, setting, .. }: OperatorOfSettings,
    Path(AppPath { app_id }): Path<AppPath>,
    Query(Request { revision }): Query<Request>,
) -> Result<Response, ApiError> {
    require_app(&account, app_id).await?;
    let found = setting.admin_get_revision(GetRevisionRequest { app_id, revision }).await.map_err(could_not_tell)?;
    let answer = Answer {
        revision: found.revision,
        version: found.revision,
        document: raw(&found.document_json)?,
        info: found.info.map(Version::from),
        age_ms: found.age_ms,
    };
    let age_s = answer.age_ms.and_then(|millis| u64::try_from(millis / 1000).ok()).filter(|seconds| *seconds >= 1);
    let mut response = Envelope(answer).into_response();
    if let Some(age_s) = age_s {
        response.headers_mut().insert(header::AGE, HeaderValue::from(age_s));
    }
    Ok(response)
}

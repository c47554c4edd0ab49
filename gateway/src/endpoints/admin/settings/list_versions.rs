//! `GET /admin/v1/apps/{app_id}/settings/versions`: who published what and why, newest first, in pages.

use common::{
    error_code::PublicError,
    http::{ApiError, Envelope, Path, Query},
};
use idl::setting_admin::ListVersionsRequest;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{app::require_app, version::Version};
use crate::{
    endpoints::admin::{app::AppPath, operator::OperatorOfSettings},
    upstream::could_not_tell,
};

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The `next_before` of the page before.
    before: Option<i64>,
    /// 1-100; absent: 50.
    limit: Option<i64>,
}

/// A page of versions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettingsVersionsAnswer)]
pub(crate) struct Answer {
    /// Newest first.
    versions: Vec<Version>,
    /// There are older ones: ask with `before` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_before: Option<i64>,
}

/// The versions of an app's settings.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/settings/versions", tag = "Settings", security(("operator" = [])), params(("app_id" = i64, Path), Request), responses(
        (status = 200, body = Answer),
        (status = 404, description = "There is no such app (4040102)."),
))]
pub(crate) async fn list_versions(
    OperatorOfSettings { account, setting, .. }: OperatorOfSettings,
    Path(AppPath { app_id }): Path<AppPath>,
    Query(Request { before, limit }): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let limit = page_limit(limit)?;
    require_app(&account, app_id).await?;
    let request = ListVersionsRequest { app_id, before, limit };
    let found = setting.admin_list_versions(request).await.map_err(could_not_tell)?;
    let versions = found.versions.into_iter().map(Version::from).collect();
    Ok(Envelope(Answer { versions, next_before: found.next_before }))
}

fn page_limit(asked: Option<i64>) -> Result<i32, PublicError> {
    let limit = i32::try_from(asked.unwrap_or(50)).ok().filter(|limit| (1..=100).contains(limit));
    limit.ok_or_else(|| PublicError::invalid("limit", "must be between 1 and 100"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_between_one_and_a_hundred_versions() {
        assert_eq!((page_limit(None), page_limit(Some(100))), (Ok(50), Ok(100)));
        for limit in [0, 101, -1, i64::MAX] {
            assert_eq!(page_limit(Some(limit)).expect_err("refused").details[0].0, "limit");
        }
    }
}

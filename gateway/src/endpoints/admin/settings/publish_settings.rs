//! `POST /admin/v1/apps/{app_id}/settings`: publishes a document.

use common::http::{ApiError, Envelope, Json, Path};
use idl::setting_admin::PublishRequest;
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    app::require_app,
    audit::{self, Change},
};
use crate::{
    endpoints::admin::{app::AppPath, operator::OperatorOfSettings},
    upstream::could_not_tell,
};

/// What becomes the next revision.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PublishSettingsRequest)]
pub(crate) struct Request {
    /// The revision that the document was made from; 0 for an app's first.
    #[schema(example = 41)]
    base_revision: i64,
    /// The whole document, at most 1 MiB; docs/settings.md describes it.
    #[schema(value_type = Object, example = json!({ "settings": { "drop_rate": { "type": "number", "value": 0.05 } } }))]
    document: Box<RawValue>,
    /// Why. Kept with the version.
    #[schema(value_type = String, example = "spring sale")]
    note: FastStr,
}

/// What has been published.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PublishedSettings, example = json!({ "revision": 42, "version": 42, "published_at": 1_775_000_000_000_i64, "degraded": [] }))]
pub(crate) struct Published {
    pub(super) revision: i64,
    /// The same number.
    pub(super) version: i64,
    /// Unix milliseconds.
    pub(super) published_at: i64,
    /// `audit`: it is published, but could not be written into the audit. The list of versions has it all the same.
    #[schema(value_type = Vec<String>)]
    pub(super) degraded: Vec<&'static str>,
}

/// Publishes a document as the next revision.
///
/// 4090201 unless `base_revision` is the current one: somebody else has published meanwhile, so look at what they did and
/// begin again. 4000001 if something is wrong with the document; `details` has each place and its reason, such as
/// `document.rules[3].when.percent`. Players are answered it everywhere within a second. Repeat it if the answer is lost: the
/// same document on the same base is published once.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/settings", tag = "Settings", security(("operator" = [])), params(("app_id" = i64, Path)), request_body = Request, responses(
        (status = 200, body = Published),
        (status = 404, description = "There is no such app (4040102)."),
        (status = 409, description = "`base_revision` is not the current one (4090201)."),
        (status = 413, description = "The document or the request is too large (4130001)."),
))]
pub(crate) async fn publish_settings(
    OperatorOfSettings { actor, account, setting, settings }: OperatorOfSettings,
    Path(AppPath { app_id }): Path<AppPath>,
    Json(Request { base_revision, document, note }): Json<Request>,
) -> Result<Envelope<Published>, ApiError> {
    require_app(&account, app_id).await?;
    let document_json = String::from(Box::<str>::from(document)).into();
    let request = PublishRequest { app_id, base_revision, document_json, note: note.clone(), author: actor.clone() };
    let published = setting.admin_publish(request).await.map_err(could_not_tell)?;
    let revision = published.revision;
    settings.published(app_id, revision).await;
    let particulars = json!({ "base_revision": base_revision });
    let change = Change { actor, action: "settings.publish", app_id, revision, note: &note, particulars };
    let degraded = audit::write_down(&account, change).await;
    Ok(Envelope(Published { revision, version: revision, published_at: published.published_at, degraded }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_taken_as_the_text_that_it_is() {
        let body = r#"{"base_revision":1,"note":"n","document": {"b":1.0, "a":123456789012345678901234567890} }"#;
        let request: Request = serde_json::from_str(body).expect("well formed");
        assert_eq!(request.document.get(), r#"{"b":1.0, "a":123456789012345678901234567890}"#);
    }
}

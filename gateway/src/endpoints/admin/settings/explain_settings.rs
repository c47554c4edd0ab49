//! `POST /admin/v1/apps/{app_id}/settings/explain`: which layer or rule gives a caller each value, and why the others do not.

use common::{
    error_code::PublicError,
    http::{ApiError, Envelope, Json, Path},
};
use idl::setting_admin::{self as wire, ExplainRequest};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use volo::FastStr;

use super::{app::require_app, change::raw};
use crate::{
    endpoints::admin::{app::AppPath, operator::OperatorOfSettings},
    upstream::could_not_tell,
};

/// A caller as it may come one day. The fields mean what they mean at `GET /v1/sdk/settings`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ExplainSettingsRequest)]
pub(crate) struct Request {
    /// Absent: `official`.
    #[schema(value_type = Option<String>, example = "official")]
    channel: Option<FastStr>,
    #[schema(value_type = Option<String>)]
    package: Option<FastStr>,
    #[schema(value_type = Option<String>, example = "1.12.0")]
    version: Option<FastStr>,
    #[schema(example = 100_001)]
    account_id: Option<i64>,
    #[schema(value_type = Option<String>)]
    device_id: Option<FastStr>,
    /// Unix milliseconds; absent: now.
    at: Option<i64>,
    /// Absent: the current one.
    revision: Option<i64>,
    /// Instead of a revision: a document that is not published yet.
    #[schema(value_type = Option<Object>)]
    document: Option<Box<RawValue>>,
}

/// Where every value comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ExplainSettingsAnswer, example = json!({
    "revision": 42,
    "settings": [{
        "name": "drop_rate",
        "value": 0.02,
        "source": "default",
        "candidates": [
            { "source": "default", "value": 0.02, "applies": true },
            { "source": "rules[3]", "value": 0.05, "applies": false, "why_not": "percent 10: this caller is at 37.204" },
        ],
    }],
}))]
pub(crate) struct Answer {
    revision: i64,
    settings: Vec<ExplainedSetting>,
    /// When a time window begins or ends, in Unix milliseconds; absent if none lies ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<i64>,
}

/// One value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainedSetting {
    #[schema(value_type = String)]
    name: FastStr,
    /// What the caller gets.
    #[schema(value_type = Object)]
    value: Box<RawValue>,
    /// The source whose value it is.
    #[schema(value_type = String, example = "default")]
    source: FastStr,
    /// Lowest layer first; the last one that applies has won.
    candidates: Vec<Candidate>,
}

/// A layer or a rule that has a value for the setting.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettingsCandidate)]
pub(crate) struct Candidate {
    /// `default`, `channels.…`, `packages.…` or `rules[…]`.
    #[schema(value_type = String, example = "rules[3]")]
    source: FastStr,
    #[schema(value_type = Object)]
    value: Box<RawValue>,
    /// Whether its conditions hold for this caller.
    applies: bool,
    /// The first condition that does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    why_not: Option<FastStr>,
}

/// Explains which value a caller gets of every setting.
#[utoipa::path(post, path = "/admin/v1/apps/{app_id}/settings/explain", tag = "Settings", security(("operator" = [])), params(("app_id" = i64, Path)), request_body = Request, responses(
        (status = 200, body = Answer),
        (status = 404, description = "There is no such app (4040102) or revision (4040201)."),
        (status = 413, description = "The document or the request is too large (4130001)."),
))]
pub(crate) async fn explain_settings(
    OperatorOfSettings { account, setting, .. }: OperatorOfSettings,
    Path(AppPath { app_id }): Path<AppPath>,
    Json(request): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    require_app(&account, app_id).await?;
    let Request { channel, package, version, account_id, device_id, at, revision, document } = request;
    let document_json = document.map(|document| String::from(Box::<str>::from(document)).into());
    let package_name = package;
    let request =
        ExplainRequest { app_id, channel, package_name, version, account_id, device_id, at, revision, document_json };
    let found = setting.admin_explain(request).await.map_err(could_not_tell)?;
    let settings = found.settings.into_iter().map(ExplainedSetting::try_from).collect::<Result<_, _>>()?;
    Ok(Envelope(Answer { revision: found.revision, settings, valid_until: found.valid_until }))
}

impl TryFrom<wire::ExplainedSetting> for ExplainedSetting {
    type Error = PublicError;

    fn try_from(explained: wire::ExplainedSetting) -> Result<Self, PublicError> {
        Ok(Self {
            name: explained.name,
            value: raw(&explained.value_json)?,
            source: explained.source,
            candidates: explained.candidates.into_iter().map(Candidate::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<wire::Candidate> for Candidate {
    type Error = PublicError;

    fn try_from(candidate: wire::Candidate) -> Result<Self, PublicError> {
        let wire::Candidate { source, value_json, applies, why_not, .. } = candidate;
        Ok(Self { source, value: raw(&value_json)?, applies, why_not })
    }
}

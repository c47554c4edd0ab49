//! `GET /v1/sdk/settings`: the app's settings as this client sees them.
//!
//! Carries a strong ETag; a client that sends it back in `If-None-Match` is answered 304 without a body while nothing
//! has changed.

use std::sync::Arc;

use common::{
    error_code::{ErrorCode, PublicError},
    http::{ApiError, Envelope, Query},
    rpc::CallError,
};
use http::{HeaderValue, StatusCode, header};
use idl::setting::GetSettingsRequest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;
use volo_http::{response::Response, server::IntoResponse, utils::Extension};

use super::{
    fields::{bounded, checked_id},
    session::settings_object,
};
use crate::{endpoints::if_none_match::IfNoneMatch, state::Gateway};

/// Who asks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The app.
    #[param(example = 1001)]
    app_id: i64,
    /// The channel the build came from. Absent: `official`.
    #[param(value_type = Option<String>, max_length = 32)]
    channel: Option<FastStr>,
    /// Package name of the build.
    #[param(value_type = Option<String>, max_length = 128)]
    package: Option<FastStr>,
    /// Version of the build.
    #[param(value_type = Option<String>, max_length = 32)]
    version: Option<FastStr>,
    /// The player, if signed in.
    account_id: Option<i64>,
}

/// Settings and where they come from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettingsAnswer)]
pub(crate) struct Answer {
    /// Name → value.
    #[schema(value_type = Object)]
    settings: Box<RawValue>,
    /// The revision they come from; 0 when the app has published none.
    revision: i64,
}

/// The settings of an app for one client.
#[utoipa::path(get, path = "/v1/sdk/settings", tag = "Players", params(Request), responses(
    (status = 200, body = Answer, headers(("ETag" = String, description = "Send it back in `If-None-Match`."))),
    (status = 304, description = "Nothing has changed since the given ETag."),
))]
pub(crate) async fn settings(
    Extension(gateway): Extension<Arc<Gateway>>,
    IfNoneMatch(if_none_match): IfNoneMatch,
    Query(request): Query<Request>,
) -> Result<Response, ApiError> {
    let request = parse(request, if_none_match)?;
    let answer = gateway.upstream.setting.get_settings(request).await.map_err(CallError::from)?;
    let entity_tag = HeaderValue::from_str(&answer.entity_tag).map_err(|_| PublicError::new(ErrorCode::INTERNAL))?;
    let revision = answer.revision;
    let mut response = match settings_object(answer) {
        Some(settings) => Envelope(Answer { settings, revision }).into_response(),
        None => StatusCode::NOT_MODIFIED.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, entity_tag);
    // Settings may be kept, but are asked for again each time: the ETag makes that cheap.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(response)
}

fn parse(request: Request, if_none_match: Option<FastStr>) -> Result<GetSettingsRequest, PublicError> {
    Ok(GetSettingsRequest {
        app_id: checked_id("app_id", request.app_id)?,
        channel: bounded("channel", request.channel, 32)?,
        package_name: bounded("package", request.package, 128)?,
        version: bounded("version", request.version, 32)?,
        account_id: request.account_id.map(|id| checked_id("account_id", id)).transpose()?,
        if_none_match,
        ..GetSettingsRequest::default()
    })
}

//! `GET /v1/sdk/settings`: the app's settings as this client sees them.
//!
//! Carries a strong ETag; a client that sends it back in `If-None-Match` is answered 304 without a body while nothing
//! has changed. Usually both come from the gateway's own copy; an answer that nobody could confirm just now says in `Age`
//! for how many seconds that has been so.

use std::{sync::Arc, time::Duration};

use common::{
    error_code::PublicError,
    http::{ApiError, Envelope, Query},
};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;
use volo_http::{response::Response, server::IntoResponse, utils::Extension};

use super::fields::{bounded, checked_channel, checked_id};
use crate::{
    endpoints::if_none_match::IfNoneMatch,
    settings_copy::{Caller, Served},
    state::Gateway,
};

/// A copy younger than this is as good as new, and its answer has no `Age`.
const WORTH_TELLING: Duration = Duration::from_secs(1);

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
    /// The device, as logins name it: stands in for the player in a rollout while nobody has signed in.
    #[param(value_type = Option<String>, max_length = 128)]
    device_id: Option<FastStr>,
}

/// Settings and where they come from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettingsAnswer)]
pub(crate) struct Answer<'a> {
    /// Name → value.
    #[schema(value_type = Object)]
    settings: &'a RawValue,
    /// The revision they come from; 0 when the app has published none.
    revision: i64,
}

/// The settings of an app for one client.
///
/// What is published is answered everywhere within a second. While the part that knows them is away the last known ones
/// are answered for up to `gateway.settings.stale_usable_for` (1 h).
#[utoipa::path(get, path = "/v1/sdk/settings", tag = "Players", params(Request), responses(
    (status = 200, body = Answer<'_>, headers(
        ("ETag" = String, description = "Send it back in `If-None-Match`."),
        ("Age" = Option<u64>, description = "For how many seconds nobody has been able to confirm that these are the newest; absent below 1."),
    )),
    (status = 304, description = "Nothing has changed since the given ETag."),
))]
pub(crate) async fn settings(
    Extension(gateway): Extension<Arc<Gateway>>,
    if_none_match: IfNoneMatch,
    Query(request): Query<Request>,
) -> Result<Response, ApiError> {
    let caller = parse(request)?;
    Ok(answer(&gateway.settings.get(&caller, None).await?, &if_none_match))
}

fn answer(Served { answer, age }: &Served, if_none_match: &IfNoneMatch) -> Response {
    let mut response = if if_none_match.matches(&answer.entity_tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Envelope(Answer { settings: &answer.settings, revision: answer.revision }).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, answer.entity_tag.clone());
    // Settings may be kept, but are asked for again each time: the ETag makes that cheap.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if *age >= WORTH_TELLING {
        headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
    }
    response
}

fn parse(request: Request) -> Result<Caller, PublicError> {
    Ok(Caller {
        app_id: checked_id("app_id", request.app_id)?,
        channel: checked_channel(request.channel)?,
        package_name: bounded("package", request.package, 128)?,
        version: bounded("version", request.version, 32)?,
        account_id: request.account_id.map(|id| checked_id("account_id", id)).transpose()?,
        device_id: bounded("device_id", request.device_id, 128)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use volo_http::body::BodyConversion;

    use super::*;
    use crate::settings_copy::{
        config::SettingsConfig,
        testing::{Published, Script, copy_of},
    };

    async fn served() -> Served {
        let script = Script::of(1);
        script.publish(7, &Published { revision: 3, ..Published::default() });
        let (copy, _) = copy_of(&script, SettingsConfig::default());
        copy.get(&Caller { app_id: 7, ..Caller::default() }, None).await.expect("settings")
    }

    async fn text(response: Response) -> String {
        String::from_utf8(response.into_body().into_vec().await.expect("a body")).expect("text")
    }

    #[tokio::test(start_paused = true)]
    async fn the_json_of_the_setting_service_goes_out_as_it_came() {
        let response = answer(&served().await, &IfNoneMatch(None));
        assert_eq!(response.headers()[header::ETAG], "\"3\"");
        let body = text(response).await;
        assert!(body.ends_with(r#""data":{"settings":{"revision":3,"account":0},"revision":3}}"#), "{body}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_has_the_answer_is_sent_none() {
        let response = answer(&served().await, &IfNoneMatch(Some("W/\"3\"".into())));
        assert_eq!(
            (response.status(), &response.headers()[header::ETAG]),
            (StatusCode::NOT_MODIFIED, &HeaderValue::from_static("\"3\""))
        );
        assert_eq!(text(response).await, "");
        assert_eq!(answer(&served().await, &IfNoneMatch(Some("\"4\"".into()))).status(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn the_age_is_told_from_a_second_on() {
        let mut served = served().await;
        for (millis, expected) in [(0, None), (999, None), (1000, Some("1")), (61_500, Some("61"))] {
            served.age = Duration::from_millis(millis);
            let response = answer(&served, &IfNoneMatch(None));
            let age = response.headers().get(header::AGE).map(|age| age.to_str().expect("digits"));
            assert_eq!(age, expected, "{millis}");
        }
    }
}

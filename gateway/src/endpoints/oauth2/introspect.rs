//! `POST /oauth2/introspect`: RFC 7662 token introspection, for tools that speak the standard.
//!
//! The client authenticates with HTTP Basic (`app_id:app_secret`, RFC 6749 section 2.3.1). `active` is false for every
//! verdict but valid; a question that can't be answered is 503 and says nothing about the token.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{
    error_code::PublicError,
    http::{ApiError, Form, retry_after_header},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use idl::account::{TokenStatus, TokenVerdict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::{
    body::Body,
    context::ServerContext,
    response::Response,
    server::{IntoResponse, extract::FromContext},
    utils::Extension,
};

use crate::{state::Gateway, token_copy::tokens::Told};

/// The form body.
#[derive(Deserialize, ToSchema)]
#[schema(as = IntrospectRequest)]
pub(crate) struct Request {
    /// The token in question.
    #[schema(value_type = String)]
    token: FastStr,
    /// Accepted and not needed: access tokens are recognised by their form.
    #[expect(dead_code, reason = "named by RFC 7662, so that the contract shows it")]
    #[schema(value_type = Option<String>)]
    token_type_hint: Option<FastStr>,
}

/// The answer of RFC 7662 section 2.2. Everything but `active` and `degraded` is absent when the token is not active.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Introspection {
    active: bool,
    /// The app.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The account.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    sid: Option<FastStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Expiry, Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// Issue, Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// There, and true, when account could not answer and the gateway did from its copy, which may be some seconds old.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    degraded: bool,
}

/// The app as HTTP Basic names it; not yet checked.
pub(crate) struct Basic(Option<(i64, secrecy::SecretString)>);

impl FromContext for Basic {
    type Rejection = std::convert::Infallible;

    async fn from_context(_: &mut ServerContext, parts: &mut Parts) -> Result<Self, Self::Rejection> {
        Ok(Self(basic_credentials(&parts.headers)))
    }
}

/// What went wrong, in the form of RFC 6749 section 5.2.
#[derive(Debug)]
pub(crate) enum IntrospectError {
    /// 401: the app's credentials are missing or wrong.
    InvalidClient,
    /// 400 (or 413, 415): there is no form, or no token in it.
    InvalidRequest(PublicError),
    /// 503 (or 429): could not tell.
    Unavailable(PublicError),
}

/// RFC 7662 token introspection.
#[utoipa::path(post, path = "/oauth2/introspect", tag = "Standards", security(("basic" = [])),
    request_body(content = Request, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Introspection)))]
pub(crate) async fn introspect(
    Extension(gateway): Extension<Arc<Gateway>>,
    Basic(credentials): Basic,
    form: Result<Form<Request>, ApiError>,
) -> Response {
    match answer(&gateway, credentials, form).await {
        Ok(introspection) => respond(StatusCode::OK, &introspection),
        Err(error) => refuse(&error),
    }
}

async fn answer(
    gateway: &Gateway,
    credentials: Option<(i64, secrecy::SecretString)>,
    form: Result<Form<Request>, ApiError>,
) -> Result<Introspection, IntrospectError> {
    let (app_id, secret) = credentials.ok_or(IntrospectError::InvalidClient)?;
    let known = gateway.apps.authenticate(app_id, secrecy::ExposeSecret::expose_secret(&secret)).await;
    if !known.map_err(IntrospectError::Unavailable)? {
        return Err(IntrospectError::InvalidClient);
    }
    let Form(request) = form.map_err(|ApiError(error)| IntrospectError::InvalidRequest(error))?;
    let told = gateway.tokens.verify(app_id, request.token).await.map_err(IntrospectError::Unavailable)?;
    Ok(Introspection::from(told))
}

impl From<Told<TokenVerdict>> for Introspection {
    fn from(Told { answer: verdict, degraded }: Told<TokenVerdict>) -> Self {
        if verdict.status != TokenStatus::VALID {
            return Self { degraded, ..Self::default() };
        }
        Self {
            active: true,
            client_id: verdict.app_id.map(|id| id.to_string()),
            sub: verdict.account_id.map(|id| id.to_string()),
            sid: verdict.session_id,
            token_type: Some("Bearer"),
            exp: verdict.expires_at.map(|millis| millis / 1000),
            iat: verdict.issued_at.map(|millis| millis / 1000),
            degraded,
        }
    }
}

/// `Authorization: Basic base64(app_id:app_secret)` (RFC 7617).
fn basic_credentials(headers: &HeaderMap) -> Option<(i64, secrecy::SecretString)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (app_id, secret) = decoded.split_once(':')?;
    Some((app_id.parse().ok()?, secrecy::SecretString::from(secret)))
}

fn refuse(error: &IntrospectError) -> Response {
    let (status, name) = match error {
        IntrospectError::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
        IntrospectError::InvalidRequest(error) => (status_of(error), "invalid_request"),
        IntrospectError::Unavailable(error) => (status_of(error), "temporarily_unavailable"),
    };
    let mut response = respond(status, &serde_json::json!({ "error": name }));
    match error {
        IntrospectError::InvalidClient => {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"playgate\""));
        }
        IntrospectError::Unavailable(error) => {
            if let Some(value) = retry_after_header(error) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        IntrospectError::InvalidRequest(_) => {}
    }
    response
}

fn status_of(error: &PublicError) -> StatusCode {
    StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

fn respond(status: StatusCode, body: &impl Serialize) -> Response {
    // These types have no map keys or floats that could fail to serialise; an empty object is the honest worst case.
    let bytes = serde_json::to_vec(body).unwrap_or_else(|_| b"{}".to_vec());
    let mut response = (status, Body::from(bytes)).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // RFC 7662 section 2.2: the answer is about one moment.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(value: &str) -> Option<(i64, String)> {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_str(value).expect("visible"))]);
        basic_credentials(&headers).map(|(id, secret)| (id, secrecy::ExposeSecret::expose_secret(&secret).to_owned()))
    }

    #[test]
    fn basic_credentials_are_read_as_rfc_7617_writes_them() {
        let encoded = STANDARD.encode("1001:s3:cret");
        assert_eq!(credentials(&format!("Basic {encoded}")), Some((1001, "s3:cret".to_owned())));
        assert_eq!(credentials(&format!("basic {encoded}")), Some((1001, "s3:cret".to_owned())));
        for bad in ["Basic", "Basic !!", &format!("Bearer {encoded}"), &format!("Basic {}", STANDARD.encode("x:y"))] {
            assert_eq!(credentials(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_token_that_is_not_valid_is_inactive_and_tells_nothing_else() {
        let verdict = TokenVerdict {
            status: TokenStatus::REVOKED,
            account_id: Some(1),
            session_id: Some("s".into()),
            app_id: Some(2),
            issued_at: Some(3),
            expires_at: Some(4),
            channel: None,
            device_id: None,
        };
        let json = |degraded| {
            let told = Told { answer: verdict.clone(), degraded };
            serde_json::to_string(&Introspection::from(told)).expect("serialises")
        };
        assert_eq!(json(false), r#"{"active":false}"#);
        assert_eq!(json(true), r#"{"active":false,"degraded":true}"#);
    }
}

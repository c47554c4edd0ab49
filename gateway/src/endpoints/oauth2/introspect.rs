//! `POST /oauth2/introspect`: RFC 7662 token introspection, for tools that speak the standard.
//!
//! The client authenticates with HTTP Basic (`app_id:app_secret`, RFC 6749 section 2.3.1). `active` is false for every
//! verdict but valid; a question that can't be answered is 503 and says nothing about the token.
//!
//! Only access tokens are introspected. A refresh token is nobody's but the client's and this platform's, so a game
//! server is told of it what section 2.2 has for tokens it may not ask about: not active.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{
    error_code::PublicError,
    http::{ApiError, Form, retry_after_header, set_rate_limit},
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

/// How long a caller waits before it asks again when the answer could not be understood.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a caller without the right credentials is told (RFC 7617 section 2).
const CHALLENGE: &str = "Basic realm=\"playgate\", charset=\"UTF-8\"";

/// The form body.
#[derive(Deserialize, ToSchema)]
#[schema(as = IntrospectRequest)]
pub(crate) struct Request {
    /// The token in question.
    #[schema(value_type = String)]
    token: FastStr,
    /// Accepted and not needed: tokens are recognised by their form, so a wrong hint misleads nobody.
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
    /// The app again: nobody else may take the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
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
    responses(
        (status = 200, body = Introspection, description = "The question was answered: `active` says how."),
        (status = 400, description = "`invalid_request`: no form, or no token in it."),
        (status = 401, description = "`invalid_client`: the app's credentials are missing or wrong."),
        (status = 429, description = "`temporarily_unavailable`: too many requests; ask again after `Retry-After`."),
        (status = 503, description = "`temporarily_unavailable`: could not tell; ask again after `Retry-After`."),
    ))]
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
    gateway.limits.app(app_id).await.map_err(IntrospectError::Unavailable)?;
    let Form(request) = form.map_err(|ApiError(error)| IntrospectError::InvalidRequest(error))?;
    let told = gateway.tokens.verify(app_id, request.token).await.map_err(IntrospectError::Unavailable)?;
    Introspection::try_from(told).map_err(IntrospectError::Unavailable)
}

impl TryFrom<Told<TokenVerdict>> for Introspection {
    /// A status this version does not know is no verdict: the question stays open.
    type Error = PublicError;

    fn try_from(Told { answer: verdict, degraded }: Told<TokenVerdict>) -> Result<Self, PublicError> {
        match verdict.status {
            TokenStatus::VALID => Ok(Self {
                active: true,
                client_id: verdict.app_id.map(|id| id.to_string()),
                aud: verdict.app_id.map(|id| id.to_string()),
                sub: verdict.account_id.map(|id| id.to_string()),
                sid: verdict.session_id,
                token_type: Some("Bearer"),
                exp: verdict.expires_at.map(|millis| millis / 1000),
                iat: verdict.issued_at.map(|millis| millis / 1000),
                degraded,
            }),
            TokenStatus::EXPIRED | TokenStatus::REVOKED | TokenStatus::BANNED | TokenStatus::INVALID => {
                Ok(Self { degraded, ..Self::default() })
            }
            _ => Err(PublicError::unavailable(ASK_AGAIN_AFTER)),
        }
    }
}

/// `Authorization: Basic base64(app_id:app_secret)` (RFC 7617), once. Both parts are form-encoded (RFC 6749 section
/// 2.3.1), which clients may apply to any character, also to those of ours that need none.
fn basic_credentials(headers: &HeaderMap) -> Option<(i64, secrecy::SecretString)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?.to_str().ok()?, values.next()) else { return None };
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (app_id, secret) = decoded.split_once(':')?;
    Some((form_decoded(app_id)?.parse().ok()?, secrecy::SecretString::from(form_decoded(secret)?)))
}

/// One value of `application/x-www-form-urlencoded`. `None`: it holds a separator, which a value that was encoded does not.
fn form_decoded(value: &str) -> Option<String> {
    if value.contains(['&', '=']) {
        return None;
    }
    form_urlencoded::parse(value.as_bytes()).next().map(|(decoded, _)| decoded.into_owned())
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
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        }
        IntrospectError::Unavailable(error) => {
            if let Some(value) = retry_after_header(error) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
            if let Some(limit) = &error.limit {
                set_rate_limit(response.headers_mut(), limit);
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
        let encoded_twice = STANDARD.encode("%31001:s%33%3Acr+t%25");
        assert_eq!(credentials(&format!("Basic {encoded_twice}")), Some((1001, "s3:cr t%".to_owned())));
        for bad in ["Basic", "Basic !!", &format!("Bearer {encoded}"), &format!("Basic {}", STANDARD.encode("x:y"))] {
            assert_eq!(credentials(bad), None, "{bad}");
        }
    }

    #[test]
    fn of_two_authorizations_none_counts() {
        let value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode("1001:secret"))).expect("visible");
        let mut headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.clone())]);
        assert!(basic_credentials(&headers).is_some());
        headers.append(header::AUTHORIZATION, value);
        assert!(basic_credentials(&headers).is_none());
    }

    fn verdict(status: TokenStatus) -> TokenVerdict {
        TokenVerdict { status, account_id: Some(1), session_id: Some("s".into()), ..TokenVerdict::default() }
    }

    #[test]
    fn a_token_that_is_not_valid_is_inactive_and_tells_nothing_else() {
        let json = |status, degraded| {
            let told = Told { answer: verdict(status), degraded };
            serde_json::to_string(&Introspection::try_from(told).expect("known")).expect("serialises")
        };
        for status in [TokenStatus::EXPIRED, TokenStatus::REVOKED, TokenStatus::BANNED, TokenStatus::INVALID] {
            assert_eq!(json(status, false), r#"{"active":false}"#);
            assert_eq!(json(status, true), r#"{"active":false,"degraded":true}"#);
        }
    }

    #[test]
    fn a_status_from_a_newer_account_is_an_open_question_and_not_inactive() {
        let told = Told { answer: verdict(TokenStatus::from(99)), degraded: false };
        assert_eq!(Introspection::try_from(told).expect_err("not known").http_status(), 503);
    }
}

//! `GET /.well-known/jwks.json`: the keys that ID tokens are verified with (RFC 7517).
//!
//! Answers from a copy while account is away: a verifier without keys would refuse good tokens.

use std::sync::Arc;

use common::http::ApiError;
use http::{HeaderValue, StatusCode, header};
use volo_http::{body::Body, response::Response, server::IntoResponse, utils::Extension};

use crate::{endpoints::if_none_match::IfNoneMatch, signing_keys::JsonWebKeySet, state::Gateway};

/// The keys that ID tokens are verified with.
///
/// Keep them as long as `Cache-Control` says: a new key is published long before it signs. Ask again at once, but not
/// more often than every few seconds, when a token names a key that is not here.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "Standards", responses(
    (status = 200, body = JsonWebKeySet, content_type = "application/jwk-set+json", headers(
        ("ETag" = String, description = "Send it back in `If-None-Match`."),
        ("Cache-Control" = String, description = "How long to keep them."),
    )),
    (status = 304, description = "Nothing has changed since the given ETag."),
    (status = 503, description = "Not known now; ask again after `Retry-After`. Says nothing about any token."),
))]
pub(crate) async fn jwks(
    Extension(gateway): Extension<Arc<Gateway>>,
    if_none_match: IfNoneMatch,
) -> Result<Response, ApiError> {
    let published = gateway.signing_keys.published().await?;
    let mut response = if if_none_match.matches(&published.entity_tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut response = Body::from(published.document.clone()).into_response();
        let content_type = HeaderValue::from_static("application/jwk-set+json");
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
        response
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, published.entity_tag.clone());
    let cache_control = format!("public, max-age={}", published.max_age().as_secs());
    headers.extend(HeaderValue::try_from(cache_control).ok().map(|value| (header::CACHE_CONTROL, value)));
    Ok(response)
}

//! A form body (`application/x-www-form-urlencoded`), as the standards' endpoints take it.

use http::{HeaderMap, header::CONTENT_TYPE, request::Parts};
use serde::de::DeserializeOwned;
use volo_http::{body::Body, context::ServerContext, server::extract::FromRequest};

use super::{body::read_body, query::parse};
use crate::{
    error_code::{ErrorCode, PublicError},
    http::ApiError,
};

/// The form as a `T`.
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequest for Form<T> {
    type Rejection = ApiError;

    async fn from_request(_: &mut ServerContext, parts: Parts, body: Body) -> Result<Self, ApiError> {
        if !is_form(&parts.headers) {
            return Err(ApiError(PublicError::new(ErrorCode::UNSUPPORTED_MEDIA_TYPE)));
        }
        let body = read_body(&parts.headers, body).await?;
        let text = std::str::from_utf8(&body).map_err(|_| PublicError::new(ErrorCode::MALFORMED_BODY))?;
        Ok(Self(parse(text)?))
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_form_counts_as_a_form() {
        let says =
            |value: &'static str| is_form(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]));
        assert!(says("application/x-www-form-urlencoded"));
        assert!(says("Application/X-WWW-Form-Urlencoded; charset=UTF-8"));
        assert!(!says("application/json"));
        assert!(!is_form(&HeaderMap::new()));
    }
}

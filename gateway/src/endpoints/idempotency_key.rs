//! `Idempotency-Key`: what tells a repeated request from a new one.

use common::{error_code::PublicError, http::ApiError};
use http::{HeaderMap, HeaderName, request::Parts};
use volo::FastStr;
use volo_http::{context::ServerContext, server::extract::FromContext};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// `Idempotency-Key`, once; which characters it may have is for pay to say.
pub(crate) struct IdempotencyKey(pub(crate) FastStr);

impl FromContext for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_context(_: &mut ServerContext, parts: &mut Parts) -> Result<Self, ApiError> {
        Ok(Self(key_of(&parts.headers)?))
    }
}

fn key_of(headers: &HeaderMap) -> Result<FastStr, PublicError> {
    let refused = |reason: &'static str| PublicError::invalid("Idempotency-Key", reason);
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = values.next().ok_or_else(|| refused("is required: a header of 1-64 visible ASCII characters"))?;
    if values.next().is_some() {
        return Err(refused("must not come twice"));
    }
    let text = value.to_str().map_err(|_| refused("must be 1-64 visible ASCII characters"))?;
    Ok(text.to_owned().into())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_key_has_to_be_there_once() {
        let mut headers = HeaderMap::new();
        assert_eq!(key_of(&headers).expect_err("missing").details[0].0, "Idempotency-Key");
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("k-1"));
        assert_eq!(key_of(&headers), Ok("k-1".into()));
        headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static("k-1"));
        assert_eq!(key_of(&headers).expect_err("twice").details[0].0, "Idempotency-Key");
    }
}

//! A player's access token: `Authorization: Bearer <access_token>` (RFC 6750, section 2.1).

use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use secrecy::SecretString;
use volo_http::{context::ServerContext, server::extract::FromContext};

use super::only_one::only_one;
use crate::{
    error_code::{ErrorCode, PublicError},
    http::ApiError,
};

/// The token as it was presented. Whether it is any good is for the account service to say.
#[derive(Clone, Debug)]
pub struct Bearer(pub SecretString);

impl FromContext for Bearer {
    type Rejection = ApiError;

    async fn from_context(_: &mut ServerContext, parts: &mut Parts) -> Result<Self, ApiError> {
        match bearer_token(&parts.headers) {
            Some(token) => Ok(Self(SecretString::from(token))),
            None => Err(ApiError(PublicError::new(ErrorCode::MISSING_CREDENTIALS))),
        }
    }
}

/// The token among these headers, if there is exactly one.
pub fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = only_one(headers, &AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let well_formed = !token.is_empty() && !token.contains(char::is_whitespace);
    (scheme.eq_ignore_ascii_case("bearer") && well_formed).then_some(token)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_bearer_token_counts_as_credentials() {
        for (header, token) in [
            ("Bearer pg1.abc", Some("pg1.abc")),
            ("bearer  pg1.abc ", Some("pg1.abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearer two words", None),
            ("Basic pg1.abc", None),
            ("pg1.abc", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(header))]);
            assert_eq!(bearer_token(&headers), token, "{header:?}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }

    #[test]
    fn two_tokens_are_no_credentials() {
        let token = |token| (AUTHORIZATION, HeaderValue::from_static(token));
        let mut headers = HeaderMap::from_iter([token("Bearer pg1.abc")]);
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer pg1.abd"));
        assert_eq!(bearer_token(&headers), None);
    }

    #[test]
    fn a_token_is_never_printed() {
        let bearer = Bearer(SecretString::from("pg1.secret"));
        assert!(!format!("{bearer:?}").contains("pg1.secret"));
    }
}

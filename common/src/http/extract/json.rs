//! A JSON body.
//!
//! A wrong content type is 415, a body that is not JSON 4000002, JSON of the wrong form 4000001 with the field named.
//! Unknown fields are ignored.

use http::{HeaderMap, header::CONTENT_TYPE, request::Parts};
use serde::de::DeserializeOwned;
use volo_http::{body::Body, context::ServerContext, server::extract::FromRequest};

use super::{body::read_body, field_error::invalid_field, json_shape::check_shape};
use crate::{
    error_code::{ErrorCode, PublicError},
    http::ApiError,
};

/// The body as a `T`.
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequest for Json<T> {
    type Rejection = ApiError;

    async fn from_request(_: &mut ServerContext, parts: Parts, body: Body) -> Result<Self, ApiError> {
        require_json(&parts.headers)?;
        let body = read_body(&parts.headers, body).await?;
        Ok(Self(parse(&body)?))
    }
}

/// The body as a `T`, or nothing when the request has none. A body that is there is held to the same rules.
#[derive(Clone, Copy, Debug)]
pub struct OptionalJson<T>(pub Option<T>);

impl<T: DeserializeOwned + Send> FromRequest for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(_: &mut ServerContext, parts: Parts, body: Body) -> Result<Self, ApiError> {
        let body = read_body(&parts.headers, body).await?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        require_json(&parts.headers)?;
        Ok(Self(Some(parse(&body)?)))
    }
}

/// Refuses a body that does not call itself JSON (`application/json`, `application/*+json`).
pub(super) fn require_json(headers: &HeaderMap) -> Result<(), PublicError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().as_bytes();
    let is_json = match essence.split_at_checked("application/".len()) {
        Some((kind, subtype)) => {
            let suffix = subtype.last_chunk::<5>().is_some_and(|suffix| suffix.eq_ignore_ascii_case(b"+json"));
            kind.eq_ignore_ascii_case(b"application/") && (subtype.eq_ignore_ascii_case(b"json") || suffix)
        }
        None => false,
    };
    if is_json { Ok(()) } else { Err(PublicError::new(ErrorCode::UNSUPPORTED_MEDIA_TYPE)) }
}

/// Reads `T` from JSON.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, PublicError> {
    check_shape(body).map_err(|_| PublicError::new(ErrorCode::MALFORMED_BODY))?;
    serde_json::from_slice(body).or_else(|_| parse_and_name_the_field(body))
}

/// The same once more, remembering where it was: only for bodies that are refused, because remembering costs.
fn parse_and_name_the_field<T: DeserializeOwned>(body: &[u8]) -> Result<T, PublicError> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| invalid_field(error.path(), &error.inner().to_string()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the reading is looked at")]
    struct Login {
        app_id: i64,
        password: String,
        #[serde(default)]
        tokens: Vec<String>,
        kind: Option<Kind>,
        credential: Option<Credential>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Password,
        Device,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only the reading is looked at")]
    struct Credential {
        code: String,
    }

    fn refusal(body: &str) -> (i32, Vec<(String, String)>) {
        let error = parse::<Login>(body.as_bytes()).expect_err(body);
        let details = error.details.iter().map(|(field, reason)| (field.to_string(), reason.to_string()));
        (error.code.inner(), details.collect())
    }

    #[test]
    fn json_of_the_wrong_form_names_the_field_and_never_repeats_its_value() {
        let cases = [
            (r#"{"password":"x"}"#, "app_id", "is required"),
            (r#"{"app_id":"1","password":"x"}"#, "app_id", "expected an integer"),
            (r#"{"app_id":1,"password":12345}"#, "password", "expected a string"),
            (r#"{"app_id":1e3,"password":"x"}"#, "app_id", "expected an integer"),
            (r#"{"app_id":1,"password":"x","tokens":["a",2]}"#, "tokens[1]", "expected a string"),
            (r#"{"app_id":1,"password":"x","credential":{}}"#, "credential.code", "is required"),
            (r#"{"app_id":1,"password":"x","kind":"magic"}"#, "kind", "expected `password` or `device`"),
            (r#"{"app_id":1,"password":"x","kind":7}"#, "kind", "expected a string"),
            (r#"{"app_id":1,"password":"x","tokens":7}"#, "tokens", "expected an array"),
            (r#""text""#, "body", "expected an object"),
        ];
        for (body, field, reason) in cases {
            let (code, details) = refusal(body);
            assert_eq!(code, 4_000_001, "{body}");
            assert_eq!(details, [(field.to_owned(), reason.to_owned())], "{body}");
        }
    }

    #[test]
    fn a_body_that_is_not_json_is_malformed_and_names_nothing() {
        let deep = format!("{{\"app_id\":1,\"password\":\"x\",\"extra\":{}", "[".repeat(100_000));
        for body in ["", "{", "not json", r#"{"app_id":1,"app_id":2,"password":"x"}"#, &deep] {
            assert_eq!(refusal(body), (4_000_002, Vec::new()), "{:?}", body.get(..20));
        }
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let login: Login = parse(br#"{"app_id":1,"password":"x","new_in_the_next_version":{"a":[1]}}"#).unwrap();
        assert_eq!(login.app_id, 1);
    }

    #[test]
    fn the_content_type_must_say_json() {
        for (content_type, accepted) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", true),
            ("application/jsonp", false),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            assert_eq!(require_json(&headers).is_ok(), accepted, "{content_type}");
        }
        assert!(require_json(&HeaderMap::new()).is_err());
    }
}

//! The form of every JSON answer: one envelope, serialised once.
//!
//! `{"code":2000000,"message":"ok","request_id":"<32 hex>","data":{...}}`; an error has no `data`, and may have
//! `retry_after_ms` and `details`. Nothing in here decides *what* is answered.

use std::time::Duration;

use bytes::Bytes;
use govern::rate_limit_headers;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Serialize, Serializer};
use volo::FastStr;
use volo_http::{body::Body, response::Response, server::IntoResponse};

use crate::{
    clock::SystemRandom,
    context::{RequestContext, hex_digits},
    error_code::{DEFAULT_RETRY_AFTER, ErrorCode, PublicError},
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Room for a typical answer, so that serialising it rarely grows the buffer.
const TYPICAL_ANSWER_BYTES: usize = 512;

/// A successful answer with `data`.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<T>(pub T);

/// A successful answer with `data`, of work that is kept and not yet done: 202.
#[derive(Clone, Copy, Debug)]
pub struct Accepted<T>(pub T);

/// A refusal or fault as an answer. What it says is what the [`PublicError`] holds and nothing more.
#[derive(Clone, Debug)]
pub struct ApiError(pub PublicError);

/// Everything that has a public face can be the error of a handler: `?` turns it into the answer.
impl<E: Into<PublicError>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// The code an answer carries, for the metrics and the access log. Answers without it succeeded, or are not ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnsweredCode(pub(super) ErrorCode);

impl<T: Serialize> IntoResponse for Envelope<T> {
    fn into_response(self) -> Response {
        enveloped(StatusCode::OK, br#"{"code":2000000,"message":"ok","request_id":""#, &self.0)
    }
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        enveloped(StatusCode::ACCEPTED, br#"{"code":2020000,"message":"accepted","request_id":""#, &self.0)
    }
}

fn enveloped(status: StatusCode, beginning: &[u8], data: &impl Serialize) -> Response {
    let mut body = Vec::with_capacity(TYPICAL_ANSWER_BYTES);
    body.extend_from_slice(beginning);
    body.extend_from_slice(&request_id());
    body.extend_from_slice(br#"","data":"#);
    if let Err(error) = serde_json::to_writer(&mut body, data) {
        tracing::error!(%error, "an answer could not be written as JSON");
        return ApiError(PublicError::internal()).into_response();
    }
    body.push(b'}');
    json_response(status, body)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = retry_hint(&error, status);
        let request_id = request_id();
        let body = ErrorBody {
            code: error.code.inner(),
            message: &error.message,
            request_id: std::str::from_utf8(&request_id).unwrap_or_default(),
            retry_after_ms: retry_after.map(whole_millis),
            details: &error.details,
        };
        // Strings and integers only: this can't fail, and an empty body with the right status would do if it did.
        let body = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = json_response(status, body);
        if let Some(after) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
        }
        if let Some(fields) = &error.limit {
            set_rate_limit(response.headers_mut(), fields);
        }
        response.extensions_mut().insert(AnsweredCode(error.code));
        response
    }
}

/// Whether the caller is told of a limit already: of the one that it is nearest to, or that refused it.
pub(super) fn has_rate_limit(headers: &HeaderMap) -> bool {
    headers.contains_key(RATE_LIMIT)
}

/// Tells a caller of a limit (draft-ietf-httpapi-ratelimit-headers).
pub fn set_rate_limit(headers: &mut HeaderMap, fields: &rate_limit_headers::Fields) {
    for (name, text) in [(RATE_LIMIT_POLICY, &fields.policy), (RATE_LIMIT, &fields.limit)] {
        // A name of plain characters and numbers: always a header's value.
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    }
}

/// Never too early, and never "at once": who is told to wait has something to wait for.
fn whole_millis(after: Duration) -> u64 {
    u64::try_from(after.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    code: i32,
    message: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "details")]
    details: &'a [(FastStr, FastStr)],
}

fn details<S: Serializer>(details: &&[(FastStr, FastStr)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(details.iter().map(|(field, reason)| (field.as_str(), reason.as_str())))
}

/// An answer that says "not now" always says when. The jitter only spreads the returning clients, so it is taken from
/// the process's own generator: an answer has no other way to one.
fn retry_hint(error: &PublicError, status: StatusCode) -> Option<Duration> {
    let base = match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            error.retry_after.or(Some(DEFAULT_RETRY_AFTER))
        }
        _ => error.retry_after,
    };
    PublicError { retry_after: base, limit: error.limit.clone(), ..PublicError::new(error.code) }
        .retry_hint(&SystemRandom)
}

/// The `Retry-After` of an error that is answered in another form than the envelope.
pub fn retry_after_header(error: &PublicError) -> Option<HeaderValue> {
    let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    retry_hint(error, status).map(|after| HeaderValue::from(whole_seconds(after)))
}

/// `Retry-After` counts whole seconds; rounding up never sends a client back too early.
fn whole_seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}

/// The request id as 32 lower-case hex digits; all zero outside a request.
fn request_id() -> [u8; 32] {
    let id = RequestContext::current().map_or(0, |context| context.trace_id.as_u128());
    hex_digits(id)
}

fn json_response(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use volo_http::body::BodyConversion;

    use super::*;
    use crate::context::TraceId;

    async fn answer(response: impl IntoResponse) -> (StatusCode, Option<u64>, Value) {
        let context = RequestContext::of_trace(TraceId::from_u128(0xabc).unwrap(), 0, false);
        let response = context.sync_scope(|| response.into_response());
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        let retry = response.headers().get(header::RETRY_AFTER).map(|value| value.to_str().unwrap().parse().unwrap());
        let status = response.status();
        (status, retry, serde_json::from_slice(&response.into_body().into_bytes().await.unwrap()).unwrap())
    }

    const REQUEST_ID: &str = "00000000000000000000000000000abc";

    #[tokio::test]
    async fn a_success_is_an_envelope_with_data() {
        let (status, retry, body) = answer(Envelope(json!({"answer": 42}))).await;
        assert_eq!((status, retry), (StatusCode::OK, None));
        assert_eq!(body, json!({"code": 2_000_000, "message": "ok", "request_id": REQUEST_ID, "data": {"answer": 42}}));
    }

    #[tokio::test]
    async fn a_refusal_names_the_fields_and_has_no_data() {
        let error = PublicError::invalid("username", "is required").detail("password", "is too short");
        let (status, retry, body) = answer(ApiError(error)).await;
        assert_eq!((status, retry), (StatusCode::BAD_REQUEST, None));
        assert_eq!(
            body,
            json!({
                "code": 4_000_001,
                "message": "a field has a value that is not allowed",
                "request_id": REQUEST_ID,
                "details": {"username": "is required", "password": "is too short"},
            })
        );
    }

    #[tokio::test]
    async fn not_now_always_says_when_and_the_seconds_are_never_too_early() {
        for code in [
            ErrorCode::RATE_LIMITED_ADDRESS,
            ErrorCode::OVERLOADED,
            ErrorCode::DEPENDENCY_UNAVAILABLE,
            ErrorCode::SHUTTING_DOWN,
            ErrorCode::DEADLINE_EXCEEDED,
        ] {
            let (_, retry, body) = answer(ApiError(PublicError::new(code))).await;
            let millis = body["retry_after_ms"].as_u64().expect("retry_after_ms");
            assert_eq!(retry, Some(millis.div_ceil(1000)), "{}", code.inner());
        }
    }

    #[test]
    fn whoever_has_to_wait_is_never_told_to_wait_for_nothing() {
        for (micros, millis, seconds) in [(0, 1, 1), (1, 1, 1), (1_001, 2, 1), (2_000, 2, 1), (1_000_001, 1_001, 2)] {
            let after = Duration::from_micros(micros);
            assert_eq!((whole_millis(after), whole_seconds(after)), (millis, seconds), "{micros}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_can_not_be_written_is_a_fault_of_ours_and_says_nothing_else() {
        struct Broken;
        impl Serialize for Broken {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("secret detail"))
            }
        }
        let (status, _, body) = answer(Envelope(Broken)).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!body.to_string().contains("secret detail"), "{body}");
    }
}

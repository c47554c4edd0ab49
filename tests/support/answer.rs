//! An HTTP answer, held against the conventions every answer has to keep.

use reqwest::header::{HeaderMap, HeaderName};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The seven digits of "all went well", and of "it is kept".
const GOOD: [i64; 2] = [2_000_000, 2_020_000];

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, text: response.text().await? })
    }

    /// A header as text; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let name: HeaderName = name.parse().unwrap();
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The envelope's code.
    #[track_caller]
    pub(crate) fn code(&self) -> i64 {
        self.json()["code"].as_i64().unwrap_or_else(|| panic!("no code in {self:?}"))
    }

    /// The data of an answer that is no error.
    #[track_caller]
    pub(crate) fn ok(&self) -> Value {
        assert!(GOOD.contains(&self.code()), "{self:?}");
        self.json()["data"].take()
    }

    /// The data of an answer that is no error, as a type.
    #[track_caller]
    pub(crate) fn ok_as<T: DeserializeOwned>(&self) -> T {
        serde_json::from_value(self.ok()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Expects a refusal.
    #[track_caller]
    pub(crate) fn refused(&self, code: i64) -> &Self {
        assert_eq!(self.code(), code, "{self:?}");
        self
    }

    /// Expects a refusal that names a field.
    #[track_caller]
    pub(crate) fn refused_field(&self, code: i64, field: &str) -> &Self {
        let reason = self.refused(code).json()["details"][field].take();
        assert!(reason.as_str().is_some_and(|reason| !reason.is_empty()), "no reason for {field}: {self:?}");
        self
    }

    /// Expects "could not tell, ask again": the only answer a question about a token may have in an outage.
    #[track_caller]
    pub(crate) fn could_not_tell(&self) -> &Self {
        assert!(matches!(self.status, 429 | 503), "{self:?}");
        assert!(self.json().get("data").is_none(), "{self:?}");
        self
    }

    /// Expects "not now": nothing about the request was wrong, and nothing was promised.
    #[track_caller]
    pub(crate) fn not_now(&self) -> &Self {
        assert!(matches!(self.status, 429 | 503 | 504), "{self:?}");
        self
    }

    /// What holds for every answer of the public listener, whatever was asked.
    #[track_caller]
    pub(crate) fn keeps_the_conventions(&self) {
        let request_id = self.header("x-request-id");
        assert!(is_request_id(request_id), "X-Request-Id is no trace id: {self:?}");
        if matches!(self.status, 429 | 503) {
            let seconds: u64 =
                self.header("retry-after").parse().unwrap_or_else(|_| panic!("no Retry-After: {self:?}"));
            assert!(seconds >= 1, "{self:?}");
        }
        if self.header("content-type").starts_with("application/json") {
            for internal in ["panicked at", "sqlx", "RUST_BACKTRACE", ".rs:", "volo"] {
                assert!(!self.text.contains(internal), "an internal text leaks: {self:?}");
            }
        }
    }

    /// What holds for every JSON answer of `/v1/*`.
    #[track_caller]
    pub(crate) fn keeps_the_envelope(&self) {
        if matches!(self.status, 204 | 304) {
            assert!(self.text.is_empty(), "{self:?}");
            return;
        }
        assert!(self.header("content-type").starts_with("application/json"), "{self:?}");
        let envelope = self.json();
        assert_eq!(self.code() / 10_000, i64::from(self.status), "the code begins with the status: {self:?}");
        assert_eq!(envelope["request_id"].as_str(), Some(self.header("x-request-id")), "{self:?}");
        assert!(envelope["message"].as_str().is_some_and(|message| !message.is_empty()), "{self:?}");
        assert_eq!(envelope.get("data").is_some(), GOOD.contains(&self.code()), "an error has no data: {self:?}");
        if matches!(self.status, 429 | 503) {
            assert!(envelope["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{self:?}");
        }
    }
}

/// 32 lower-case hexadecimal digits, not all zero.
fn is_request_id(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 32 && text.bytes().all(is_digit) && text.bytes().any(|byte| byte != b'0')
}

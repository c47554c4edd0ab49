//! What the headers of a signed request claim, before anything is proven. Who claims it is in a header besides, which
//! depends on who that can be.

use http::{HeaderMap, HeaderName, StatusCode, request::Parts};

use super::only_one::only_one;
use crate::{
    clock::Timestamp,
    error_code::{DEFAULT_RETRY_AFTER, PublicError},
    http::{SignedContent, SigningKey, signing::is_fresh},
};

const X_TIMESTAMP: HeaderName = HeaderName::from_static("x-timestamp");
const X_NONCE: HeaderName = HeaderName::from_static("x-nonce");
const X_SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// A signature and what of it stands in headers.
#[derive(Clone, Copy, Debug)]
pub struct SignatureClaim<'a> {
    timestamp: &'a str,
    sent_at: Timestamp,
    nonce: &'a str,
    signature: &'a [u8],
}

impl<'a> SignatureClaim<'a> {
    /// `None`: something is missing, there twice, or not of its form.
    pub fn of(headers: &'a HeaderMap) -> Option<Self> {
        let text = |name: HeaderName| only_one(headers, &name)?.to_str().ok();
        let timestamp = text(X_TIMESTAMP)?;
        let nonce = text(X_NONCE)?;
        let signature = only_one(headers, &X_SIGNATURE)?.as_bytes();
        let well_formed = (8..=64).contains(&nonce.len())
            && nonce.bytes().all(|byte| byte.is_ascii_graphic())
            && !signature.is_empty();
        let sent_at = Timestamp::from_millis(digits(timestamp)?.parse().ok()?);
        well_formed.then_some(Self { timestamp, sent_at, nonce, signature })
    }

    /// Whether it was made near `now`.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        is_fresh(self.sent_at, now)
    }

    /// 8-64 visible characters.
    pub fn nonce(&self) -> &'a str {
        self.nonce
    }

    /// Whether one of `keys` has signed the request with that head and body.
    pub fn is_signed_by(&self, keys: &[SigningKey], head: &Parts, body: &[u8]) -> bool {
        let content = SignedContent {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            timestamp: self.timestamp,
            nonce: self.nonce,
            body,
        };
        content.is_signed_by(keys, self.signature)
    }
}

/// The law: a check that could not be made is 429 or 503, whatever went wrong behind it.
pub fn check_not_made(error: PublicError) -> PublicError {
    match StatusCode::from_u16(error.http_status()) {
        Ok(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => error,
        _ => PublicError::unavailable(error.retry_after.unwrap_or(DEFAULT_RETRY_AFTER)),
    }
}

/// A number has one spelling: no sign, no leading zero.
pub(super) fn digits(text: &str) -> Option<&str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then_some(text)
}

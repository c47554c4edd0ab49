//! `POST /v1/partner/{partner}/events`: a partner pushes events.
//!
//! 202 means that every event it counts is durable. When that can't be said the answer is 429 or 503 with a time to come
//! again, and nothing counts as taken.

use std::sync::Arc;

use common::{
    error_code::{ErrorCode, PublicError},
    http::{Accepted, ApiError, UnreadRequest, only_one},
};
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use ingest::{Receipt, RefusedEvent};
use serde::Serialize;
use utoipa::ToSchema;
use volo_http::utils::Extension;

use super::name::NameInPath;
use crate::{
    partners::{
        signing::Md5Over,
        store::{Encoding, nothing_taken, reason},
    },
    state::Gateway,
};

/// The types that JSON and lines of JSON have.
const CONTENT_TYPES: [&str; 5] =
    ["application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"];

/// An event, or an array of events: JSON objects of any members. `event_id` makes it safe to push one again.
#[derive(ToSchema)]
#[schema(as = PartnerEvent, value_type = Object, example = json!({"event_id": "e-1", "kind": "install"}))]
struct Event(());

/// Events, one JSON object a line.
#[derive(ToSchema)]
#[schema(as = PartnerEventLines, value_type = String, example = "{\"event_id\":\"e-1\"}\n{\"event_id\":\"e-2\"}\n")]
struct EventLines(());

/// What became of the events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PushEventsAnswer)]
pub(crate) struct Answer {
    /// Events that are stored now.
    accepted: usize,
    /// Events whose `event_id` was stored before: they are not stored twice.
    duplicates: usize,
    /// Events that can't be stored, however often they come. The others are.
    refused: Vec<Refused>,
}

/// An event that can't be stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RefusedEvent)]
pub(crate) struct Refused {
    /// Its place in the push, counted from 0; blank lines don't count.
    index: usize,
    #[schema(value_type = String, example = "malformed")]
    reason: &'static str,
}

/// Takes events: one JSON object, an array of them, or one a line (NDJSON), plain or as gzip.
///
/// Signed as the partner is configured: `hmac` like the requests of game servers, with `X-Partner-Id` in the place of
/// `X-App-Id`; `md5-sorted` with `X-Signature` = hex MD5(body + secret); or not at all. A member `event_id` of an event
/// (1-128 visible characters, or an integer) makes it safe to push it again. 400 when no event could be taken.
#[utoipa::path(post, path = "/v1/partner/{partner}/events", operation_id = "push_events", tag = "Partners", security(("partner" = []), ()), params(("partner" = String, Path)),
    request_body(content((Event = "application/json"), (EventLines = "application/x-ndjson")), description = "Events; with `Content-Encoding: gzip` if they are compressed."),
    responses((status = 202, body = Answer, description = "Every event that is counted is durable.")))]
pub(crate) async fn push_events(
    Extension(gateway): Extension<Arc<Gateway>>,
    NameInPath(name): NameInPath,
    request: UnreadRequest,
) -> Result<Accepted<Answer>, ApiError> {
    let door = gateway.partner_door()?;
    let encoding = encoding(&request.head.headers)?;
    require_events(&request.head.headers)?;
    let admitted = door.admit(&name, request, encoding, Md5Over::Body, gateway.clock.now()).await?;
    let events = door.events.read(admitted.body.clone(), encoding).await?;
    let receipt = door.events.store(&admitted.partner, events).await?;
    if receipt.accepted + receipt.duplicates == 0 {
        return Err(ApiError(nothing_taken(&receipt)));
    }
    Ok(Accepted(Answer::from(receipt)))
}

impl From<Receipt> for Answer {
    fn from(Receipt { accepted, duplicates, refused }: Receipt) -> Self {
        let told = |RefusedEvent { index, reason: refusal }| Refused { index, reason: reason(refusal) };
        Self { accepted, duplicates, refused: refused.into_iter().map(told).collect() }
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, PublicError> {
    if !headers.contains_key(CONTENT_ENCODING) {
        return Ok(Encoding::Plain);
    }
    // Two of them would be one inside of the other.
    match only_one(headers, &CONTENT_ENCODING).map(|encoding| encoding.as_bytes().to_ascii_lowercase()).as_deref() {
        Some(b"identity") => Ok(Encoding::Plain),
        Some(b"gzip" | b"x-gzip") => Ok(Encoding::Gzip),
        _ => Err(PublicError::new(ErrorCode::UNSUPPORTED_MEDIA_TYPE)),
    }
}

fn require_events(headers: &HeaderMap) -> Result<(), PublicError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    match CONTENT_TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known)) {
        true => Ok(()),
        false => Err(PublicError::new(ErrorCode::UNSUPPORTED_MEDIA_TYPE)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: &http::HeaderName, values: &[&'static str]) -> HeaderMap {
        HeaderMap::from_iter(values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))))
    }

    #[test]
    fn events_come_plain_or_as_gzip_and_as_nothing_else() {
        let encoding = |values: &[&'static str]| encoding(&with(&CONTENT_ENCODING, values)).map_err(|error| error.code);
        for (values, expected) in [
            (&[][..], Ok(Encoding::Plain)),
            (&["identity"], Ok(Encoding::Plain)),
            (&["gzip"], Ok(Encoding::Gzip)),
            (&["GZIP"], Ok(Encoding::Gzip)),
            (&["br"], Err(ErrorCode::UNSUPPORTED_MEDIA_TYPE)),
            (&["gzip, gzip"], Err(ErrorCode::UNSUPPORTED_MEDIA_TYPE)),
            (&["gzip", "gzip"], Err(ErrorCode::UNSUPPORTED_MEDIA_TYPE)),
        ] {
            assert_eq!(encoding(values), expected, "{values:?}");
        }
    }

    #[test]
    fn a_body_says_that_it_is_json_or_lines_of_it() {
        let accepted = |value: &'static str| require_events(&with(&CONTENT_TYPE, &[value])).is_ok();
        for good in
            ["application/json", "application/x-ndjson", "Application/JSON; charset=utf-8", "application/ndjson"]
        {
            assert!(accepted(good), "{good}");
        }
        for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            assert!(!accepted(bad), "{bad}");
        }
        assert!(require_events(&HeaderMap::new()).is_err());
    }
}

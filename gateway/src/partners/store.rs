//! What partners push into: bodies become events, and events become durable.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use common::{
    context::RequestContext,
    error_code::{ErrorCode, PublicError},
};
use ingest::{
    DeadConfig, Ingest, IngestConfig, IngestError, LimitsConfig, Push, Receipt,
    parse::{self, BodyError, Events, InflateError, Refusal},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Partner;

/// Bodies up to here are read where they come in: it takes less than to hand them to another thread.
const SMALL_BODY: usize = 64 << 10;

/// The same for gzip, of which nobody knows before how much there is in it.
const SMALL_GZIP: usize = 2 << 10;

/// What partners send becomes about so many times its size when it is inflated.
const TYPICAL_RATIO: usize = 20;

/// What is set aside for a body that does not say how long it is.
const UNDECLARED_BODY: usize = 1 << 20;

/// Bodies up to here are read without room that is set aside: whoever fills that with large ones keeps nobody from pushing
/// single events.
const FREE_BODY: usize = 256 << 10;

/// Room is counted in pieces of so many bytes.
const PIECE: usize = 1024;

/// When to come again while there is no room for a body: others leave within moments.
const ROOM_AFTER: Duration = Duration::from_secs(1);

/// The store of events of this process, and what it takes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventStore {
    ingest: Ingest,
    limits: LimitsConfig,
    dead: DeadConfig,
    /// For large bodies that are being read.
    room: Arc<Semaphore>,
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Plain,
    Gzip,
}

/// Room for a body, until this goes.
#[derive(Debug)]
pub(crate) struct Room(#[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>);

impl EventStore {
    /// What was opened as `config` says. Large bodies that are read at the same time take about `bodies_in_flight` bytes.
    pub fn new(ingest: Ingest, config: &IngestConfig, bodies_in_flight: usize) -> Self {
        let pieces = (bodies_in_flight / PIECE).clamp(1, Semaphore::MAX_PERMITS);
        Self { ingest, limits: config.limits, dead: config.dead, room: Arc::new(Semaphore::new(pieces)) }
    }

    /// Bytes of a body on the wire at most.
    pub fn longest_body(&self) -> usize {
        self.limits.inflated_bytes_max.get().max(self.limits.compressed_bytes_max.get())
    }

    /// Room for a body that says to be so long. Refused when too many are being read: memory is not without limit.
    pub(crate) fn room_for(&self, declared: Option<u64>, encoding: Encoding) -> Result<Room, PublicError> {
        let declared = declared.map_or(UNDECLARED_BODY, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        let bytes = match encoding {
            Encoding::Plain => declared,
            Encoding::Gzip => declared.saturating_mul(TYPICAL_RATIO).min(self.limits.inflated_bytes_max.get()),
        };
        if bytes <= FREE_BODY {
            return Ok(Room(None));
        }
        let pieces = u32::try_from(bytes.div_ceil(PIECE)).unwrap_or(u32::MAX);
        match Arc::clone(&self.room).try_acquire_many_owned(pieces) {
            Ok(permit) => Ok(Room(Some(permit))),
            Err(_) => Err(PublicError::new(ErrorCode::OVERLOADED).retry_after(ROOM_AFTER)),
        }
    }

    /// The events in a body of JSON or NDJSON.
    pub(crate) async fn read(&self, body: Bytes, encoding: Encoding) -> Result<Events, PublicError> {
        let (limits, dead) = (self.limits, self.dead);
        let is_small = body.len() <= if encoding == Encoding::Gzip { SMALL_GZIP } else { SMALL_BODY };
        let read = move || match encoding {
            Encoding::Plain => parse::json_or_ndjson(&body, &limits, &dead).map_err(no_push),
            Encoding::Gzip => {
                let body = parse::inflate_gzip(&body, &limits).map_err(not_inflated)?;
                parse::json_or_ndjson(&body, &limits, &dead).map_err(no_push)
            }
        };
        if is_small {
            return read();
        }
        match tokio::task::spawn_blocking(read).await {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(%error, "a body of events could not be read");
                Err(PublicError::internal())
            }
        }
    }

    /// The event in a query or form.
    pub(crate) fn read_form(&self, encoded: &str) -> Result<Events, PublicError> {
        parse::form(encoded.as_bytes(), &self.limits, &self.dead).map_err(no_push)
    }

    /// Makes events durable. An error: nothing of the push counts as taken.
    pub(crate) async fn store(&self, partner: &Partner, events: Events) -> Result<Receipt, PublicError> {
        let digits = RequestContext::current().map(|context| context.trace_id.hex_digits());
        let request_id = digits.map(|digits| String::from_utf8_lossy(&digits).into_owned()).unwrap_or_default();
        let push = Push { partner: partner.name.clone(), limits: partner.limits, request_id, events };
        self.ingest.accept(push).await.map_err(not_taken)
    }
}

/// Why an event was refused, as partners are told.
pub(crate) fn reason(refusal: Refusal) -> &'static str {
    refusal.label()
}

/// A push of which nothing could be taken.
pub(crate) fn nothing_taken(receipt: &Receipt) -> PublicError {
    /// More would only repeat itself.
    const TOLD: usize = 10;
    let is_malformed = receipt.refused.iter().any(|refused| refused.reason == Refusal::Malformed);
    let code = if is_malformed { ErrorCode::MALFORMED_BODY } else { ErrorCode::INVALID_ARGUMENT };
    receipt.refused.iter().take(TOLD).fold(PublicError::new(code), |error, refused| {
        error.detail(format!("events[{}]", refused.index), reason(refused.reason))
    })
}

fn no_push(error: BodyError) -> PublicError {
    match error {
        BodyError::Empty => PublicError::invalid("body", "holds no event"),
        BodyError::TooManyEvents { max } => too_large(format!("more than {max} events")),
        BodyError::Malformed { line, column } => {
            PublicError::new(ErrorCode::MALFORMED_BODY).detail("body", format!("line {line}, column {column}"))
        }
    }
}

fn not_inflated(error: InflateError) -> PublicError {
    match error {
        InflateError::NotGzip => PublicError::new(ErrorCode::MALFORMED_BODY).detail("body", "not gzip, or damaged"),
        InflateError::CompressedTooLarge { .. }
        | InflateError::InflatedTooLarge { .. }
        | InflateError::RatioTooHigh { .. } => too_large(error.to_string()),
    }
}

fn not_taken(error: IngestError) -> PublicError {
    let code = match error {
        IngestError::RateLimited { .. } => ErrorCode::RATE_LIMITED_APP,
        IngestError::Overloaded { .. } => ErrorCode::OVERLOADED,
        IngestError::DiskFull { .. } | IngestError::DiskFailed { .. } | IngestError::Slow { .. } => {
            ErrorCode::DEPENDENCY_UNAVAILABLE
        }
        IngestError::TooLarge => return too_large("a smaller push can be taken"),
        IngestError::ShuttingDown => ErrorCode::SHUTTING_DOWN,
    };
    let public = match error {
        IngestError::RateLimited { .. } => PublicError::new(code).message("the partner pushes faster than it may"),
        _ => PublicError::new(code),
    };
    match error.retry_after() {
        Some(after) => public.retry_after(after),
        None => public,
    }
}

fn too_large(reason: impl Into<volo::FastStr>) -> PublicError {
    PublicError::new(ErrorCode::BODY_TOO_LARGE).detail("body", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(3);

    #[test]
    fn whatever_was_not_taken_says_when_to_come_again_and_never_that_it_was() {
        for (error, code) in [
            (IngestError::RateLimited { retry_after: AFTER }, 4_290_003),
            (IngestError::Overloaded { retry_after: AFTER }, 5_030_001),
            (IngestError::DiskFull { retry_after: AFTER }, 5_030_002),
            (IngestError::DiskFailed { retry_after: AFTER }, 5_030_002),
            (IngestError::Slow { retry_after: AFTER }, 5_030_002),
        ] {
            let public = not_taken(error);
            assert_eq!((public.code.inner(), public.retry_after), (code, Some(AFTER)), "{error:?}");
        }
        assert_eq!(not_taken(IngestError::ShuttingDown).code, ErrorCode::SHUTTING_DOWN);
        assert_eq!(not_taken(IngestError::TooLarge).code, ErrorCode::BODY_TOO_LARGE);
    }

    #[test]
    fn a_bomb_is_too_large_and_nonsense_is_malformed() {
        for error in [
            InflateError::RatioTooHigh { max: 100 },
            InflateError::InflatedTooLarge { max: 1 },
            InflateError::CompressedTooLarge { max: 1 },
        ] {
            assert_eq!(not_inflated(error).code, ErrorCode::BODY_TOO_LARGE, "{error}");
        }
        assert_eq!(not_inflated(InflateError::NotGzip).code, ErrorCode::MALFORMED_BODY);
        assert_eq!(no_push(BodyError::TooManyEvents { max: 1 }).code, ErrorCode::BODY_TOO_LARGE);
        let malformed = no_push(BodyError::Malformed { line: 2, column: 7 });
        assert_eq!((malformed.code, &*malformed.details[0].1), (ErrorCode::MALFORMED_BODY, "line 2, column 7"));
    }
}

//! What travels with a request through every hop: its trace, and how long its caller still waits.
//!
//! The context is task-local. The HTTP edge opens it, the RPC client carries it across (as metainfo on the wire, as a
//! value in process), the RPC server opens it again. Nothing here may decide what a request is *allowed* to do.

use std::{fmt, future::Future, time::Duration};

use govern::lane::LaneName;
use tokio::time::Instant;

use crate::clock::{Random, random_bytes};

/// A W3C trace id (128 bits), which is also the request id that clients see as 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// A new id. The specification forbids the all-zero id.
    pub fn new(random: &dyn Random) -> Self {
        Self(u128::from_ne_bytes(random_bytes(random)).max(1))
    }

    /// From its number; `None` for the forbidden zero.
    pub fn from_u128(id: u128) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }

    /// As a number.
    pub fn as_u128(self) -> u128 {
        self.0
    }

    /// As the 32 lower-case hex digits that clients see.
    pub fn hex_digits(self) -> [u8; 32] {
        hex_digits(self.0)
    }

    /// The id of the outermost span of a trace that begins here. A span id needs to be unique in its trace only.
    pub fn first_span(self) -> u64 {
        u64::try_from(self.0 & u128::from(u64::MAX)).unwrap_or(u64::MAX).max(1)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The context of one request. Small and `Copy`: passing it in process costs nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestContext {
    /// The trace, and the request id.
    pub trace_id: TraceId,
    /// The span that is being worked in, and the parent of those that begin inside it. Never zero, recorded or not: the
    /// W3C header has no way to send a trace without a span.
    pub parent_span: u64,
    /// Decided once, where the request entered: spans are recorded and exported.
    pub sampled: bool,
    /// When the caller stops waiting. Work nobody waits for is dropped.
    pub deadline: Option<Instant>,
    /// Which instances of every service on the way it prefers. None: the base.
    pub lane: Option<LaneName>,
    /// It is asked again, by whoever asks: nobody further down may ask again for it, or the attempts of each hop would
    /// multiply (what Envoy and Finagle call the stop of a chain of retries).
    pub is_repeat: bool,
}

tokio::task_local! {
    static CURRENT: RequestContext;
}

impl RequestContext {
    /// A fresh context for work that nobody outside asked for.
    pub fn root(random: &dyn Random) -> Self {
        let trace_id = TraceId::new(random);
        Self::of_trace(trace_id, trace_id.first_span(), false)
    }

    /// A context of which only the trace is known: no deadline, no lane.
    pub fn of_trace(trace_id: TraceId, parent_span: u64, sampled: bool) -> Self {
        Self { trace_id, parent_span, sampled, deadline: None, lane: None, is_repeat: false }
    }

    /// The context of the request this task works on.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(|current| *current).ok()
    }

    /// Runs `future` with this context.
    pub fn scope<F: Future>(self, future: F) -> tokio::task::futures::TaskLocalFuture<Self, F> {
        CURRENT.scope(self, future)
    }

    /// Runs `poll` with this context: for futures that are polled by hand on the hot path.
    pub fn sync_scope<R>(self, poll: impl FnOnce() -> R) -> R {
        CURRENT.sync_scope(self, poll)
    }

    /// How long the caller still waits; `None` when it set no limit, zero when it has given up.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Whether the request this task works on is one that its caller has given up.
    pub fn nobody_waits() -> bool {
        Self::current().and_then(|current| current.remaining()).is_some_and(|left| left.is_zero())
    }

    /// The same request with at most `budget` left: the nearer of the two deadlines counts.
    #[must_use]
    pub fn within(self, budget: Duration) -> Self {
        let limit = Instant::now() + budget;
        Self { deadline: Some(self.deadline.map_or(limit, |deadline| deadline.min(limit))), ..self }
    }

    /// The W3C `traceparent` header (version 00) of this context.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{:016x}-{:02x}", self.trace_id, self.parent_span, u8::from(self.sampled))
    }

    /// Reads a W3C `traceparent` header: trace id, parent span, sampled. Malformed or all-zero ids give `None`.
    pub fn parse_traceparent(header: &str) -> Option<(TraceId, u64, bool)> {
        let mut parts = header.trim().splitn(4, '-');
        let version = lower_hex(parts.next()?, 2)?;
        let trace = TraceId::from_u128(lower_hex(parts.next()?, 32)?)?;
        let span = u64::try_from(lower_hex(parts.next()?, 16)?).ok().filter(|span| *span != 0)?;
        let rest = parts.next()?;
        // A later version may append fields; version 00 may not, and ff is forbidden.
        let flags = if version == 0 { rest } else { rest.split('-').next()? };
        let flags = lower_hex(flags, 2)?;
        (version != 0xff).then_some((trace, span, flags & 1 == 1))
    }
}

/// A 128-bit number as 32 lower-case hex digits.
pub(crate) fn hex_digits(number: u128) -> [u8; 32] {
    let mut digits = [b'0'; 32];
    // The lengths match, so there is nothing to fail.
    let _ = hex::encode_to_slice(number.to_be_bytes(), &mut digits);
    digits
}

fn lower_hex(text: &str, digits: usize) -> Option<u128> {
    let lower = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (text.len() == digits && lower).then(|| u128::from_str_radix(text, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_a_round_trip_and_a_malformed_one_is_refused() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let (trace_id, parent_span, sampled) = RequestContext::parse_traceparent(header).expect("well formed");
        assert!(sampled);
        assert_eq!(RequestContext::of_trace(trace_id, parent_span, sampled).traceparent(), header);
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(RequestContext::parse_traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_trace_that_begins_here_can_be_sent_on() {
        let context = RequestContext::root(&crate::clock::testing::SeededRandom::new(1));
        let sent = RequestContext::parse_traceparent(&context.traceparent());
        assert_eq!(sent, Some((context.trace_id, context.parent_span, false)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_remaining_time_shrinks_and_never_goes_below_zero() {
        let random = crate::clock::testing::SeededRandom::new(1);
        let mut context = RequestContext::root(&random);
        assert_eq!(context.remaining(), None);
        context.deadline = Some(Instant::now() + Duration::from_millis(100));
        tokio::time::advance(Duration::from_millis(60)).await;
        assert_eq!(context.remaining(), Some(Duration::from_millis(40)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(context.remaining(), Some(Duration::ZERO));
    }
}

//! What the access log is told about a request, and the seam it is told through.
//!
//! Never in here: query strings, headers, bodies, tokens. How a line looks and where it goes is the log's business.

use std::{fmt, net::IpAddr, time::Duration};

use crate::{clock::Timestamp, context::TraceId};

/// One answered request.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When the request's head had been read.
    pub at: Timestamp,
    /// The method as it was sent.
    pub method: &'a str,
    /// The route's pattern, `unmatched` when no route took the path.
    pub route: &'a str,
    /// The path as it was sent, without its query.
    pub path: &'a str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// The seven-digit code of the answer.
    pub code: i32,
    /// From the end of the request's head to the start of the answer.
    pub duration: Duration,
    /// Bytes of the answer's body; zero for a stream of unknown length.
    pub bytes_out: u64,
    /// Who asked, see [`ClientAddress`](super::ClientAddress).
    pub client: Option<IpAddr>,
    /// The trace, and the request id the client was told.
    pub trace_id: TraceId,
}

/// Takes one record per answered request. Called on the async threads: an implementation only copies the record into
/// memory and returns.
pub trait AccessLog: Send + Sync + fmt::Debug {
    /// Takes the record of a request that has just been answered.
    fn record(&self, record: &AccessRecord<'_>);
}

//! The HTTP edge: everything between a socket and a handler, and nothing that knows what a handler does.
//!
//! In reading order:
//! - [`stack`]: the order of everything around a handler, with a reason per line. Start there.
//! - [`edge`]: sockets and connections: accept loop, caps, timeouts, drain.
//! - [`front`]: the outermost layer of a request: identity, deadline, panic, metrics, access log.
//! - [`access`]: what the access log is told about a request.
//! - [`client_address`]: who asked, through trusted proxies only.
//! - [`caller_budget`]: how long a caller of our own still waits.
//! - [`lanes`]: which lane a request goes to.
//! - [`edge_limits`]: limits that need nothing but the head; [`route_class`]: and the class that a path belongs to.
//! - [`body_limit`]: no body is larger than the limit, declared or not.
//! - [`routes`]: the only way to add routes: 404 and 405 answer in the envelope.
//! - [`envelope`]: the form of every JSON answer.
//! - [`extract`]: what handlers take: JSON, query, bearer token, signed request.
//! - [`signing`]: the request signature, pure.
//! - [`client`]: what the platform calls outside itself.

mod access;
mod body_limit;
mod caller_budget;
pub mod client;
mod client_address;
pub mod edge;
mod edge_limits;
mod envelope;
mod extract;
mod front;
mod lanes;
mod request_metrics;
mod request_span;
mod route_class;
mod routes;
mod signing;
mod stack;
mod trace_ids;

#[cfg(test)]
mod tests;

pub use self::{
    access::{AccessLog, AccessRecord},
    body_limit::{BodyLimit, LargerBodies},
    client_address::{ClientAddress, TrustedNetworks},
    edge_limits::EdgeLimits,
    envelope::{Accepted, ApiError, Envelope, retry_after_header, set_rate_limit},
    extract::{
        AppCredentials, AppSecrets, Bearer, Form, Json, NonceStore, OptionalJson, Path, Query, RawRequest,
        SignatureChecks, SignatureClaim, Signed, SignedApp, SignedOnce, UnreadBody, UnreadRequest, bearer_token,
        check_not_made, only_one,
    },
    front::Front,
    lanes::AccountOfRequest,
    route_class::RouteClasses,
    routes::{Classed, Endpoint, Routes, classed},
    signing::{CLOCK_WINDOW, SignedContent, SigningKey},
    stack::{HttpParts, HttpStack, http_stack},
};

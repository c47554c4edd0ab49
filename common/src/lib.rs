//! What every role shares, and nothing that only one of them needs.
//!
//! Services and the gateway depend on this crate and on `idl`, never on each other. What keeps a process standing in a
//! flood is decided by the pure rules of `common/govern`, which this crate wires.
//!
//! In reading order:
//! - [`clock`]: time and randomness, passed in.
//! - [`error_code`]: what goes wrong, as callers see it; the only table code → HTTP → retry.
//! - [`field`]: a field that was refused, and why.
//! - [`context`]: what travels with a request: trace, deadline and lane.
//! - [`governance`]: the rules that requests and calls are governed by, changed while the process runs.
//! - [`config`]: layered configuration, sections, validation, redacted print.
//! - [`mod@crash_point`]: places where a test can have a process die; nothing in a build that is shipped.
//! - [`events`]: the platform's own events for a data warehouse, from the transaction of a fact to whoever carries them on.
//! - [`lifecycle`]: signals, drain, tracked tasks, readiness.
//! - [`maintenance`]: how a sign-in is refused while a game is under maintenance.
//! - [`telemetry`]: logs, the access log, metrics, traces, the operator listener.
//! - [`tls`]: whom connections that this process opens trust.
//! - [`http`]: the edge: accept loop, client address, envelope, extractors, request signing.
//! - [`rpc`]: client and server suites, the wire and the in-process transport.
//! - [`discovery`]: where the instances of a role are.
//! - [`sql`]: one layer over MySQL and SQLite.
//! - [`shared`]: counters, once-only keys and limits that replicas share.
//! - [`token`]: how an access token is made, opened and judged.

pub mod clock;
pub mod config;
pub mod context;
pub mod crash_point;
pub mod discovery;
pub mod error_code;
pub mod events;
pub mod field;
pub mod governance;
pub mod http;
mod late_timer;
pub mod lifecycle;
pub mod maintenance;
pub mod rpc;
pub mod sequence;
pub mod shared;
pub mod sql;
pub mod telemetry;
mod tls;
pub mod token;

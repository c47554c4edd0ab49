//! Traces: what happened in one request, hop by hop, as OpenTelemetry spans sent to a collector.
//!
//! Nothing here may slow a request down or fail it. Whether a request is traced is decided where it enters, before any
//! span exists; a request that is not pays a look at its context. A span that finds no room is dropped and counted.
//! Never in a span: values of SQL statements, bodies, tokens, passwords, phone numbers.
//!
//! In reading order:
//! - `config`: the `[otlp]` section.
//! - `description`: what a span says.
//! - `span`: a span that is open: how code records one.
//! - `recorder`: which spans are kept, and the queue they wait in. One per process, like the log.
//! - `wall_time`: what time it was when a span began.
//! - `export`: the task that sends them.
//! - `start`: putting it together.
//!
//! Which span is whose child is known from [`RequestContext::parent_span`](crate::context::RequestContext), which
//! travels with the request through tasks and over the wire.

mod config;
mod description;
mod export;
mod recorder;
mod span;
mod start;
#[cfg(test)]
pub(crate) mod testing;
mod wall_time;

pub(crate) use self::span::{Entry, child, enter, request, sampled};
pub use self::{
    config::OtlpConfig,
    description::Description,
    span::{Span, leaf},
    start::{TraceError, TraceParts, start},
};

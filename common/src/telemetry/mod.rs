//! What the process says about itself: logs, the access log, metrics, the operator listener.
//!
//! Nothing here may slow a request down or fail it: a log line that finds no room is dropped and counted, a scrape
//! runs beside the async threads, a broken destination costs lines and nothing else.
//!
//! In reading order:
//! - `config`: the `[log]` section.
//! - `lines`: the buffer that every log line goes through, and the thread that writes it out.
//! - `text`: how values become JSON or one line of plain text.
//! - `level`: how much the process log says, and changing it while the process runs.
//! - `dynamic`: the document that changes it for a whole fleet.
//! - `log`: the process log, and the start of both logs.
//! - `access_log`: one line per HTTP answer.
//! - `build_info`: which build this is.
//! - `metrics`: the registry and what the process itself measures.
//! - [`trace`]: what happened in one request, sent to an OpenTelemetry collector.
//! - `operator`: `/metrics`, `/healthz`, `/readyz`, `/version`.

mod access_log;
mod build_info;
mod config;
mod dynamic;
mod level;
mod lines;
mod log;
mod metrics;
pub mod operator;
mod text;
pub mod trace;

pub use self::{
    access_log::AccessLogWriter,
    build_info::BuildInfo,
    config::{LogConfig, LogFormat},
    dynamic::{LOG_DOCUMENT, LogDocument, follow_level},
    level::{LevelError, LevelHandle},
    log::{LogError, LogGuard, init},
    metrics::{encode, new_registry, observe_runtime},
    trace::OtlpConfig,
};

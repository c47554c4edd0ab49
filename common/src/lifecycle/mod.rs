//! How a process starts to serve, notices that a part of it died, and ends without losing a request.
//!
//! One [`Lifecycle`] per process. The order of an end is written in [`Lifecycle::run`] and nowhere else:
//! readiness false → keep serving for `drain_delay` → stop accepting → finish what is in flight, up to
//! `drain_timeout` → flush → exit. Nothing here knows what is served or stored.

mod background;
mod config;
mod context;
mod exit;
mod flush;
mod readiness;
mod run;
mod signals;
mod task;

pub use self::{
    background::BackgroundFailure,
    config::{DEVELOPMENT_DRAIN_DELAY, LifecycleConfig, PRODUCTION_DRAIN_DELAY, Timing},
    context::{RequestTasks, spawn_in_context},
    exit::{EXIT_DATA, EXIT_DIFFERS, EXIT_SOFTWARE, EXIT_USAGE, ExitStatus},
    readiness::{Gate, Readiness, ReadinessReport},
    run::Lifecycle,
    signals::{Signal, Signals, StopRequests, Trigger},
    task::{BackgroundTask, StepOutcome},
};

//! The layers of the two suites, one concern per file. Their order, with its reasons, is in `client.rs` and `server.rs`.

mod adopt_context;
mod catch_panic;
mod client_deadline;
mod client_metrics;
mod client_trace;
mod propagate_context;
mod seal;
mod server_deadline;
mod server_metrics;
mod server_trace;
mod shed;
mod unbox;

pub(super) use self::{
    adopt_context::AdoptContext, catch_panic::CatchPanic, client_deadline::ClientDeadline, client_metrics::ClientCalls,
    client_trace::ClientTrace, propagate_context::PropagateContext, seal::Seal, server_deadline::ServerDeadline,
    server_metrics::ServerCalls, server_trace::ServerTrace, shed::Shed, unbox::Unbox,
};

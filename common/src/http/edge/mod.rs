//! Sockets and connections: what happens before a request exists and after its answer.
//!
//! volo-http's own server reads heads without a time limit, has no cap on connections, spins on accept errors and
//! awaits TLS handshakes inside its accept loop, so the loop is ours; the service inside is any volo-http service.
//! Nothing here looks into a request beyond what keeps the connection healthy.
//!
//! In reading order:
//! - [`config`]: every limit and timeout, and what each protects.
//! - [`listener`]: TCP and unix sockets: bind, accept, close.
//! - [`server`]: the accept loops and the drain.
//! - [`backoff`]: patience when accepting fails.
//! - [`admission`]: how many connections, in all and per address.
//! - [`connection`]: one connection from its first byte to its last.
//! - [`request`]: one request between hyper and the service.
//! - [`stream`]: the timeouts that live below HTTP.
//! - [`metrics`]: what is counted about connections.

mod admission;
mod backoff;
mod config;
mod connection;
mod listener;
mod metrics;
mod request;
mod server;
mod stream;

pub use self::{
    config::EdgeConfig,
    listener::{ListenError, Listener},
    metrics::EdgeMetrics,
    server::serve,
};

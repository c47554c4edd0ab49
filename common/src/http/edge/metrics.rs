//! What is counted about connections. Requests are counted by the front layer.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The collectors of one listener.
#[derive(Clone, Debug)]
pub struct EdgeMetrics {
    /// Connections that were let in.
    pub(super) accepted: IntCounter,
    /// Connections that are open.
    pub(super) open: IntGauge,
    /// Connections that were closed at once, because their address had too many.
    pub(super) refused: IntCounter,
    /// Failures of accepting that were followed by a pause.
    pub(super) accept_errors: IntCounter,
    /// Connections cut because a head took too long.
    pub(super) slow_heads: IntCounter,
    /// Connections closed because no request came.
    pub(super) idle: IntCounter,
    /// Connections cut because the client did not take its answer.
    pub(super) slow_readers: IntCounter,
    /// Connections that ended with any other error: malformed heads, resets.
    pub(super) errors: IntCounter,
    /// Connections cut at the end of the drain, with a request in flight.
    pub(super) forced: IntCounter,
}

impl EdgeMetrics {
    /// Registers the collectors; `listener` (`public`, `operator`) tells several edges of one process apart.
    ///
    /// # Errors
    /// When the registry already has an edge of that name.
    pub fn register(registry: &Registry, listener: &'static str) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_label("listener", listener);
        let counter = |name: &str, help: &str| {
            let counter = IntCounter::with_opts(opts(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let open = IntGauge::with_opts(opts("playgate_http_connections_open", "Connections that are open"))?;
        registry.register(Box::new(open.clone()))?;
        let closed = IntCounterVec::new(
            opts("playgate_http_connections_cut_total", "Connections the edge ended, by reason"),
            &["reason"],
        )?;
        registry.register(Box::new(closed.clone()))?;
        Ok(Self {
            accepted: counter("playgate_http_connections_accepted_total", "Connections that were let in")?,
            open,
            refused: counter("playgate_http_connections_refused_total", "Connections over the cap of their address")?,
            accept_errors: counter("playgate_http_accept_errors_total", "Failures of accepting connections")?,
            slow_heads: closed.with_label_values(&["slow_head"]),
            idle: closed.with_label_values(&["idle"]),
            slow_readers: closed.with_label_values(&["slow_reader"]),
            errors: closed.with_label_values(&["error"]),
            forced: closed.with_label_values(&["drain_timeout"]),
        })
    }
}

//! One connection from its first byte to its last.

use std::{convert::Infallible, error::Error, io, pin::pin, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use motore::Service;
use prometheus::IntGauge;
use tokio::time::timeout;
use volo_http::{context::ServerContext, request::Request, server::IntoResponse};

use super::{
    admission::Admitted,
    listener::Accepted,
    request::RequestService,
    server::Edge,
    stream::{ConnectionState, GuardedStream, Patience, Stall},
};

/// How long a client whose request was refused half-read may go on sending. Enough for it to see the answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves one connection. Ends by itself when the client is done or a timeout strikes, and within the drain's limits
/// once the edge stops.
pub(super) async fn serve_connection<S>(edge: Arc<Edge<S>>, accepted: Accepted, _admitted: Admitted)
where
    S: Service<ServerContext, Request, Error = Infallible> + Send + Sync + 'static,
    S::Response: IntoResponse,
{
    let _open = Open::new(&edge.metrics.open);
    // The TLS handshake joins here, under `header_timeout`: on the connection's own task, so that a client that stalls
    // in it delays nobody else.
    let state = Arc::new(ConnectionState::default());
    let patience = Patience { head: edge.config.header_timeout, write: edge.config.write_timeout, farewell: FAREWELL };
    let stream = GuardedStream::new(accepted.stream, Arc::clone(&state), patience);
    let service = RequestService::new(Arc::clone(&edge), accepted.peer, state);
    let mut connection = pin!(edge.http.serve_connection(TokioIo::new(stream), service));

    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = edge.stopping.cancelled() => {
            // Answers say `Connection: close` by now, so a connection that is busy, or was accepted a moment ago, ends
            // by itself. What is left after the linger is idle; closing it sooner would lose requests under way.
            match timeout(edge.config.drain_linger, connection.as_mut()).await {
                Ok(ended) => Some(ended),
                Err(_) => {
                    connection.as_mut().graceful_shutdown();
                    timeout(edge.config.drain_timeout, connection.as_mut()).await.ok()
                }
            }
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => count_failure(&edge, &error),
        None => {
            edge.metrics.forced.inc();
            tracing::warn!("a connection was cut with a request in flight: the drain timeout is over");
        }
    }
}

/// A connection's failure is the client's doing or the network's: counted, and told only to whoever debugs.
fn count_failure<S>(edge: &Edge<S>, error: &hyper::Error) {
    let metrics = &edge.metrics;
    let counter = match stall_of(error) {
        Some(Stall::Head) => &metrics.slow_heads,
        Some(Stall::Write) => &metrics.slow_readers,
        None if error.is_timeout() => &metrics.idle,
        None => &metrics.errors,
    };
    counter.inc();
    tracing::debug!(%error, "a connection failed");
}

fn stall_of(error: &hyper::Error) -> Option<Stall> {
    let error = error.source()?.downcast_ref::<io::Error>()?;
    error.get_ref()?.downcast_ref().copied()
}

/// Counts a connection as open while it lives, however it ends.
struct Open<'a>(&'a IntGauge);

impl<'a> Open<'a> {
    fn new(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

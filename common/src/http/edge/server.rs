//! The accept loops and the drain.
//!
//! The end has two steps. *Draining*: still accepting, but every answer says `Connection: close`, so that clients move
//! to another instance with nothing lost. *Stopping*: no new connections; what waits in the kernel's queue is still
//! taken, requests in flight are finished, idle connections are closed.

use std::{
    convert::Infallible,
    panic,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use hyper::server::conn::http1;
use hyper_util::rt::TokioTimer;
use motore::Service;
use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use volo_http::{context::ServerContext, request::Request, server::IntoResponse};

use super::{
    EdgeConfig, EdgeMetrics, Listener, admission::Admission, backoff::accept_patiently, connection::serve_connection,
    listener::Accepted,
};
use crate::{http::TrustedNetworks, lifecycle::Signals};

/// What all connections of an edge share.
pub(super) struct Edge<S> {
    pub(super) service: S,
    pub(super) http: http1::Builder,
    pub(super) config: EdgeConfig,
    pub(super) metrics: EdgeMetrics,
    /// A flag and not the token: it is read once per answer, and looking at a token takes a lock.
    pub(super) draining: AtomicBool,
    pub(super) stopping: CancellationToken,
    admission: Admission,
    connections: TaskTracker,
}

/// Serves `service` on all `listeners` until [`Signals::stopping`], and returns when every connection has ended,
/// at the latest `drain_linger` + `drain_timeout` later.
///
/// # Panics
/// When an accept loop panics: a process that has silently stopped accepting is worse than one that restarts.
pub async fn serve<S>(listeners: Vec<Listener>, service: S, config: EdgeConfig, signals: Signals, metrics: EdgeMetrics)
where
    S: Service<ServerContext, Request, Error = Infallible> + Send + Sync + 'static,
    S::Response: IntoResponse,
{
    let edge = Arc::new(Edge::new(service, config, signals.stopping.clone(), metrics));
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept_loop(Arc::clone(&edge), listener));
    }
    let announce = async {
        tokio::select! {
            () = signals.draining.cancelled() => {}
            () = signals.stopping.cancelled() => {}
        }
        edge.draining.store(true, Ordering::Relaxed);
    };
    let accept = async {
        while let Some(ended) = loops.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                panic::resume_unwind(error.into_panic());
            }
        }
    };
    tokio::join!(announce, accept);
    edge.connections.close();
    edge.connections.wait().await;
}

impl<S> Edge<S> {
    fn new(service: S, config: EdgeConfig, stopping: CancellationToken, metrics: EdgeMetrics) -> Self {
        let trusted = TrustedNetworks::new(&config.trusted_proxies);
        let mut http = http1::Builder::new();
        // hyper starts this clock when it waits for a head, so it is the idle time; the head itself is timed by the
        // stream below. The number of headers stays at hyper's 100, which it holds without an allocation.
        http.timer(TokioTimer::new())
            .header_read_timeout(config.idle_timeout)
            .max_header_size(config.header_limit)
            .max_buf_size(config.header_limit);
        Self {
            service,
            http,
            admission: Admission::new(config.max_connections, config.max_connections_per_address, trusted),
            config,
            metrics,
            draining: AtomicBool::new(false),
            stopping,
            connections: TaskTracker::new(),
        }
    }
}

async fn accept_loop<S>(edge: Arc<Edge<S>>, listener: Listener)
where
    S: Service<ServerContext, Request, Error = Infallible> + Send + Sync + 'static,
    S::Response: IntoResponse,
{
    loop {
        tokio::select! {
            biased;
            () = edge.stopping.cancelled() => break,
            (slot, accepted) = accept_next(&edge, &listener) => start_connection(&edge, slot, accepted),
        }
    }
    let queue = match listener.close() {
        Ok(queue) => queue,
        Err(error) => {
            tracing::warn!(%error, "the accept queue could not be taken over; its connections are reset");
            return;
        }
    };
    for accepted in queue {
        let Some(slot) = edge.admission.free_slot() else { break };
        start_connection(&edge, slot, accepted);
    }
}

/// The next connection and its slot. The slot comes first: what exceeds the cap waits in the kernel's queue.
async fn accept_next<S>(edge: &Edge<S>, listener: &Listener) -> (OwnedSemaphorePermit, Accepted) {
    let slot = edge.admission.slot().await;
    (slot, accept_patiently(|| listener.accept(), &edge.metrics.accept_errors).await)
}

fn start_connection<S>(edge: &Arc<Edge<S>>, slot: OwnedSemaphorePermit, accepted: Accepted)
where
    S: Service<ServerContext, Request, Error = Infallible> + Send + Sync + 'static,
    S::Response: IntoResponse,
{
    let Some(admitted) = edge.admission.admit(slot, accepted.peer_ip()) else {
        edge.metrics.refused.inc();
        return;
    };
    edge.metrics.accepted.inc();
    edge.connections.spawn(serve_connection(Arc::clone(edge), accepted, admitted));
}

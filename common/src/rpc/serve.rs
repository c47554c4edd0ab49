//! The wire: accepts connections and answers what comes over them until the process stops.
//!
//! This is our own loop around volo's ping-pong protocol rather than `volo_thrift::Server::run`, for four reasons.
//! `run` listens to SIGINT, SIGTERM and SIGHUP itself and closes the listener on the first, while ours have to keep
//! accepting until discovery has told everybody; a shutdown hook that waits could hold that up, but then its drain
//! takes two fixed seconds more, whatever is open. It knows no limit on connections, and its connection type has no
//! room for a permit. An accept error (no file descriptors left) ends it. And it reserves memory by the peer's word.
//! volo's protocol, codecs and context handling are used as they are.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prometheus::{IntCounter, IntGauge};
use serde::{Deserialize, Serialize};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use volo::net::{Address, conn::OwnedWriteHalf};
use volo_thrift::{codec::MakeCodec, tracing::DefaultProvider, transport::pingpong};

use super::{
    caller::{Caller, CallerReader},
    contract::Contract,
    frame::LimitedCodec,
    layer::AdoptContext,
    server::{ServerStack, StackService},
};
use crate::{
    clock::SharedRandom,
    config::{Invalid, Section},
};

/// After an accept error the loop waits this long, then twice as long with every further error.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(5);

/// The longest wait after accept errors.
const MAX_ACCEPT_BACKOFF: Duration = Duration::from_secs(1);

/// The section `rpc_server`: limits of every RPC server of this process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Connections served at once. Each carries one call at a time. Beyond it new ones wait in the kernel's queue.
    pub max_connections: usize,
    /// The largest request that is read, in bytes. Beyond it the connection is closed before memory is reserved.
    pub max_frame_bytes: usize,
    /// How long a connection may be silent, between requests or within one, before it is closed: frees the place of a
    /// peer that vanished without a word.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// How long connections without a call are kept when the server stops, so that a request on its way to one is
    /// still answered, with the request not to use the connection again.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            max_frame_bytes: 4 * 1024 * 1024,
            idle_timeout: Duration::from_secs(60),
            linger: Duration::from_millis(200),
        }
    }
}

impl Section for ServerConfig {
    const NAME: &'static str = "rpc_server";

    fn validate(&self) -> Result<(), Invalid> {
        if self.max_connections == 0 || self.max_connections > Semaphore::MAX_PERMITS {
            return Err(Invalid::new("max_connections", "must be at least 1 and below 2^61"));
        }
        if self.max_frame_bytes < 1024 {
            return Err(Invalid::new("max_frame_bytes", "must be at least 1024"));
        }
        if self.idle_timeout.is_zero() {
            return Err(Invalid::new("idle_timeout", "must be longer than zero"));
        }
        Ok(())
    }
}

/// Serves `stack` on `listener` until `stopping`, then answers what has arrived and returns when the last connection
/// is closed. How long that may take is the caller's to bound.
///
/// # Errors
/// When the listener can't be taken apart at the end.
pub async fn serve<C: Contract>(
    listener: TcpListener,
    stack: ServerStack<C>,
    config: &ServerConfig,
    stopping: CancellationToken,
) -> io::Result<()> {
    let server = Arc::new(Server::new(&stack, config));
    tokio::select! {
        biased;
        () = stopping.cancelled() => {}
        () = accept(&listener, &server) => {}
    }
    server.last_call.store(true, Ordering::Relaxed);
    // A connection that the kernel has accepted may have a request on it already: closing the listener would lose it.
    let listener = listener.into_std()?;
    while let Ok((socket, _)) = listener.accept() {
        match socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket)) {
            Ok(socket) => server.open(socket, None),
            Err(_) => server.accept_errors.inc(),
        }
    }
    drop(listener);
    tokio::select! {
        () = server.connections.wait() => {}
        () = sleep(config.linger) => server.hang_up.cancel(),
    }
    server.connections.wait().await;
    Ok(())
}

/// Opens every connection that comes. Ends only by being dropped: whatever goes wrong with accepting, it waits and
/// tries again.
async fn accept<C: Contract>(listener: &TcpListener, server: &Arc<Server<C>>) {
    let mut backoff = ACCEPT_BACKOFF;
    // The permit comes first, so that what has no place yet waits in the kernel and costs nothing here.
    while let Ok(permit) = Arc::clone(&server.permits).acquire_owned().await {
        match listener.accept().await {
            Ok((socket, _)) => {
                backoff = ACCEPT_BACKOFF;
                server.open(socket, Some(permit));
            }
            Err(error) => {
                server.accept_errors.inc();
                tracing::warn!(%error, retry_after_ms = backoff.as_millis(), "an RPC connection could not be accepted");
                sleep(backoff).await;
                backoff = (backoff * 2).min(MAX_ACCEPT_BACKOFF);
            }
        }
    }
}

/// What the connections of one server share.
struct Server<C: Contract> {
    service: StackService<C>,
    random: SharedRandom,
    codec: LimitedCodec,
    permits: Arc<Semaphore>,
    connections: TaskTracker,
    /// Set when the server stops: every answer asks the client not to use the connection again.
    last_call: Arc<AtomicBool>,
    /// Closes the connections that wait for a request.
    hang_up: CancellationToken,
    open: IntGauge,
    accept_errors: IntCounter,
}

impl<C: Contract> Server<C> {
    fn new(stack: &ServerStack<C>, config: &ServerConfig) -> Self {
        let metrics = &stack.parts.metrics;
        let connections = TaskTracker::new();
        connections.close();
        Self {
            service: Arc::clone(&stack.service),
            random: Arc::clone(&stack.parts.random),
            codec: LimitedCodec::new(config.max_frame_bytes, Some(config.idle_timeout)),
            permits: Arc::new(Semaphore::new(config.max_connections)),
            connections,
            last_call: Arc::default(),
            hang_up: CancellationToken::new(),
            open: metrics.connections.with_label_values(&[C::SERVICE]),
            accept_errors: metrics.accept_errors.with_label_values(&[C::SERVICE]),
        }
    }

    /// Answers the requests of one connection on a task of its own.
    fn open(self: &Arc<Self>, socket: TcpStream, permit: Option<OwnedSemaphorePermit>) {
        let server = Arc::clone(self);
        self.connections.spawn(async move {
            let _open = Open::new(&server.open);
            server.answer(socket).await;
            drop(permit);
        });
    }

    async fn answer(&self, socket: TcpStream) {
        let peer = socket.peer_addr().ok().map(Address::from);
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, ?peer, "an RPC connection was gone before it was served");
            return;
        }
        let (reader, writer) = socket.into_split();
        let caller = Caller::default();
        let reader = CallerReader::new(reader, &caller);
        let (encoder, decoder) = self.codec.make_codec(reader, OwnedWriteHalf::Tcp(writer));
        let service = AdoptContext::new(Arc::clone(&self.service), Arc::clone(&self.random), caller);
        let hang_up = Notify::new();
        let mut answering = pin!(pingpong::serve(
            encoder,
            decoder,
            hang_up.notified(),
            Arc::clone(&self.last_call),
            &service,
            Arc::from([]),
            peer,
            DefaultProvider,
        ));
        tokio::select! {
            () = &mut answering => {}
            () = self.hang_up.cancelled() => {
                // Heard only between requests: a call that has begun is answered first.
                hang_up.notify_one();
                answering.await;
            }
        }
    }
}

/// Counts a connection for as long as it lives: also when volo's codec panics on it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_connection_outlives_its_clients_patience() {
        let config = ServerConfig::default();
        assert_eq!(config.validate(), Ok(()));
        assert!(config.idle_timeout > crate::rpc::ClientConfig::default().idle_timeout);
    }
}

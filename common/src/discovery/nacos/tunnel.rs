//! TLS under the client library.
//!
//! The library's own is decided when a program is built, for all servers of all programs that come of it, and trusts
//! whom environment variables say. So the library speaks plainly to ports of this process on loopback, one for each
//! server, and what arrives there goes on to the server through TLS: to a server that proves that it has the name in
//! `nacos.server`, or not at all. To read along on loopback takes the rights of whoever may read this process's memory,
//! too; and who connects to these ports gets to Nacos as nobody in particular.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as BlockingListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite, copy, split},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::config::NacosConfig;
use crate::lifecycle::Lifecycle;

/// The library has one connection for each half. More are somebody else's, or are just being closed.
const MOST_CONNECTIONS: usize = 16;

/// The library calls a server's gRPC at its HTTP port plus this.
const OFFSET: u16 = 1000;

/// After the system refused to hand out a connection, such as for a lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// The way to one server.
struct Tunnel {
    /// The server's gRPC port, `host:port`.
    server: String,
    name: ServerName<'static>,
    connector: TlsConnector,
    /// How long it may take until the server has proved who it is.
    limit: Duration,
    /// Whether it did the last time, so that only changes are logged.
    is_trusted: AtomicBool,
}

/// Opens a tunnel to each server. Returns the servers as the library is to be told of them.
pub(super) fn open(config: &NacosConfig, tls: &ClientConfig, lifecycle: &Lifecycle) -> io::Result<Vec<String>> {
    let mut tls = tls.clone();
    // Servers of gRPC insist that it is asked for.
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let connector = TlsConnector::from(Arc::new(tls));
    let mut entrances = Vec::new();
    for server in config.servers() {
        let listener = BlockingListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let entrance = listener.local_addr()?;
        let tunnel = Tunnel::new(server, config, connector.clone())?;
        lifecycle.spawn_background("nacos tls", tunnel.run(TcpListener::from_std(listener)?));
        entrances.push(as_told(entrance)?);
    }
    Ok(entrances)
}

/// The HTTP port that a server has whose gRPC port is this one.
fn as_told(entrance: SocketAddr) -> io::Result<String> {
    let port = entrance.port().checked_sub(OFFSET).ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(SocketAddr::new(entrance.ip(), port).to_string())
}

impl Tunnel {
    fn new(server: &str, config: &NacosConfig, connector: TlsConnector) -> io::Result<Self> {
        let (host, http_port) = server.rsplit_once(':').unwrap_or((server, ""));
        let after_http = || http_port.parse().unwrap_or(0_u16).saturating_add(OFFSET);
        let port = config.grpc_port.unwrap_or_else(after_http);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (server, limit) = (format!("{host}:{port}"), config.request_timeout);
        Ok(Self { server, name, connector, limit, is_trusted: AtomicBool::new(true) })
    }

    async fn run(self, listener: TcpListener) {
        let mut carried = FuturesUnordered::new();
        loop {
            let has_room = carried.len() < MOST_CONNECTIONS;
            tokio::select! {
                Some(()) = carried.next(), if !carried.is_empty() => {}
                accepted = listener.accept(), if has_room => match accepted {
                    Ok((connection, _)) => carried.push(self.carry(connection)),
                    Err(_) => sleep(PAUSE).await,
                },
            }
        }
    }

    /// Carries one connection of the library, until either side ends it. One that can't be carried is closed, and the
    /// library opens another when it sees fit.
    async fn carry(&self, connection: TcpStream) {
        let server = self.server.as_str();
        match timeout(self.limit, self.connect()).await {
            Ok(Ok(stream)) => {
                self.is_trusted.store(true, Ordering::Relaxed);
                let _ = connection.set_nodelay(true);
                exchange(connection, stream).await;
            }
            Ok(Err(Failure::Untrusted(error))) => {
                // That Nacos does not answer is said elsewhere, but not why. Once: the next line would say the same.
                if self.is_trusted.swap(false, Ordering::Relaxed) {
                    tracing::error!(server, %error, "the server of Nacos is not used: TLS with it fails");
                }
            }
            Ok(Err(Failure::Unreachable(error))) => tracing::debug!(server, %error, "no connection to Nacos"),
            Err(_elapsed) => tracing::debug!(server, "no connection to Nacos within the time limit"),
        }
    }

    async fn connect(&self) -> Result<TlsStream<TcpStream>, Failure> {
        let connection = TcpStream::connect(self.server.as_str()).await.map_err(Failure::Unreachable)?;
        connection.set_nodelay(true).map_err(Failure::Unreachable)?;
        self.connector.connect(self.name.clone(), connection).await.map_err(Failure::Untrusted)
    }
}

/// Why there is no way to a server.
enum Failure {
    Unreachable(io::Error),
    /// It is there, and does not prove who it is, or speaks no TLS at all.
    Untrusted(io::Error),
}

/// Passes on what comes from either side. Ends with either: nothing on these connections goes one way only.
async fn exchange(library: TcpStream, server: impl AsyncRead + AsyncWrite) {
    let (mut from_library, mut to_library) = library.into_split();
    let (mut from_server, mut to_server) = split(server);
    tokio::select! {
        _ = copy(&mut from_library, &mut to_server) => {}
        _ = copy(&mut from_server, &mut to_library) => {}
    }
}

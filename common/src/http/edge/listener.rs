//! TCP and unix sockets: bind, accept, close.

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use volo::net::Address;

use super::stream::Stream;

/// Connections the kernel holds for us while the accept loop is busy or the cap is reached.
const BACKLOG: u32 = 4096;

/// A socket that is bound and listens; connections are accepted once it is given to [`serve`](super::serve).
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
}

/// Why a listener could not be opened. The text names the address or path and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another process listens there.
    #[error("cannot listen on {place}: it is in use; is another instance running?")]
    InUse {
        /// The address or path.
        place: String,
    },
    /// There is a file at the unix socket's path that is not a socket, and it is not ours to delete.
    #[error("cannot listen on {place}: the path exists and is not a socket")]
    NotASocket {
        /// The path.
        place: String,
    },
    /// Anything else the operating system refuses.
    #[error("cannot listen on {place}: {source}")]
    Refused {
        /// The address or path.
        place: String,
        /// The operating system's reason.
        source: io::Error,
    },
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a unix socket, removed when the listener goes, unless somebody else's has taken its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// An accepted connection.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: Address,
}

impl Accepted {
    /// The peer's address; `None` on a unix socket.
    pub(super) fn peer_ip(&self) -> Option<IpAddr> {
        self.peer.ip_addr().map(SocketAddr::ip)
    }
}

impl Listener {
    /// Listens on a TCP address. Port 0 picks a free one, see [`Listener::local_address`].
    ///
    /// The port is never shared with another process: a second instance must fail here rather than take half of the
    /// connections. A port whose last owner has just gone can be bound at once.
    ///
    /// # Errors
    /// When the address is in use or the operating system refuses it. Must be called inside a tokio runtime.
    pub fn bind_tcp(address: SocketAddr) -> Result<Self, ListenError> {
        let bind = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        };
        let listener = bind().map_err(|source| ListenError::new(address.to_string(), source))?;
        Ok(Self { socket: Socket::Tcp(listener) })
    }

    /// Listens on a unix socket. A socket file nobody listens on any more is replaced; the file is removed at the end.
    ///
    /// # Errors
    /// When somebody answers on the socket, the path is not a socket, or the operating system refuses it.
    /// Must be called inside a tokio runtime.
    pub fn bind_unix(path: &Path) -> Result<Self, ListenError> {
        let place = || path.display().to_string();
        remove_stale_socket(path)?;
        let listener = UnixListener::bind(path).map_err(|source| ListenError::new(place(), source))?;
        let file = SocketFile::of(path).map_err(|source| ListenError::new(place(), source))?;
        Ok(Self { socket: Socket::Unix(listener, file) })
    }

    /// The TCP address that was bound; `None` for a unix socket.
    pub fn local_address(&self) -> Option<SocketAddr> {
        match &self.socket {
            Socket::Tcp(listener) => listener.local_addr().ok(),
            Socket::Unix(..) => None,
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted::tcp(stream, peer))
            }
            Socket::Unix(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted { stream: Stream::Unix(stream), peer: peer.into() })
            }
        }
    }

    /// Stops listening and hands over what is still in the kernel's accept queue: closing the listener would reset
    /// connections whose clients believe they are connected. The listener is closed when the iterator is dropped.
    pub(super) fn close(self) -> io::Result<impl Iterator<Item = Accepted>> {
        // The standard library's accept, because tokio's remembers an earlier "nothing there" and would miss arrivals.
        let (queue, file) = match self.socket {
            Socket::Tcp(listener) => (Queue::Tcp(listener.into_std()?), None),
            Socket::Unix(listener, file) => (Queue::Unix(listener.into_std()?), Some(file)),
        };
        // A successor may bind the path from here on.
        drop(file);
        Ok(std::iter::from_fn(move || queue.next().ok()))
    }
}

enum Queue {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Queue {
    fn next(&self) -> io::Result<Accepted> {
        match self {
            Queue::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Accepted::tcp(TcpStream::from_std(stream)?, peer))
            }
            Queue::Unix(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                Ok(Accepted { stream: Stream::Unix(UnixStream::from_std(stream)?), peer: peer.into() })
            }
        }
    }
}

impl Accepted {
    fn tcp(stream: TcpStream, peer: SocketAddr) -> Self {
        // Answers are written whole; waiting for more to send along would only delay them. A connection on which
        // this fails is already dead, and its first read says so.
        let _ = stream.set_nodelay(true);
        Self { stream: Stream::Tcp(stream), peer: peer.into() }
    }
}

impl ListenError {
    fn new(place: String, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { place },
            _ => Self::Refused { place, source },
        }
    }
}

fn remove_stale_socket(path: &Path) -> Result<(), ListenError> {
    let place = || path.display().to_string();
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ListenError::new(place(), source)),
    };
    if !metadata.file_type().is_socket() {
        return Err(ListenError::NotASocket { place: place() });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| ListenError::new(place(), source))
        }
        // Connected, or refused for a reason that says nothing about its owner being gone: not ours to take.
        Ok(_) | Err(_) => Err(ListenError::InUse { place: place() }),
    }
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Nothing depends on it: a file left behind is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_instance_on_the_same_port_is_told_so() {
        let first = Listener::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_address().unwrap();
        let error = Listener::bind_tcp(address).unwrap_err();
        assert!(matches!(error, ListenError::InUse { .. }), "{error}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[tokio::test]
    async fn a_unix_socket_that_answers_is_left_alone_and_a_stale_one_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("edge.sock");
        let first = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(Listener::bind_unix(&path), Err(ListenError::InUse { .. })));
        drop(first);
        assert!(path.exists(), "a listener that was killed leaves its file");
        let listener = Listener::bind_unix(&path).unwrap();
        drop(listener);
        assert!(!path.exists(), "ours is removed at the end");
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_not_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notes.txt");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Listener::bind_unix(&path), Err(ListenError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn a_successors_socket_is_not_removed_by_its_predecessor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("edge.sock");
        let predecessor = Listener::bind_unix(&path).unwrap();
        fs::rename(&path, directory.path().join("old.sock")).unwrap();
        let _successor = Listener::bind_unix(&path).unwrap();
        drop(predecessor);
        assert!(path.exists());
    }
}

//! Whether somebody still waits at the other end of a connection.
//!
//! Who gives up on an answer closes the connection. A server that hung meanwhile (a stopped process, a machine that was
//! moved) finds the request in the kernel, fresh by every clock of its own, and the end of the connection right behind
//! it. Such a request must not be carried out: its caller has long asked again, and had an answer from somebody else.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, Interest, ReadBuf, Ready},
    net::tcp::OwnedReadHalf,
};
use volo::net::ext::AsyncExt;

/// The peer of one connection, as far as it is known since the last bytes of it were read.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    has_left: Arc<AtomicBool>,
}

/// What the peer sends, and whether its end comes right behind.
#[derive(Debug)]
pub(super) struct CallerReader {
    socket: OwnedReadHalf,
    caller: Caller,
}

impl Caller {
    /// Whether nobody waits for the answer to the request that was read last. One that closes only its own direction
    /// and goes on reading is taken for gone: no client of Thrift does that.
    pub(super) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Relaxed)
    }
}

impl CallerReader {
    pub(super) fn new(socket: OwnedReadHalf, caller: &Caller) -> Self {
        Self { socket, caller: caller.clone() }
    }

    /// Asks the system and not tokio, which does not look before an event has told it to.
    fn end_is_next(&self) -> bool {
        match SockRef::from(self.socket.as_ref()).peek(&mut [MaybeUninit::uninit()]) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }
}

impl AsyncRead for CallerReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buf))?;
        this.caller.has_left.store(this.end_is_next(), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncExt for CallerReader {
    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.socket.ready(interest).await
    }
}

//! The timeouts that live below HTTP: a head that never ends, an answer nobody reads, a refusal nobody has read yet.
//!
//! hyper's own head timeout starts when it begins to *wait* for a head, so it is really the keep-alive time. The head
//! is timed here instead, from its first byte; and hyper has no limit at all for a client that does not read.

use std::{
    error::Error,
    fmt, io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Instant, Sleep, sleep, sleep_until},
};

/// A connection's transport. TLS joins here as a third variant; its handshake runs on the connection's own task, see
/// [`connection`](super::connection).
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What the request side tells the stream below it.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// A request is being handled: bytes that arrive are its body, and the request timeout covers them.
    pub(super) handling: AtomicBool,
    /// Heads that have become requests.
    pub(super) requests: AtomicUsize,
    /// The last answer refused a request whose body is still under way.
    pub(super) body_abandoned: AtomicBool,
}

/// Which patience ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stall {
    /// A request's head took too long.
    Head,
    /// The client did not take its answer.
    Write,
}

/// How long the stream waits for a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a head to its end.
    pub(super) head: Duration,
    /// Without a byte being taken.
    pub(super) write: Duration,
    /// For the client to see a refusal and stop sending, before the connection is torn down.
    pub(super) farewell: Duration,
}

/// A stream with patience.
pub(super) struct GuardedStream<T> {
    inner: T,
    state: Arc<ConnectionState>,
    patience: Patience,
    requests_seen: usize,
    head_started: Option<Instant>,
    head_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    farewell: Option<Pin<Box<Sleep>>>,
    farewell_bytes: usize,
}

/// How much of what a refused client still sends is thrown away for its sake. Beyond it the client is not finishing a
/// request but flooding, and whether it sees its answer is no longer our concern.
const FAREWELL_BYTES: usize = 8 * 1024 * 1024;

impl<T> GuardedStream<T> {
    pub(super) fn new(inner: T, state: Arc<ConnectionState>, patience: Patience) -> Self {
        Self {
            inner,
            state,
            patience,
            requests_seen: 0,
            head_started: None,
            head_timer: None,
            write_timer: None,
            farewell: None,
            farewell_bytes: 0,
        }
    }

    /// Forgets the head that has begun if it has become a request since.
    fn forget_finished_head(&mut self) {
        let requests = self.state.requests.load(Ordering::Relaxed);
        if requests != self.requests_seen || self.state.handling.load(Ordering::Relaxed) {
            self.requests_seen = requests;
            self.head_started = None;
            self.head_timer = None;
        }
    }

    /// Ready with an error once the head that has begun took too long.
    fn poll_head_timer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(started) = self.head_started else { return Poll::Pending };
        let deadline = started + self.patience.head;
        let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(Stall::Head.into()))
    }

    /// Passes on the outcome of a write, or an error once nothing could be written for too long.
    fn guard_write<R>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if outcome.is_ready() {
            self.write_timer = None;
            return outcome;
        }
        let patience = self.patience.write;
        ready!(self.write_timer.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx));
        Poll::Ready(Err(Stall::Write.into()))
    }
}

impl<T: AsyncRead + Unpin> GuardedStream<T> {
    /// Closing a socket that still has unread bytes resets it, and the reset may overtake our last answer. So when a
    /// request was refused half-read, what the client still sends is thrown away until it stops, for a while.
    fn poll_farewell(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let patience = self.patience.farewell;
        if self.farewell.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; 4096];
        while self.farewell_bytes < FAREWELL_BYTES {
            let mut scratch = ReadBuf::new(&mut scratch);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut scratch)) {
                Ok(()) if !scratch.filled().is_empty() => self.farewell_bytes += scratch.filled().len(),
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for GuardedStream<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buffer);
        this.forget_finished_head();
        if this.state.handling.load(Ordering::Relaxed) {
            return read;
        }
        if read.is_pending() {
            return this.poll_head_timer(cx);
        }
        if buffer.filled().len() > before && this.head_started.is_none() {
            this.head_started = Some(Instant::now());
        }
        read
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for GuardedStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.guard_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.guard_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.guard_write(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.farewell.is_none() {
            let shut = Pin::new(&mut this.inner).poll_shutdown(cx);
            ready!(this.guard_write(cx, shut))?;
        }
        this.forget_finished_head();
        // A head that began and never became a request was refused by hyper (431, 400).
        if this.head_started.is_some() || this.state.body_abandoned.load(Ordering::Relaxed) {
            ready!(this.poll_farewell(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T> fmt::Debug for GuardedStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedStream").field("state", &self.state).finish_non_exhaustive()
    }
}

impl fmt::Display for Stall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stall::Head => "the request's head took too long",
            Stall::Write => "the client does not read its answer",
        })
    }
}

impl Error for Stall {}

impl From<Stall> for io::Error {
    fn from(stall: Stall) -> Self {
        io::Error::new(io::ErrorKind::TimedOut, stall)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const PATIENCE: Patience =
        Patience { head: Duration::from_secs(3), write: Duration::from_secs(2), farewell: Duration::from_secs(1) };

    fn guarded() -> (GuardedStream<DuplexStream>, DuplexStream, Arc<ConnectionState>) {
        let (ours, theirs) = duplex(64);
        let state = Arc::new(ConnectionState::default());
        (GuardedStream::new(ours, Arc::clone(&state), PATIENCE), theirs, state)
    }

    fn stall(error: &io::Error) -> Option<Stall> {
        error.get_ref()?.downcast_ref().copied()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_is_timed_from_its_first_byte_however_slowly_the_rest_drips() {
        let (mut stream, mut client, _) = guarded();
        let started = Instant::now();
        let drip = async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            loop {
                client.write_all(b"x").await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let read = async {
            loop {
                stream.read_u8().await?;
            }
        };
        let cut = async {
            let error: io::Result<()> = tokio::select! { error = read => error, () = drip => unreachable!() };
            error.unwrap_err()
        };
        let error = tokio::time::timeout(Duration::from_secs(1000), cut).await.expect("the head is cut");
        assert_eq!(stall(&error), Some(Stall::Head));
        assert_eq!(started.elapsed(), Duration::from_secs(63), "a minute of silence is not a slow head");
    }

    #[tokio::test(start_paused = true)]
    async fn the_body_of_a_request_that_is_being_handled_is_not_a_slow_head() {
        let (mut stream, mut client, state) = guarded();
        client.write_all(b"head").await.unwrap();
        let mut buffer = [0; 4];
        stream.read_exact(&mut buffer).await.unwrap();
        state.handling.store(true, Ordering::Relaxed);
        let waited = tokio::time::timeout(Duration::from_secs(100), stream.read_u8()).await;
        assert!(waited.is_err(), "still waiting: {waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_became_a_request_is_not_timed_any_more() {
        let (mut stream, mut client, state) = guarded();
        client.write_all(b"head").await.unwrap();
        let mut buffer = [0; 4];
        stream.read_exact(&mut buffer).await.unwrap();
        // Handled at once, before the stream was read again.
        state.requests.fetch_add(1, Ordering::Relaxed);
        let waited = tokio::time::timeout(Duration::from_secs(100), stream.read_u8()).await;
        assert!(waited.is_err(), "a kept-alive connection is idle, not slow: {waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_is_cut_and_one_that_reads_slowly_is_not() {
        let (mut stream, mut client, _) = guarded();
        let error = stream.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!(stall(&error), Some(Stall::Write));

        let (mut stream, mut slow, _) = guarded();
        let read = async {
            for _ in 0..1000 {
                slow.read_u8().await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let (written, ()) = tokio::join!(stream.write_all(&[0; 1000]), read);
        written.unwrap();
        drop(client.shutdown().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_refused_half_way_may_finish_sending_but_not_for_ever() {
        let (mut stream, mut client, state) = guarded();
        state.body_abandoned.store(true, Ordering::Relaxed);
        let send = async {
            client.write_all(&[0; 10_000]).await.unwrap();
            drop(client);
        };
        let both = async { tokio::join!(stream.shutdown(), send).0 };
        tokio::time::timeout(Duration::from_secs(100), both).await.expect("what is sent is taken").unwrap();

        let (mut stream, _silent, state) = guarded();
        state.body_abandoned.store(true, Ordering::Relaxed);
        let started = Instant::now();
        stream.shutdown().await.unwrap();
        assert_eq!(started.elapsed(), PATIENCE.farewell);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ends_in_peace_ends_at_once() {
        let (mut stream, _client, _) = guarded();
        let started = Instant::now();
        stream.shutdown().await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}

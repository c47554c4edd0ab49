//! A limit on what a peer can make this process read: the size of a frame, and how long it may be silent.
//!
//! volo reserves as much memory as the first four bytes of a TTHeader frame ask for (up to 4 GiB), before anything is
//! checked. This stands between the socket and the codec and looks at the length alone. It takes only what begins with
//! a length, TTHeader or framed Thrift; anything else looks like an enormous frame and is refused.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready},
    time::{Instant, Sleep, sleep},
};
use volo::net::ext::AsyncExt;
use volo_thrift::codec::{
    DefaultMakeCodec, MakeCodec,
    default::{framed::MakeFramedCodec, thrift::MakeThriftCodec, ttheader::MakeTTHeaderCodec},
};

/// TTHeader around framed Thrift, in both directions.
type Codec = DefaultMakeCodec<MakeTTHeaderCodec<MakeFramedCodec<MakeThriftCodec>>>;

/// volo's codec behind the limit.
#[derive(Clone)]
pub(super) struct LimitedCodec {
    codec: Codec,
    max_frame_bytes: usize,
    max_silence: Option<Duration>,
}

impl LimitedCodec {
    /// Without `max_silence` a peer may be silent for ever: right for callers, who have deadlines.
    pub(super) fn new(max_frame_bytes: usize, max_silence: Option<Duration>) -> Self {
        Self { codec: Codec::default(), max_frame_bytes, max_silence }
    }
}

impl<R, W> MakeCodec<R, W> for LimitedCodec
where
    R: AsyncRead + AsyncExt + Unpin + Send + Sync + 'static,
    W: AsyncWrite + AsyncExt + Unpin + Send + Sync + 'static,
{
    type Encoder = <Codec as MakeCodec<LimitedReader<R>, W>>::Encoder;
    type Decoder = <Codec as MakeCodec<LimitedReader<R>, W>>::Decoder;

    fn make_codec(&self, reader: R, writer: W) -> (Self::Encoder, Self::Decoder) {
        self.codec.make_codec(LimitedReader::new(reader, self.max_frame_bytes, self.max_silence), writer)
    }
}

impl fmt::Debug for LimitedCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { codec: _, max_frame_bytes, max_silence } = self;
        f.debug_struct("LimitedCodec")
            .field("max_frame_bytes", max_frame_bytes)
            .field("max_silence", max_silence)
            .finish()
    }
}

/// A socket whose frames are counted.
#[derive(Debug)]
pub(super) struct LimitedReader<R> {
    inner: R,
    frame: FrameCount,
    silence: Option<Silence>,
}

/// Where in a frame the bytes read so far end.
#[derive(Debug)]
struct FrameCount {
    max_bytes: u64,
    length: u32,
    /// Bytes of the length that were read, 0-4.
    length_read: u8,
    /// Bytes of the body that are still to come.
    body_left: u64,
}

/// A timer that runs while the peer is waited for. While a handler works nobody reads, and it stands still.
#[derive(Debug)]
struct Silence {
    most: Duration,
    timer: Pin<Box<Sleep>>,
    running: bool,
}

impl<R> LimitedReader<R> {
    fn new(inner: R, max_frame_bytes: usize, max_silence: Option<Duration>) -> Self {
        let max_bytes = u64::try_from(max_frame_bytes).unwrap_or(u64::MAX);
        let frame = FrameCount { max_bytes, length: 0, length_read: 0, body_left: 0 };
        let silence = max_silence.map(|most| Silence { most, timer: Box::pin(sleep(most)), running: false });
        Self { inner, frame, silence }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for LimitedReader<R> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(read) => {
                if let Some(silence) = &mut this.silence {
                    silence.running = false;
                }
                read?;
                Poll::Ready(this.frame.count(&buf.filled()[before..]))
            }
            Poll::Pending => {
                let Some(silence) = &mut this.silence else { return Poll::Pending };
                ready!(silence.poll_over(cx));
                if this.frame.is_between() {
                    // An idle connection ends like one that its peer has closed.
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "a frame stopped in the middle")))
                }
            }
        }
    }
}

impl<R: AsyncExt + Sync> AsyncExt for LimitedReader<R> {
    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        self.inner.ready(interest).await
    }
}

impl FrameCount {
    /// Follows the frames through `bytes`; an error when one of them announces too much.
    fn count(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.body_left > 0 {
                let skipped = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(bytes.len());
                self.body_left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.length = (self.length << 8) | u32::from(*first);
            self.length_read += 1;
            bytes = rest;
            if self.length_read == 4 {
                self.body_left = u64::from(std::mem::take(&mut self.length));
                self.length_read = 0;
            }
            if self.body_left > self.max_bytes {
                let problem = format!("a frame of {} bytes, at most {} are taken", self.body_left, self.max_bytes);
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        }
        Ok(())
    }

    fn is_between(&self) -> bool {
        self.length_read == 0 && self.body_left == 0
    }
}

impl Silence {
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.running {
            self.timer.as_mut().reset(Instant::now() + self.most);
            self.running = true;
        }
        self.timer.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn frame(body: usize) -> Vec<u8> {
        let mut frame = u32::try_from(body).expect("small").to_be_bytes().to_vec();
        frame.resize(4 + body, 7);
        frame
    }

    proptest! {
        #[test]
        fn frames_are_followed_however_the_network_cuts_them(
            bodies in proptest::collection::vec(0_usize..64, 1..8),
            cut in 1_usize..32,
            too_large in any::<bool>(),
        ) {
            let mut count = FrameCount { max_bytes: 64, length: 0, length_read: 0, body_left: 0 };
            let mut stream: Vec<u8> = bodies.into_iter().flat_map(frame).collect();
            if too_large {
                stream.extend(frame(65));
            }
            let refused = stream.chunks(cut).any(|chunk| count.count(chunk).is_err());
            prop_assert_eq!(refused, too_large);
            prop_assert!(too_large || count.is_between());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_silent_between_frames_ends_quietly() {
        let (mut peer, socket) = duplex(64);
        let mut reader = LimitedReader::new(socket, 64, Some(Duration::from_secs(60)));
        peer.write_all(&frame(2)).await.expect("room");
        let mut read = Vec::new();
        assert_eq!(reader.read_to_end(&mut read).await.expect("ends"), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_that_stops_in_the_middle_is_an_error() {
        let (mut peer, socket) = duplex(64);
        let mut reader = LimitedReader::new(socket, 64, Some(Duration::from_secs(60)));
        peer.write_all(&frame(9)[..8]).await.expect("room");
        let stopped = reader.read_to_end(&mut Vec::new()).await.expect_err("stopped");
        assert_eq!(stopped.kind(), io::ErrorKind::TimedOut);
    }
}

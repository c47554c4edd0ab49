//! A connection that writes the bytes it is told to, and never repeats a request on its own.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// A server that neither answers nor closes by then hangs.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// One TCP connection.
pub(crate) struct RawConnection {
    stream: TcpStream,
    /// Bytes that arrived and belong to no answer yet.
    arrived: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct RawAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl RawConnection {
    pub(crate) async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, arrived: Vec::new() })
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next answer; `None` when the connection ends without a byte of one.
    pub(crate) async fn answer(&mut self) -> io::Result<Option<RawAnswer>> {
        timeout(ANSWER_LIMIT, self.next_answer()).await.expect("an answer or the connection's end")
    }

    /// Whether the server ends the connection without an answer. Waits until it does that or speaks.
    pub(crate) async fn closes_silently(&mut self) -> bool {
        match self.answer().await {
            Ok(answer) => answer.is_none(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset && self.arrived.is_empty(),
        }
    }

    async fn next_answer(&mut self) -> io::Result<Option<RawAnswer>> {
        let end_of_head = loop {
            if let Some(at) = self.arrived.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if self.read_more().await? == 0 {
                return if self.arrived.is_empty() { Ok(None) } else { Err(torn()) };
            }
        };
        let head = String::from_utf8_lossy(&self.arrived[..end_of_head]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(torn)?;
        let length: usize = header(&head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while self.arrived.len() < end_of_head + length {
            if self.read_more().await? == 0 {
                return Err(torn());
            }
        }
        let body = String::from_utf8_lossy(&self.arrived[end_of_head..end_of_head + length]).into_owned();
        self.arrived.drain(..end_of_head + length);
        Ok(Some(RawAnswer { status, head, body }))
    }

    async fn read_more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.arrived).await
    }
}

impl RawAnswer {
    /// Whether the server said it will close the connection.
    pub(crate) fn closes(&self) -> bool {
        header(&self.head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.trim())
}

fn torn() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended within an answer")
}

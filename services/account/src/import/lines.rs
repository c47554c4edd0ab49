//! Lines from a stream, with the place where each ends. A line that is too long is passed over, not held.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// An account takes some hundred bytes. Protects memory from a file without line ends.
pub(super) const LONGEST_LINE: usize = 16 * 1024;

/// Reads line by line.
#[derive(Debug)]
pub(super) struct Lines<R> {
    stream: R,
    line: Vec<u8>,
    /// How many lines were read.
    pub(super) number: u64,
    /// Where the next line begins.
    pub(super) offset: u64,
}

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'l> {
    Text(&'l [u8]),
    TooLong,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    /// Goes on behind `number` lines, at `offset`.
    pub(super) fn new(stream: R, number: u64, offset: u64) -> Self {
        Self { stream, line: Vec::with_capacity(LONGEST_LINE), number, offset }
    }

    /// The next line; `None` at the end.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let (mut too_long, began_at) = (false, self.offset);
        loop {
            let read = self.stream.fill_buf().await?;
            let end = read.iter().position(|byte| *byte == b'\n');
            let text = &read[..end.unwrap_or(read.len())];
            too_long |= self.line.len() + text.len() > LONGEST_LINE;
            if !too_long {
                self.line.extend_from_slice(text);
            }
            let taken = text.len() + usize::from(end.is_some());
            self.stream.consume(taken);
            self.offset += taken as u64;
            if end.is_some() || taken == 0 {
                break;
            }
        }
        if self.offset == began_at {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(if too_long { Line::TooLong } else { Line::Text(&self.line) }))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    #[tokio::test]
    async fn lines_end_at_newlines_and_at_the_end_whatever_the_buffer() {
        for buffer in [1, 3, 1000] {
            let stream = BufReader::with_capacity(buffer, b"one\n\nthree\r\nfour".as_slice());
            let mut lines = Lines::new(stream, 10, 100);
            for (line, number, offset) in [("one", 11, 104), ("", 12, 105), ("three\r", 13, 112), ("four", 14, 116)] {
                assert_eq!(lines.next().await.expect("read"), Some(Line::Text(line.as_bytes())));
                assert_eq!((lines.number, lines.offset), (number, offset));
            }
            assert_eq!(lines.next().await.expect("read"), None);
        }
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_passed_over() {
        let text = ["x".repeat(LONGEST_LINE), "y".repeat(LONGEST_LINE + 1), "z".to_owned()].join("\n");
        let mut lines = Lines::new(BufReader::new(text.as_bytes()), 0, 0);
        assert!(matches!(lines.next().await, Ok(Some(Line::Text(line))) if line.len() == LONGEST_LINE));
        assert_eq!(lines.next().await.expect("read"), Some(Line::TooLong));
        assert_eq!(lines.next().await.expect("read"), Some(Line::Text(b"z")));
    }
}

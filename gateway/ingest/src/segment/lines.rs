//! Reading a file line by line, whatever is in it.

use std::{
    fmt,
    io::{self, Read},
};

use memchr::memchr;

use crate::line::LINE_BYTES_MAX;

const READ_BYTES: usize = 256 << 10;

/// Gives out lines; holds no more than the longest one.
pub(crate) struct LineReader<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where in the file the next line begins.
    offset: u64,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// A line, without its line break.
    Line(&'a [u8]),
    /// Nothing more, or nothing more yet, but so many bytes without a line break.
    End(usize),
    /// More bytes without a line break than a line can have.
    TooLong,
}

impl<R: Read> LineReader<R> {
    /// Reads on from where `source` stands: at `offset`.
    pub(crate) fn new(source: R, offset: u64) -> Self {
        Self { source, buffer: vec![0; READ_BYTES], start: 0, end: 0, offset }
    }

    /// Where the next line begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line. At the end it may be asked again: the file may have grown.
    pub(crate) fn next(&mut self) -> io::Result<Step<'_>> {
        let mut searched = 0;
        loop {
            let held = self.buffer.get(self.start..self.end).unwrap_or_default();
            if let Some(found) = held.get(searched..).and_then(|rest| memchr(b'\n', rest)) {
                let line = self.start..self.start + searched + found;
                self.start = line.end + 1;
                self.offset += u64::try_from(line.len() + 1).unwrap_or(u64::MAX);
                return Ok(Step::Line(self.buffer.get(line).unwrap_or_default()));
            }
            searched = held.len();
            if searched > LINE_BYTES_MAX {
                return Ok(Step::TooLong);
            }
            self.make_room();
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.source.read(room) {
                Ok(0) => return Ok(Step::End(searched)),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
    }
}

impl<R> fmt::Debug for LineReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LineReader").field("offset", &self.offset).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn something_without_line_breaks_is_not_read_into_memory() {
        let mut reader = LineReader::new(io::repeat(0), 0);
        assert_eq!(reader.next().unwrap(), Step::TooLong);
        assert!(reader.buffer.len() <= LINE_BYTES_MAX * 2);
    }

    #[test]
    fn a_line_that_is_completed_later_is_given_out_then() {
        let mut reader = LineReader::new(Cursor::new(b"one\ntw".to_vec()), 10);
        assert_eq!(reader.next().unwrap(), Step::Line(b"one"));
        assert_eq!(reader.next().unwrap(), Step::End(2));
        reader.source.get_mut().extend_from_slice(b"o\n");
        assert_eq!(reader.next().unwrap(), Step::Line(b"two"));
        assert_eq!(reader.next().unwrap(), Step::End(0));
        assert_eq!(reader.offset(), 18);
    }

    proptest! {
        #[test]
        fn lines_of_any_length_come_as_they_are(lengths in proptest::collection::vec(0..400_000_usize, 0..8), rest in 0..9_usize) {
            let mut text: Vec<u8> = lengths.iter().flat_map(|length| [vec![b'x'; *length], vec![b'\n']].concat()).collect();
            text.extend(vec![b'y'; rest]);
            let mut reader = LineReader::new(&text[..], 0);
            for length in lengths {
                prop_assert_eq!(reader.next().unwrap(), Step::Line(&vec![b'x'; length]));
            }
            prop_assert_eq!(reader.next().unwrap(), Step::End(rest));
            prop_assert_eq!(reader.offset(), u64::try_from(text.len() - rest).unwrap());
        }
    }
}

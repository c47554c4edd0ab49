//! How much of complete segments somebody has still to read.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use common::clock::Timestamp;
use memchr::memrchr;

use super::Position;
use crate::{
    line::{LINE_BYTES_MAX, Place},
    segment::{
        Family,
        lines::{LineReader, Step},
        listing::segments,
    },
};

/// What is read of a segment's end at first to find its last line.
const TAIL_BYTES: u64 = 64 << 10;

/// What is behind a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Bytes of complete segments.
    pub bytes: u64,
    /// Complete segments that have some of them.
    pub segments: u64,
    /// Lines, by the numbers of the first and the last one; `None` when one of them is damaged.
    pub lines: Option<u64>,
    /// When the oldest of these segments was begun.
    pub oldest: Option<Timestamp>,
}

/// What is behind `at`, or all there is. The segment that is being written does not count: nobody ships it yet. Reads two
/// lines at most.
///
/// # Errors
/// What the operating system says; also [`io::ErrorKind::NotFound`] when a segment is deleted at this very moment.
pub fn lag(data_dir: &Path, family: Family, at: Option<&Position>) -> io::Result<Lag> {
    let files = segments(&family.directory(data_dir), family)?;
    let behind: Vec<_> = files
        .iter()
        .filter(|file| file.is_complete)
        .filter_map(|file| {
            let from = match at {
                Some(at) if file.name < at.segment => file.bytes,
                Some(at) if file.name == at.segment => at.offset,
                _ => 0,
            };
            (file.bytes > from).then_some((file, from))
        })
        .collect();
    let (Some((first, from)), Some((last, _))) = (behind.first(), behind.last()) else {
        return Ok(Lag { lines: Some(0), ..Lag::default() });
    };
    let ends = (first_seq(&first.path, *from)?, last_seq(&last.path)?);
    Ok(Lag {
        bytes: behind.iter().map(|(file, from)| file.bytes - from).sum(),
        segments: u64::try_from(behind.len()).unwrap_or(u64::MAX),
        lines: match ends {
            (Some(first), Some(last)) => (last + 1).checked_sub(first),
            _ => None,
        },
        oldest: Some(first.name.begun_at()),
    })
}

/// The number of the line that begins at `offset`.
fn first_seq(path: &Path, offset: u64) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut reader = LineReader::new(file, offset);
    match reader.next()? {
        Step::Line(line) => Ok(seq(line)),
        Step::End(_) | Step::TooLong => Ok(None),
    }
}

/// The number of the last line.
fn last_seq(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let (mut wanted, mut tail) = (TAIL_BYTES, Vec::new());
    loop {
        tail.clear();
        file.seek(SeekFrom::Start(bytes.saturating_sub(wanted)))?;
        (&file).take(wanted).read_to_end(&mut tail)?;
        let Some(lines) = tail.strip_suffix(b"\n") else { return Ok(None) };
        match memrchr(b'\n', lines) {
            Some(before) => return Ok(lines.get(before + 1..).and_then(seq)),
            None if wanted >= bytes => return Ok(seq(lines)),
            None if tail.len() > LINE_BYTES_MAX => return Ok(None),
            None => wanted *= 2,
        }
    }
}

fn seq(line: &[u8]) -> Option<u64> {
    Place::of(line).ok().map(|place| place.seq)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        line::{Origin, Unplaced},
        partner::PartnerName,
    };

    const DAY: i64 = 24 * 3600 * 1000;

    /// Lines with these numbers, each with about so many bytes.
    fn lines(seqs: std::ops::Range<u64>, bytes: usize) -> Vec<u8> {
        let partner = PartnerName::parse("ads").unwrap();
        let mut push = Unplaced::default();
        let event = format!("{{\"pad\":\"{}\"}}", "x".repeat(bytes));
        for seq in seqs.clone() {
            push.event(Origin { partner: &partner, received_at: 1, request_id: "r" }, &seq.to_string(), &event);
        }
        let mut out = Vec::new();
        push.place(seqs.start, &mut out);
        out
    }

    #[test]
    fn it_is_what_complete_segments_have_behind_the_place() {
        let data_dir = tempfile::tempdir().unwrap();
        let directory = data_dir.path().join("segments");
        fs::create_dir(&directory).unwrap();
        let lag_at = |at: Option<(&str, usize)>| {
            let at = at.map(|(at, offset)| format!("{at}:{offset}").parse().unwrap());
            lag(data_dir.path(), Family::Events, at.as_ref()).unwrap()
        };
        let lag_of = |bytes: usize, segments, lines, day: i64| Lag {
            bytes: bytes.try_into().unwrap(),
            segments,
            lines,
            oldest: Some(Timestamp::from_millis(day * DAY)),
        };
        let nothing = Lag { lines: Some(0), ..Lag::default() };
        assert_eq!(lag_at(None), nothing);
        let (first, second) = ("19700102T000000.000Z-0000000001-a", "19700103T000000.000Z-0000000002-a");
        // A last line that is longer than what is read of the end at first.
        let (one, two) = (lines(7..10, 10), [lines(10..12, 10), lines(12..13, 200_000)].concat());
        fs::write(directory.join(format!("{first}.ndjson")), &one).unwrap();
        fs::write(directory.join(format!("{second}.ndjson")), &two).unwrap();
        fs::write(directory.join("19700104T000000.000Z-0000000003-a.open"), "written").unwrap();
        assert_eq!(lag_at(None), lag_of(one.len() + two.len(), 2, Some(6), 1));
        let line = one.len() / 3;
        assert_eq!(lag_at(Some((first, line))), lag_of(one.len() - line + two.len(), 2, Some(5), 1));
        assert_eq!(lag_at(Some((first, one.len()))), lag_of(two.len(), 1, Some(3), 2));
        assert_eq!(lag_at(Some((second, two.len()))), nothing);
        assert_eq!(lag_at(Some((first, 5))).lines, None, "no line begins there");
        fs::write(directory.join(format!("{second}.ndjson")), &two[..two.len() - 1]).unwrap();
        assert_eq!(lag_at(None).lines, None, "the last line is torn");
    }
}

//! [`Follow`]: the lines of all segments, from a place on, across rotations.

use std::{
    fmt,
    fs::File,
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    SegmentName,
    line::Place,
    segment::{
        Family,
        lines::{LineReader, Step},
        listing::{SegmentFile, segments},
    },
};

/// A place between two lines: `20261130T101502.123Z-0000000042-gateway-0:1234`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment.
    pub segment: SegmentName,
    /// Bytes from its beginning.
    pub offset: u64,
}

/// Not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position: SEGMENT:OFFSET, or SEGMENT for its beginning")]
pub struct PositionError;

/// Where reading stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Behind the last complete segment: what ships and replays.
    Complete,
    /// At what was written last: what looks on.
    Newest,
}

/// Gives out the lines of all segments in order. At the end it may be asked again later: it goes on where it was, in the
/// same segment or in those that were begun since.
#[derive(Debug)]
pub struct Follow {
    directory: PathBuf,
    family: Family,
    stop: Stop,
    /// Where to go on when no segment is being read.
    from: Option<Position>,
    current: Option<Current>,
    /// The last segment that was read to its end: a torn rest of it is not looked at again.
    done: Option<SegmentName>,
    skipped: u64,
}

#[derive(Debug)]
struct Current {
    name: SegmentName,
    reader: LineReader<File>,
    /// It was complete when it was opened or looked at last: its end is final.
    is_complete: bool,
}

impl Follow {
    /// Follows the segments in `data_dir` from `from` on, or from the oldest one. A segment that was deleted meanwhile
    /// is passed over, and so is an offset behind its segment's end.
    pub fn new(data_dir: &Path, family: Family, from: Option<Position>, stop: Stop) -> Self {
        Self { directory: family.directory(data_dir), family, stop, from, current: None, done: None, skipped: 0 }
    }

    /// The next line, without its line break, if there is one now: for [`crate::Line::read`] or
    /// [`crate::DeadLine::read`]. Damaged lines are passed over and counted.
    ///
    /// # Errors
    /// What the operating system says. It may be asked again.
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if self.current.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(current) = &mut self.current else { return Ok(None) };
            match current.reader.next()? {
                Step::Line(line) => {
                    if Place::of(line).is_ok() {
                        return Ok(Some(line.to_vec()));
                    }
                    self.skipped += 1;
                }
                Step::End(_) if !current.is_complete => {
                    // Completed since? Then what was written before that is still to be read.
                    current.is_complete = self.family.complete_path(&self.directory, &current.name).exists();
                    if !current.is_complete && self.is_newest()? {
                        return Ok(None);
                    }
                }
                Step::End(rest) => self.leave(rest > 0),
                Step::TooLong => self.leave(true),
            }
        }
    }

    /// Behind the line that was given out last: reading goes on from here if this is kept and given to
    /// [`Follow::new`]. `None` before the first segment was found.
    pub fn position(&self) -> Option<Position> {
        let reading = |current: &Current| Position { segment: current.name.clone(), offset: current.reader.offset() };
        self.current.as_ref().map(reading).or_else(|| self.from.clone())
    }

    /// Damaged lines that were passed over.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn leave(&mut self, is_torn: bool) {
        self.skipped += u64::from(is_torn);
        self.from = self.position();
        self.done = self.current.take().map(|current| current.name);
    }

    /// Whether no segment was begun after the one that is read. One that was left behind open, by a process that was
    /// killed, grows no more.
    fn is_newest(&mut self) -> io::Result<bool> {
        let Some(current) = &mut self.current else { return Ok(true) };
        let files = segments(&self.directory, self.family)?;
        let is_newest =
            files.iter().all(|file| file.name <= current.name || file.name.instance() != current.name.instance());
        current.is_complete = !is_newest;
        Ok(is_newest)
    }

    fn open_next(&mut self) -> io::Result<bool> {
        let files = segments(&self.directory, self.family)?;
        let next = files.into_iter().find(|file| self.is_next(file));
        let Some(file) = next.filter(|file| file.is_complete || self.stop == Stop::Newest) else { return Ok(false) };
        let offset = match &self.from {
            Some(from) if from.segment == file.name => from.offset.min(file.bytes),
            _ => 0,
        };
        let mut opened = match File::open(&file.path) {
            // Completed or deleted just now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let path = self.family.complete_path(&self.directory, &file.name);
                match File::open(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    opened => opened?,
                }
            }
            opened => opened?,
        };
        io::Seek::seek(&mut opened, io::SeekFrom::Start(offset))?;
        let reader = LineReader::new(opened, offset);
        self.current = Some(Current { name: file.name, reader, is_complete: file.is_complete });
        Ok(true)
    }

    /// Whether there is something to read in a segment that has not been read.
    fn is_next(&self, file: &SegmentFile) -> bool {
        if self.done.as_ref().is_some_and(|done| file.name <= *done) {
            return false;
        }
        match &self.from {
            None => true,
            Some(from) => file.name > from.segment || (file.name == from.segment && file.bytes > from.offset),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(raw: &str) -> Result<Self, PositionError> {
        let (segment, offset) = raw.split_once(':').unwrap_or((raw, "0"));
        let segment = segment.parse().map_err(|_| PositionError)?;
        Ok(Self { segment, offset: offset.parse().map_err(|_| PositionError)? })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, OpenOptions},
        io::Write,
    };

    use super::*;
    use crate::{
        Line,
        line::{Origin, Unplaced},
        partner::PartnerName,
    };

    struct Segments {
        data_dir: tempfile::TempDir,
        seq: u64,
    }

    impl Segments {
        fn new() -> Self {
            let data_dir = tempfile::tempdir().unwrap();
            fs::create_dir(data_dir.path().join("segments")).unwrap();
            Self { data_dir, seq: 0 }
        }

        fn path(&self, number: u64, suffix: &str) -> PathBuf {
            self.data_dir.path().join("segments").join(format!("20260101T000000.000Z-{number:010}-a{suffix}"))
        }

        /// Appends the next line to the open segment of this number.
        fn write(&mut self, number: u64) {
            let partner = PartnerName::parse("ads").unwrap();
            let (mut push, mut bytes) = (Unplaced::default(), Vec::new());
            push.event(Origin { partner: &partner, received_at: 1, request_id: "r" }, "e", "{}");
            self.seq += push.place(self.seq, &mut bytes);
            self.write_raw(number, &bytes);
        }

        fn write_raw(&self, number: u64, bytes: &[u8]) {
            let mut file = OpenOptions::new().create(true).append(true).open(self.path(number, ".open")).unwrap();
            file.write_all(bytes).unwrap();
        }

        fn complete(&self, number: u64) {
            fs::rename(self.path(number, ".open"), self.path(number, ".ndjson")).unwrap();
        }

        fn follow(&self, from: Option<Position>, stop: Stop) -> Follow {
            Follow::new(self.data_dir.path(), Family::Events, from, stop)
        }
    }

    const NOTHING: [u64; 0] = [];

    fn read(follow: &mut Follow) -> Vec<u64> {
        std::iter::from_fn(|| follow.next_line().unwrap()).map(|line| Line::read(&line).unwrap().seq).collect()
    }

    #[test]
    fn whoever_looks_on_sees_every_line_once_across_rotations() {
        let mut segments = Segments::new();
        let mut follow = segments.follow(None, Stop::Newest);
        assert_eq!(read(&mut follow), NOTHING);
        segments.write(1);
        assert_eq!(read(&mut follow), [0]);
        segments.write(1);
        segments.complete(1);
        segments.write(2);
        assert_eq!(read(&mut follow), [1, 2], "what was written before the rename, and what came behind it");
        segments.write(2);
        segments.complete(2);
        assert_eq!(read(&mut follow), [3]);
        segments.write(3);
        segments.complete(3);
        segments.write(4);
        assert_eq!(read(&mut follow), [4, 5]);
        assert_eq!(follow.skipped(), 0);
    }

    #[test]
    fn half_a_line_is_given_out_when_it_is_whole() {
        let mut segments = Segments::new();
        let mut follow = segments.follow(None, Stop::Newest);
        segments.write(1);
        let line = fs::read(segments.path(1, ".open")).unwrap();
        segments.write_raw(1, &line[..30]);
        assert_eq!(read(&mut follow), [0]);
        segments.write_raw(1, &line[30..]);
        assert_eq!(read(&mut follow), [0]);
        assert_eq!(follow.skipped(), 0);
    }

    #[test]
    fn whoever_ships_sees_complete_segments_only_and_goes_on_where_it_was() {
        let mut segments = Segments::new();
        for number in [1, 1, 1, 2] {
            segments.write(number);
        }
        let mut follow = segments.follow(None, Stop::Complete);
        assert_eq!(read(&mut follow), NOTHING);
        segments.complete(1);
        follow.next_line().unwrap().unwrap();
        let position: Position = follow.position().unwrap().to_string().parse().unwrap();
        assert_eq!(Some(&position), follow.position().as_ref());
        let mut later = segments.follow(Some(position), Stop::Complete);
        assert_eq!(read(&mut later), [1, 2]);
        segments.complete(2);
        assert_eq!(read(&mut later), [3]);
        let end = later.position();
        assert_eq!(read(&mut segments.follow(end.clone(), Stop::Newest)), NOTHING);
        fs::remove_file(segments.path(1, ".ndjson")).unwrap();
        fs::remove_file(segments.path(2, ".ndjson")).unwrap();
        segments.write(3);
        assert_eq!(read(&mut segments.follow(end, Stop::Newest)), [4], "a segment that was deleted is passed over");
    }

    #[test]
    fn what_a_killed_process_left_open_does_not_hold_up_what_follows() {
        let mut segments = Segments::new();
        segments.write(1);
        segments.write_raw(1, b"{\"torn");
        let mut follow = segments.follow(None, Stop::Newest);
        assert_eq!(read(&mut follow), [0]);
        segments.write(2);
        assert_eq!(read(&mut follow), [1]);
        assert_eq!(follow.skipped(), 1);
    }

    #[test]
    fn a_position_is_read_as_it_is_written() {
        let segment = "20260101T000000.000Z-0000000001-a";
        assert_eq!(segment.parse::<Position>().unwrap().to_string(), format!("{segment}:0"));
        for bad in ["", ":1", "x:1", &format!("{segment}:"), &format!("{segment}:-1"), &format!("{segment}:1:2")] {
            assert_eq!(bad.parse::<Position>(), Err(PositionError), "{bad}");
        }
    }
}

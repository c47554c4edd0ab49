//! Which segments are deleted, and how far a shipper has come.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use common::clock::Timestamp;

use super::{listing::SegmentFile, name::SegmentName};
use crate::disk::{RealDisk, replace};

/// How far whoever ships segments has come: the last one that is wholly shipped. A file, `ingest/shipped` in `data_dir`.
///
/// While it exists, no segment behind it is ever deleted. It is optional: a shipper that remembers by itself, as filebeat
/// does, does without.
#[derive(Clone, Debug)]
pub struct Checkpoint(PathBuf);

impl Checkpoint {
    /// The checkpoint of the store in `data_dir`.
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("ingest").join("shipped"))
    }

    /// The last segment that is wholly shipped; `None` when there is no checkpoint.
    ///
    /// # Errors
    /// What the operating system says; [`io::ErrorKind::InvalidData`] when the file holds something else.
    pub fn read(&self) -> io::Result<Option<SegmentName>> {
        match fs::read_to_string(&self.0) {
            Ok(text) => match text.trim().parse() {
                Ok(name) => Ok(Some(name)),
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Moves the checkpoint: everything up to `shipped` may be deleted. Durable when it returns. One shipper at a time.
    ///
    /// # Errors
    /// What the operating system says; the old checkpoint stays.
    pub fn write(&self, shipped: &SegmentName) -> io::Result<()> {
        replace(&RealDisk, &self.0, format!("{shipped}\n").as_bytes())
    }
}

/// What may be deleted.
#[derive(Clone, Debug)]
pub(crate) enum Shipped {
    /// Nobody says: age decides.
    Unknown,
    /// Up to and including this one.
    UpTo(SegmentName),
    /// There is a checkpoint and it can't be read: nothing.
    Unreadable,
}

/// What decides.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) now: Timestamp,
    pub(crate) keep_for: Duration,
    pub(crate) shipped: Shipped,
    /// Bytes that should be won by deleting before the time.
    pub(crate) wanted_bytes: u64,
}

impl Policy {
    /// Which of `files`, sorted by age, are deleted: always the oldest complete ones.
    pub(crate) fn deletes<'a>(&self, files: &'a [SegmentFile]) -> Vec<&'a SegmentFile> {
        let mut won = 0_u64;
        let goes = |file: &&SegmentFile| {
            let is_old = self.now.since(file.name.begun_at()) > self.keep_for;
            let is_shipped = match &self.shipped {
                Shipped::Unknown => true,
                Shipped::UpTo(last) => file.name <= *last,
                Shipped::Unreadable => false,
            };
            let goes = is_shipped && (is_old || won < self.wanted_bytes);
            won += if goes { file.bytes } else { 0 };
            goes
        };
        files.iter().filter(|file| file.is_complete).take_while(goes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn name(day: i64) -> SegmentName {
        SegmentName::new(Timestamp::from_millis(day * 24 * 3600 * 1000), day.unsigned_abs(), "a".into())
    }

    /// One segment of 100 bytes a day, the last one open.
    fn files() -> Vec<SegmentFile> {
        let file = |day| SegmentFile { name: name(day), path: PathBuf::new(), is_complete: day < 9, bytes: 100 };
        (0..10).map(file).collect()
    }

    fn deleted(shipped: Shipped, keep_days: u32, wanted_bytes: u64) -> usize {
        let now = Timestamp::from_millis(0) + 10 * DAY;
        Policy { now, keep_for: keep_days * DAY, shipped, wanted_bytes }.deletes(&files()).len()
    }

    #[test]
    fn what_is_old_goes_and_the_open_one_never() {
        assert_eq!(deleted(Shipped::Unknown, 7, 0), 3);
        assert_eq!(deleted(Shipped::Unknown, 20, 0), 0);
        assert_eq!(deleted(Shipped::Unknown, 0, u64::MAX), 9);
    }

    #[test]
    fn no_more_goes_for_space_than_is_needed() {
        assert_eq!(deleted(Shipped::Unknown, 20, 101), 2);
        assert_eq!(deleted(Shipped::Unknown, 7, 301), 4, "what went by age counts");
    }

    #[test]
    fn what_is_not_shipped_stays_however_old_it_is_and_however_full_the_disk() {
        assert_eq!(deleted(Shipped::UpTo(name(1)), 0, u64::MAX), 2);
        assert_eq!(deleted(Shipped::Unreadable, 0, u64::MAX), 0);
    }

    #[test]
    fn a_checkpoint_is_there_or_not_and_never_half() {
        let data_dir = tempfile::tempdir().unwrap();
        fs::create_dir(data_dir.path().join("ingest")).unwrap();
        let checkpoint = Checkpoint::of(data_dir.path());
        assert_eq!(checkpoint.read().unwrap(), None);
        checkpoint.write(&name(3)).unwrap();
        checkpoint.write(&name(4)).unwrap();
        assert_eq!(checkpoint.read().unwrap(), Some(name(4)));
        fs::write(data_dir.path().join("ingest/shipped"), "20260101T0000").unwrap();
        assert_eq!(checkpoint.read().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}

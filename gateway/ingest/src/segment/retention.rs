//! Which segments are deleted, and how far whoever ships them has come.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use common::clock::Timestamp;

use super::{listing::SegmentFile, name::SegmentName, progress::Progress};
use crate::{
    disk::{RealDisk, replace},
    read::Position,
};

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

/// What one of those who ship has done with, and so may be deleted.
#[derive(Clone, Debug)]
pub(crate) enum Shipped {
    /// Up to and including this one.
    UpTo(SegmentName),
    /// Up to this place: a segment that goes beyond it stays.
    To(Position),
    /// Nothing, or it says how far it has come and that can't be read.
    Nothing,
}

impl Shipped {
    /// What everybody says who ships from `data_dir`; nobody does when it is empty: then age alone decides.
    pub(crate) fn by_all(data_dir: &Path) -> Vec<Self> {
        let by_hand = match Checkpoint::of(data_dir).read() {
            Ok(last) => last.map(Self::UpTo),
            Err(error) => Some(Self::unreadable(&error)),
        };
        let told = match Progress::all(data_dir) {
            Ok(told) => told,
            Err(error) => return vec![Self::unreadable(&error)],
        };
        let told = told.into_iter().map(|progress| match progress.read() {
            Ok(Some(at)) => Self::To(at),
            Ok(None) => Self::Nothing,
            Err(error) => Self::unreadable(&error),
        });
        by_hand.into_iter().chain(told).collect()
    }

    fn unreadable(error: &io::Error) -> Self {
        tracing::warn!(%error, "a shipper's checkpoint can't be read: no segment is deleted");
        Self::Nothing
    }

    fn covers(&self, file: &SegmentFile) -> bool {
        match self {
            Self::UpTo(last) => file.name <= *last,
            Self::To(at) => file.name < at.segment || (file.name == at.segment && file.bytes <= at.offset),
            Self::Nothing => false,
        }
    }
}

/// What decides.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) now: Timestamp,
    pub(crate) keep_for: Duration,
    /// By each of those who ship; what all of them have done with may go.
    pub(crate) shipped: Vec<Shipped>,
    /// Bytes that should be won by deleting before the time.
    pub(crate) wanted_bytes: u64,
}

impl Policy {
    /// Which of `files`, sorted by age, are deleted: always the oldest complete ones.
    pub(crate) fn deletes<'a>(&self, files: &'a [SegmentFile]) -> Vec<&'a SegmentFile> {
        let mut won = 0_u64;
        let goes = |file: &&SegmentFile| {
            let is_old = self.now.since(file.name.begun_at()) > self.keep_for;
            let is_shipped = self.shipped.iter().all(|shipped| shipped.covers(file));
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

    fn deleted(shipped: &[Shipped], keep_days: u32, wanted_bytes: u64) -> usize {
        let now = Timestamp::from_millis(0) + 10 * DAY;
        Policy { now, keep_for: keep_days * DAY, shipped: shipped.to_vec(), wanted_bytes }.deletes(&files()).len()
    }

    #[test]
    fn what_is_old_goes_and_the_open_one_never() {
        assert_eq!(deleted(&[], 7, 0), 3);
        assert_eq!(deleted(&[], 20, 0), 0);
        assert_eq!(deleted(&[], 0, u64::MAX), 9);
    }

    #[test]
    fn no_more_goes_for_space_than_is_needed() {
        assert_eq!(deleted(&[], 20, 101), 2);
        assert_eq!(deleted(&[], 7, 301), 4, "what went by age counts");
    }

    #[test]
    fn what_is_not_shipped_stays_however_old_it_is_and_however_full_the_disk() {
        let at = |day, offset| Shipped::To(Position { segment: name(day), offset });
        assert_eq!(deleted(&[Shipped::UpTo(name(1))], 0, u64::MAX), 2);
        assert_eq!(deleted(&[Shipped::Nothing], 0, u64::MAX), 0);
        assert_eq!(deleted(&[at(1, 100)], 0, u64::MAX), 2);
        assert_eq!(deleted(&[at(1, 99)], 0, u64::MAX), 1, "its last line is not shipped");
        assert_eq!(deleted(&[at(5, 0), Shipped::UpTo(name(2))], 0, u64::MAX), 3, "the slowest of them decides");
        assert_eq!(deleted(&[at(5, 0), Shipped::Nothing], 0, u64::MAX), 0);
    }

    #[test]
    fn everybody_who_ships_is_asked_and_whoever_can_not_be_understood_keeps_everything() {
        let data_dir = tempfile::tempdir().unwrap();
        let said = || format!("{:?}", Shipped::by_all(data_dir.path()));
        assert_eq!(said(), "[]", "no directory, nobody who ships");
        fs::create_dir(data_dir.path().join("ingest")).unwrap();
        assert_eq!(said(), "[]");
        Checkpoint::of(data_dir.path()).write(&name(3)).unwrap();
        Progress::of(data_dir.path(), "kafka").unwrap().begin().unwrap();
        assert!(matches!(&Shipped::by_all(data_dir.path())[..], [Shipped::UpTo(_), Shipped::Nothing]));
        fs::write(data_dir.path().join("ingest/shipped-lake"), "torn").unwrap();
        assert_eq!(Shipped::by_all(data_dir.path()).len(), 3);
        assert!(matches!(Shipped::by_all(data_dir.path()).last(), Some(Shipped::Nothing)));
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

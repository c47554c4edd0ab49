//! [`Appender`]: the one place that writes segments.
//!
//! A segment is begun by its first commit, and completed by its size, its age or a failure. After a failed write or sync
//! nobody knows what is on the disk, and a second sync may succeed without having written anything. So the file is cut
//! back to the end of the last commit that succeeded, completed, and never written to again; nothing new is written
//! before that has been done.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use common::clock::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Family, name::SegmentName};
use crate::{
    config::Durability,
    disk::{DiskFile, SharedDisk, append_all, replace},
};

/// What the next segment and the next line are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counters {
    /// The number of the next segment.
    pub(crate) next_number: u64,
    /// The place of the next line.
    pub(crate) next_seq: u64,
}

/// When a segment is completed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    pub(crate) bytes: u64,
    pub(crate) age: Duration,
}

/// What an appender is made of.
#[derive(Clone, Debug)]
pub(crate) struct AppenderParts {
    pub(crate) disk: SharedDisk,
    pub(crate) family: Family,
    pub(crate) directory: PathBuf,
    /// Where the counters are kept, for the day when all segments have been deleted.
    pub(crate) counters_file: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) rotation: Rotation,
    pub(crate) instance: Arc<str>,
}

/// Writes the segments of one family.
#[derive(Debug)]
pub(crate) struct Appender {
    parts: AppenderParts,
    counters: Counters,
    /// No segment is begun before this moment, by its name: names sort also when the clock was set back.
    latest: Timestamp,
    open: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    name: SegmentName,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    begun_at: Timestamp,
    /// Bytes of the commits that succeeded.
    kept_bytes: u64,
    /// It would still be there after a power failure.
    has_durable_name: bool,
    /// Has to be cut and completed before anything new is written.
    is_broken: bool,
    is_renamed: bool,
}

impl Appender {
    pub(crate) fn new(parts: AppenderParts, counters: Counters, latest: Timestamp) -> Self {
        Self { parts, counters, latest, open: None }
    }

    /// The place of the next line.
    pub(crate) fn next_seq(&self) -> u64 {
        self.counters.next_seq
    }

    /// How old the open segment is.
    pub(crate) fn open_age(&self, now: Timestamp) -> Duration {
        self.open.as_ref().map_or(Duration::ZERO, |open| now.since(open.begun_at))
    }

    /// Appends lines that belong together, so durably as is configured. When it fails none of them is in a segment, or
    /// will be before anything else is.
    pub(crate) fn commit(&mut self, now: Timestamp, bytes: &[u8], lines: u64) -> io::Result<()> {
        self.mend()?;
        if self.is_full_with(bytes.len()) {
            self.complete()?;
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(self.parts.begin(&mut self.counters, &mut self.latest, now)?),
        };
        let outcome = self.parts.append(open, bytes);
        match outcome {
            Ok(()) => {
                self.counters.next_seq += lines;
                Ok(())
            }
            Err(error) => {
                open.is_broken = true;
                // If this fails it is tried again before the next commit.
                if let Err(error) = self.mend() {
                    tracing::warn!(%error, "a segment could not be mended after a failure");
                }
                Err(error)
            }
        }
    }

    /// Completes the open segment if its time has come.
    pub(crate) fn rotate(&mut self, now: Timestamp) -> io::Result<()> {
        self.mend()?;
        let Rotation { bytes, age } = self.parts.rotation;
        let is_due = self.open.as_ref().is_some_and(|open| {
            // A clock that was set back would make it live for ever.
            open.kept_bytes >= bytes || now.since(open.begun_at) >= age || now < open.begun_at
        });
        if is_due { self.complete() } else { Ok(()) }
    }

    /// Completes the open segment: it is durable and has its final name when this succeeds.
    pub(crate) fn complete(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let outcome = self.parts.complete(open);
        if outcome.is_err() {
            open.is_broken = true;
            return outcome;
        }
        self.open = None;
        self.keep_counters();
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| open.is_broken) { self.complete() } else { Ok(()) }
    }

    fn is_full_with(&self, more: usize) -> bool {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let most = self.parts.rotation.bytes;
        self.open.as_ref().is_some_and(|open| open.kept_bytes > 0 && open.kept_bytes.saturating_add(more) > most)
    }

    fn keep_counters(&self) {
        let kept = serde_json::to_vec(&self.counters).map_err(io::Error::from);
        // They are found in the segments, too.
        if let Err(error) = kept.and_then(|kept| replace(&*self.parts.disk, &self.parts.counters_file, &kept)) {
            tracing::debug!(%error, "the counters of segments could not be kept");
        }
    }
}

impl AppenderParts {
    fn begin(&self, counters: &mut Counters, latest: &mut Timestamp, now: Timestamp) -> io::Result<OpenSegment> {
        let name = SegmentName::new(now.max(*latest), counters.next_number, Arc::clone(&self.instance));
        // Also when this fails: no name is used twice.
        counters.next_number += 1;
        *latest = name.begun_at();
        let path = self.family.open_path(&self.directory, &name);
        let file = self.disk.create(&path)?;
        Ok(OpenSegment {
            name,
            path,
            file,
            begun_at: now,
            kept_bytes: 0,
            has_durable_name: false,
            is_broken: false,
            is_renamed: false,
        })
    }

    fn append(&self, open: &mut OpenSegment, bytes: &[u8]) -> io::Result<()> {
        if !open.has_durable_name {
            self.disk.sync_directory(&self.directory)?;
            open.has_durable_name = true;
        }
        append_all(&mut *open.file, bytes)?;
        if self.durability == Durability::Fsync {
            open.file.sync()?;
        }
        open.kept_bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// Each step is repeated until it has succeeded once.
    fn complete(&self, open: &mut OpenSegment) -> io::Result<()> {
        if !open.is_renamed {
            if open.kept_bytes == 0 {
                self.disk.remove(&open.path)?;
            } else {
                if open.is_broken {
                    open.file.truncate(open.kept_bytes)?;
                }
                open.file.sync()?;
                self.disk.rename(&open.path, &self.family.complete_path(&self.directory, &open.name))?;
            }
            open.is_renamed = true;
        }
        self.disk.sync_directory(&self.directory)
    }
}

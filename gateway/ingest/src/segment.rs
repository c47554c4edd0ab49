//! Files of lines: how they are called, written, completed, mended after a crash, and deleted.

pub(crate) mod appender;
pub(crate) mod lines;
pub(crate) mod listing;
pub(crate) mod name;
pub(crate) mod progress;
pub(crate) mod recovery;
pub(crate) mod retention;

use std::path::{Path, PathBuf};

use self::name::SegmentName;

/// What kind of lines a file has, and so where it lies and how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Events: `segments/*.ndjson`.
    Events,
    /// Events that could not be taken: `segments-dead/*.dead.ndjson`.
    Dead,
}

impl Family {
    /// The directory in `data_dir`.
    pub fn directory(self, data_dir: &Path) -> PathBuf {
        data_dir.join(match self {
            Self::Events => "segments",
            Self::Dead => "segments-dead",
        })
    }

    /// How complete files end.
    pub fn complete_suffix(self) -> &'static str {
        match self {
            Self::Events => ".ndjson",
            Self::Dead => ".dead.ndjson",
        }
    }

    /// How the file that is being written ends.
    pub fn open_suffix(self) -> &'static str {
        match self {
            Self::Events => ".open",
            Self::Dead => ".dead.open",
        }
    }

    pub(crate) fn complete_path(self, directory: &Path, name: &SegmentName) -> PathBuf {
        directory.join(format!("{name}{}", self.complete_suffix()))
    }

    pub(crate) fn open_path(self, directory: &Path, name: &SegmentName) -> PathBuf {
        directory.join(format!("{name}{}", self.open_suffix()))
    }
}

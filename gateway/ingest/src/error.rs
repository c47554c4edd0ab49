//! What can go wrong, one variant per thing somebody can do something about.

use std::{io, path::PathBuf, time::Duration};

/// Why a push was not acknowledged. Nothing of it counts as taken; except for [`IngestError::Slow`] nothing of it is
/// stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// The partner has used its rate up.
    #[error("the partner pushes faster than it may")]
    RateLimited {
        /// When its allowance will do for this push.
        retry_after: Duration,
    },
    /// The disk is slower than what comes in: the queue, or the partner's part of it, is full.
    #[error("too many events wait for the disk")]
    Overloaded {
        /// When to come again.
        retry_after: Duration,
    },
    /// There is no room on the disk. It goes on by itself when there is.
    #[error("there is no room on the disk")]
    DiskFull {
        /// When to come again.
        retry_after: Duration,
    },
    /// The disk did not take it. The next push is tried anew.
    #[error("the disk did not take the events")]
    DiskFailed {
        /// When to come again.
        retry_after: Duration,
    },
    /// It took longer than `ack_timeout` and is not known to be durable. It may become so: if it is pushed again, events
    /// with an `event_id` are recognised.
    #[error("the events are not durable yet")]
    Slow {
        /// When to come again.
        retry_after: Duration,
    },
    /// The push is larger than the whole queue. Only a smaller one can be taken.
    #[error("the push is larger than the queue")]
    TooLarge,
    /// The store closes, or has ended by a fault of its own.
    #[error("the store of events is closing")]
    ShuttingDown,
}

impl IngestError {
    /// The label of metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::RateLimited { .. } => "rate_limited",
            Self::Overloaded { .. } => "overloaded",
            Self::DiskFull { .. } => "disk_full",
            Self::DiskFailed { .. } => "disk_failed",
            Self::Slow { .. } => "slow",
            Self::TooLarge => "too_large",
            Self::ShuttingDown => "shutting_down",
        }
    }

    /// When to come again, if that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match *self {
            Self::RateLimited { retry_after }
            | Self::Overloaded { retry_after }
            | Self::DiskFull { retry_after }
            | Self::DiskFailed { retry_after }
            | Self::Slow { retry_after } => Some(retry_after),
            Self::TooLarge | Self::ShuttingDown => None,
        }
    }
}

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the directory.
    #[error("{} is in use by another process", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// Something in the directory can't be made, read or mended.
    #[error("{}: {source}", path.display())]
    Io {
        /// What it was about.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The kept name of this instance can't be a part of file names.
    #[error("{} does not hold the name of an instance", path.display())]
    Instance {
        /// The file.
        path: PathBuf,
    },
    /// A metric's name is taken: the store was opened twice with one registry.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl OpenError {
    /// For `map_err`: what `path` has to do with it.
    pub(crate) fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

//! What the cache asks of a store.

use std::future::Future;

use crate::domain::{Audience, DocumentError, Snapshot};

/// Somewhere settings can be read from.
pub(crate) trait Source: Send + Sync + 'static {
    /// Reads and evaluates the settings of one audience. No time limit of its own: callers decide how long they wait.
    fn load(&self, audience: &Audience) -> impl Future<Output = Result<Loaded, ReadFailure>> + Send;
}

/// What a read found.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) snapshot: Snapshot,
    /// Whether the app or the channel has a document at all.
    pub(crate) exists: bool,
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    #[error("the settings store failed: {0}")]
    Store(#[from] opendal::Error),
    #[error("{path}: {reason}")]
    Broken { path: String, reason: DocumentError },
}

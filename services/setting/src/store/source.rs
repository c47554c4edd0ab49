//! What the copies in memory ask of a store.

use std::{future::Future, sync::Arc};

use crate::{
    domain::AppId,
    store::{Live, objects::ObjectError},
};

/// Somewhere settings can be read from.
pub(crate) trait Source: Send + Sync + 'static {
    /// Reads an app's newest settings unless `known`, 0 for none, is the newest. No time limit of its own: callers decide
    /// how long they wait.
    fn load(&self, app: AppId, known: i64, look: Look) -> impl Future<Output = Result<Loaded, ReadFailure>> + Send;
}

/// How far a read looks. One for which nothing is known looks beyond in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// The pointer says what is current: one small read if it is what is known.
    AtPointer,
    /// There may be a version that the pointer does not name yet.
    Beyond,
}

/// What a read found.
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    /// What is known is current.
    Unchanged,
    /// This is.
    Newer(Arc<Live>),
    /// The app has published nothing.
    Absent,
}

/// Why a read gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadFailure {
    #[error("the settings store failed: {0}")]
    Store(ObjectError),
    #[error("{path}: {reason}")]
    Broken { path: String, reason: String },
}

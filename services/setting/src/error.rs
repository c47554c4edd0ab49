//! What can go wrong, one variant per thing a caller or an operator can do something about.

use std::time::Duration;

use common::{
    error_code::{ErrorCode, PublicError},
    rpc::Refusal,
};

use crate::domain::AudienceError;

/// Why settings were not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetSettingsError {
    #[error("{field} {reason}")]
    Argument { field: &'static str, reason: AudienceError },

    /// Nothing good was ever read, and the store does not give anything now.
    #[error("the settings store does not answer and there is no earlier copy")]
    StoreUnavailable { retry_after: Duration },

    /// Nothing good was ever read, and what is there now can't be used. Not "no settings": an empty answer would switch
    /// off for every player whatever the operator meant to set.
    #[error("the settings document is broken and there is no earlier copy")]
    DocumentBroken { retry_after: Duration },

    /// The first read is still under way.
    #[error("the first read of these settings takes longer than the caller waits")]
    FirstReadSlow { retry_after: Duration },

    #[error("too many first reads of settings at one moment")]
    TooManyReads { retry_after: Duration },
}

impl Refusal for GetSettingsError {
    fn public(&self) -> PublicError {
        match self {
            Self::Argument { field, reason } => PublicError::invalid(*field, reason.to_string()),
            Self::StoreUnavailable { retry_after }
            | Self::DocumentBroken { retry_after }
            | Self::FirstReadSlow { retry_after } => PublicError::unavailable(*retry_after),
            Self::TooManyReads { retry_after } => PublicError::new(ErrorCode::OVERLOADED).retry_after(*retry_after),
        }
    }
    /// The cache logs a failing store and a broken document once, when it finds them, and not at every reader.
    fn is_logged(&self) -> bool {
        match self {
            Self::StoreUnavailable { .. } | Self::DocumentBroken { .. } | Self::FirstReadSlow { .. } => true,
            Self::Argument { .. } | Self::TooManyReads { .. } => false,
        }
    }
}

/// Why the service can't start, or can't write its first document.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store can't be opened: the directory does not exist and can't be made, or its path is not UTF-8.
    #[error("setting.root {root:?}: {reason}")]
    Store {
        /// The directory.
        root: std::path::PathBuf,
        /// Why not.
        reason: String,
    },
    /// The store refused the demo document.
    #[error("the demo settings can't be written")]
    Demo(#[source] opendal::Error),
    /// An app id outside the allowed range.
    #[error("app id {0} must be a positive integer below 2^53")]
    AppId(i64),
    /// A metric of the same name exists already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

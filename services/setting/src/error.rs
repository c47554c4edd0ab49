//! What can go wrong, one variant per thing a caller or an operator can do something about.

use std::{path::PathBuf, time::Duration};

use common::{
    config::Invalid,
    error_code::{DEFAULT_RETRY_AFTER, ErrorCode, PublicError},
    rpc::Refusal,
};

use crate::{
    domain::{AudienceError, Problems},
    store::{PublishFailure, ReadFailure},
};

/// An argument that can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} {reason}")]
pub(crate) struct ArgumentError {
    pub(crate) field: &'static str,
    pub(crate) reason: String,
}

impl ArgumentError {
    pub(crate) fn new(field: &'static str, reason: impl Into<String>) -> Self {
        Self { field, reason: reason.into() }
    }

    /// For what the domain refuses.
    pub(crate) fn of(field: &'static str) -> impl Fn(AudienceError) -> Self {
        move |reason| Self::new(field, reason.to_string())
    }

    fn public(&self) -> PublicError {
        PublicError::invalid(self.field, self.reason.clone())
    }
}

impl Refusal for ArgumentError {
    fn public(&self) -> PublicError {
        self.public()
    }
}

/// Why settings were not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetSettingsError {
    #[error(transparent)]
    Argument(#[from] ArgumentError),

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
            Self::Argument(argument) => argument.public(),
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
            Self::Argument(_) | Self::TooManyReads { .. } => false,
        }
    }
}

/// Why an operator's request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    #[error(transparent)]
    Argument(#[from] ArgumentError),

    /// The document can't be published.
    #[error("{0}")]
    Document(Problems),

    #[error("the document is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },

    /// What was to be published was not made from the current revision.
    #[error("the current revision is {current}")]
    Changed { current: i64 },

    /// There is none, or none any more.
    #[error("there is no version {version}")]
    NoSuchVersion { version: i64 },

    #[error(transparent)]
    Settings(#[from] GetSettingsError),

    #[error(transparent)]
    Read(#[from] ReadFailure),

    #[error(transparent)]
    Publish(#[from] PublishFailure),

    /// It goes on. Whether it was carried out is told by asking again.
    #[error("the settings store takes longer than the caller waits")]
    Slow,

    #[error("too many operators' requests at one moment")]
    Busy,

    #[error("the task that carried it out ended without a result")]
    Lost(#[source] tokio::task::JoinError),
}

impl Refusal for AdminError {
    fn public(&self) -> PublicError {
        match self {
            Self::Argument(argument) => argument.public(),
            Self::Document(problems) => refused_document(problems),
            Self::TooLarge { bytes_max } => PublicError::new(ErrorCode::BODY_TOO_LARGE)
                .detail("document", format!("must be at most {bytes_max} bytes")),
            Self::Changed { current } => PublicError::new(ErrorCode::SETTINGS_CHANGED)
                .detail("base_revision", format!("the current revision is {current}")),
            Self::NoSuchVersion { .. } => PublicError::new(ErrorCode::NO_SUCH_SETTING),
            Self::Settings(cause) => cause.public(),
            Self::Read(_) | Self::Publish(_) | Self::Slow => PublicError::unavailable(DEFAULT_RETRY_AFTER),
            Self::Busy => PublicError::new(ErrorCode::OVERLOADED).retry_after(DEFAULT_RETRY_AFTER),
            Self::Lost(_) => PublicError::internal(),
        }
    }

    fn is_logged(&self) -> bool {
        matches!(self, Self::Settings(cause) if cause.is_logged())
    }
}

fn refused_document(problems: &Problems) -> PublicError {
    let refusal = PublicError::new(ErrorCode::INVALID_ARGUMENT);
    problems.as_slice().iter().fold(refusal, |refusal, problem| {
        let field = if problem.path.is_empty() { "document".to_owned() } else { format!("document.{}", problem.path) };
        refusal.detail(field, problem.reason.clone())
    })
}

/// Why the service can't start, or can't publish its first settings.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory does not exist and can't be made, or its path is not UTF-8.
    #[error("setting.root {root:?}: {reason}")]
    Directory {
        /// The directory.
        root: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The bucket can't be used as it is configured, or lacks what publishing needs.
    #[error("setting.{kind}: {reason}")]
    Bucket {
        /// Which kind of store.
        kind: &'static str,
        /// Why not.
        reason: String,
    },
    /// A secret can't be read from its file.
    #[error("setting.{}: {}", .0.key, .0.reason)]
    Secret(Invalid),
    /// The store did not take the demo settings.
    #[error("the demo settings can't be published: {0}")]
    Demo(String),
    /// An app id outside the allowed range.
    #[error("app id {0} must be a positive integer below 2^53")]
    AppId(i64),
    /// A metric of the same name exists already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

impl From<Invalid> for OpenError {
    fn from(refused: Invalid) -> Self {
        Self::Secret(refused)
    }
}

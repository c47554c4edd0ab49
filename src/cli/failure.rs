//! Why a command did not do what it was asked to, as its one line and its exit status.

use std::{fmt, io::Write};

use common::{config::LoadError, lifecycle::ExitStatus};

/// A command that failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The operator has to change something.
    Configuration(LoadError),
    /// Anything else: the text is the whole chain of causes.
    Other(anyhow::Error),
}

impl Failure {
    pub(crate) fn status(&self) -> ExitStatus {
        match self {
            Failure::Configuration(_) => ExitStatus::Usage,
            Failure::Other(_) => ExitStatus::Failed,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Configuration(error) => error.fmt(f),
            Failure::Other(error) => write!(f, "{error:#}"),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Failure::Configuration(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Other(error)
    }
}

/// Says on standard error what went wrong, in one line.
pub(crate) fn complain(text: &str) {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr().lock(), "playgate: {}", text.replace('\n', " "));
}

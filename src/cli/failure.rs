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
            Failure::Other(error) => f.write_str(&with_causes(error)),
        }
    }
}

/// An error and its causes. A cause that an error already ends with, because it is part of its text, is not repeated.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
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

#[cfg(test)]
mod tests {
    use common::http::edge::ListenError;

    use super::*;

    #[test]
    fn every_cause_is_told_once() {
        let source = std::io::Error::other("no such address");
        let refused = ListenError::Refused { place: "10.0.0.1:80".to_owned(), source };
        let error = anyhow::Error::from(refused).context("the gateway could not be started");
        let line = Failure::Other(error).to_string();
        assert_eq!(line, "the gateway could not be started: cannot listen on 10.0.0.1:80: no such address");
    }
}

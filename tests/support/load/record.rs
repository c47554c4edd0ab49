//! What became of one request.

use std::time::Duration;

use super::super::Answer;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whether a good token is good.
    Verify,
    /// To sign in with a password that is right.
    Login,
    /// To go on with a refresh token that is good.
    Refresh,
    /// Whether a gateway is alive, which it knows without asking anybody.
    Pulse,
}

/// One request and how it ended. Times count from the beginning of the load.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) sent: Duration,
    pub(crate) answered: Duration,
    pub(crate) outcome: Outcome,
}

/// What an answer means for whoever asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should be; `degraded`, if the answer says that something was missing or came from a copy.
    Good { degraded: bool },
    /// A verdict or a refusal that is final, and wrong.
    Wrong(String),
    /// "Not now, ask again after": 429, 503 or 504 with a time.
    NotNow { retry_after: Duration },
    /// The same without a time, or a fault.
    Failed { status: u16 },
    /// No answer: the connection was refused or lost.
    NoAnswer,
    /// No answer in the time that anybody waits.
    TimedOut,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Verify, Self::Login, Self::Refresh, Self::Pulse];

    /// What an answer to a request of this kind means.
    pub(super) fn judge(self, answer: &Answer) -> Outcome {
        match answer.status {
            200 => self.judge_data(answer),
            429 | 503 | 504 => match answer.header("retry-after").parse() {
                Ok(seconds) => Outcome::NotNow { retry_after: Duration::from_secs(seconds) },
                Err(_) => Outcome::Failed { status: answer.status },
            },
            400..=499 => Outcome::Wrong(format!("{answer:?}")),
            status => Outcome::Failed { status },
        }
    }

    fn judge_data(self, answer: &Answer) -> Outcome {
        let degraded = match self {
            Self::Pulse => false,
            Self::Verify if answer.ok()["status"] != "valid" => return Outcome::Wrong(format!("{answer:?}")),
            Self::Verify => answer.ok()["degraded"] == true,
            Self::Login | Self::Refresh => {
                answer.ok()["degraded"].as_array().is_some_and(|missing| !missing.is_empty())
            }
        };
        Outcome::Good { degraded }
    }
}

impl Outcome {
    pub(crate) fn is_good(&self) -> bool {
        matches!(self, Self::Good { .. })
    }

    /// How long whoever asked was told to wait; zero, if nothing was said. Absent, there is nothing to wait for.
    pub(super) fn hint(&self) -> Option<Duration> {
        match self {
            Self::Good { .. } => None,
            Self::NotNow { retry_after } => Some(*retry_after),
            Self::Wrong(_) | Self::Failed { .. } | Self::NoAnswer | Self::TimedOut => Some(Duration::ZERO),
        }
    }
}

impl From<&reqwest::Error> for Outcome {
    fn from(error: &reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::NoAnswer }
    }
}

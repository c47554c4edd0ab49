//! What can become of a call, on the caller's side; and how a handler says no, on the callee's.
//!
//! The text of anything but a public error stays in the process: it goes to the log, never to whoever asked.

use std::{error::Error, fmt, io};

use volo_thrift::{BizError, ClientError, ServerError};

use super::biz;
use crate::error_code::{Blame, DEFAULT_RETRY_AFTER, ErrorCode, PublicError, meaning};

/// A call that brought no result. Which of these it is decides what the caller may do next.
///
/// Inside the suites it travels in [`ClientError::Transport`], which never comes from a peer, so that nobody can
/// pretend one of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The callee said no. Authoritative: asking again gets the same answer, unless the answer names a time.
    #[error("{0}")]
    Answered(PublicError),
    /// Nothing left this process: no instance is known, or none took the connection. Safe to repeat.
    #[error("not sent: {cause}")]
    NotSent {
        /// For the log.
        cause: String,
    },
    /// The connection was lost with the request on it: it may have been carried out or not. A call with side effects
    /// is never repeated here; a read was, if the budget for that was not used up.
    #[error("connection lost after the request was sent: {cause}")]
    LostAfterSend {
        /// For the log.
        cause: String,
    },
    /// Not asked, because most of the questions of this kind were left open lately: the breaker's rejection. Nothing left
    /// this process; the question is as open as it was.
    #[error("not asked: the callee has left most calls of this method open lately")]
    Rejected,
    /// Not asked, because as many calls to this callee are under way as may be: the bulkhead is full. Nothing left this
    /// process.
    #[error("not asked: no room for another call to this callee")]
    NoRoom,
    /// The time for this call, or its caller's, is over. Whatever had begun may still be carried out.
    #[error("deadline exceeded")]
    DeadlineExceeded,
    /// The two sides don't understand each other. A fault of ours.
    #[error("internal: {cause}")]
    Internal {
        /// For the log.
        cause: String,
    },
}

impl From<ClientError> for CallError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Biz(refusal) => Self::from(refusal),
            ClientError::Transport(lost) => {
                let ours = lost.io_error().get_ref().and_then(|inner| inner.downcast_ref::<Self>());
                // An outcome nobody classified is an unknown outcome.
                ours.cloned().unwrap_or_else(|| Self::LostAfterSend { cause: lost.to_string() })
            }
            ClientError::Application(_) | ClientError::Protocol(_) => Self::Internal { cause: error.to_string() },
        }
    }
}

impl From<BizError> for CallError {
    fn from(refusal: BizError) -> Self {
        let refusal = biz::decode(refusal);
        // Whether caller or callee noticed first that the time was over is a matter of microseconds.
        if refusal.code == ErrorCode::DEADLINE_EXCEEDED { Self::DeadlineExceeded } else { Self::Answered(refusal) }
    }
}

impl From<CallError> for ClientError {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::Answered(refusal) => return Self::Biz(biz::encode(refusal)),
            CallError::NotSent { .. } | CallError::Rejected => io::ErrorKind::NotConnected,
            CallError::NoRoom => io::ErrorKind::QuotaExceeded,
            CallError::LostAfterSend { .. } => io::ErrorKind::ConnectionReset,
            CallError::DeadlineExceeded => io::ErrorKind::TimedOut,
            CallError::Internal { .. } => io::ErrorKind::Other,
        };
        Self::from(io::Error::new(kind, error))
    }
}

impl From<CallError> for PublicError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Answered(refusal) => refusal,
            CallError::NotSent { .. } | CallError::LostAfterSend { .. } | CallError::Rejected => {
                Self::unavailable(DEFAULT_RETRY_AFTER)
            }
            CallError::NoRoom => Self::new(ErrorCode::OVERLOADED).retry_after(DEFAULT_RETRY_AFTER),
            CallError::DeadlineExceeded => Self::new(ErrorCode::DEADLINE_EXCEEDED),
            CallError::Internal { .. } => Self::internal(),
        }
    }
}

/// An error of a service that knows what of it may be seen outside.
pub trait Refusal: Error {
    /// The outside of this error.
    fn public(&self) -> PublicError;

    /// Whether whoever caused it has logged it already, so that a failure is one line and not one per hop.
    fn is_logged(&self) -> bool {
        false
    }
}

impl Refusal for PublicError {
    fn public(&self) -> PublicError {
        self.clone()
    }
}

impl Refusal for CallError {
    fn public(&self) -> PublicError {
        self.clone().into()
    }

    fn is_logged(&self) -> bool {
        matches!(self, Self::Answered(_))
    }
}

/// What a handler ends with. A fault of ours, or of something we depend on, is logged here, once, with everything that
/// caused it; the trace id is on the line because the log puts it on every line of a request.
pub fn answer<T, E: Refusal>(result: Result<T, E>) -> Result<T, ServerError> {
    result.map_err(|error| {
        let public = error.public();
        if !error.is_logged() {
            log_own_fault(public.code, &error);
        }
        refuse(&public)
    })
}

/// The one form in which anything but a result leaves a server.
pub(super) fn refuse(error: &PublicError) -> ServerError {
    ServerError::Biz(biz::encode(error))
}

fn log_own_fault(code: ErrorCode, error: &dyn Error) {
    let dependency = code == ErrorCode::DEPENDENCY_UNAVAILABLE || code == ErrorCode::DEADLINE_EXCEEDED;
    if dependency {
        tracing::warn!(code = code.inner(), error = %Chain(error), "a request failed on something it depends on");
    } else if meaning(code).blame == Blame::Us {
        tracing::error!(code = code.inner(), error = %Chain(error), "a request failed through a fault of ours");
    }
}

/// An error and everything that caused it, in one line.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use volo_thrift::{ApplicationException, ApplicationExceptionKind};

    use super::*;
    use crate::rpc::tests::log::captured;

    #[derive(Debug, thiserror::Error)]
    enum TestError {
        #[error("wrong password")]
        Wrong,
        #[error("the session table is gone")]
        Store(#[source] io::Error),
    }

    impl Refusal for TestError {
        fn public(&self) -> PublicError {
            match self {
                Self::Wrong => PublicError::new(ErrorCode::WRONG_CREDENTIALS),
                Self::Store(_) => PublicError::unavailable(Duration::from_secs(2)),
            }
        }
    }

    fn every_failure() -> [CallError; 7] {
        let cause = || "10.0.0.7:9081 refused".to_owned();
        [
            CallError::Answered(PublicError::invalid("username", "too short")),
            CallError::NotSent { cause: cause() },
            CallError::LostAfterSend { cause: cause() },
            CallError::Rejected,
            CallError::NoRoom,
            CallError::DeadlineExceeded,
            CallError::Internal { cause: cause() },
        ]
    }

    #[test]
    fn a_failure_survives_its_way_through_the_generated_client() {
        for failure in every_failure() {
            assert_eq!(CallError::from(ClientError::from(failure.clone())), failure);
        }
    }

    #[test]
    fn a_transport_error_that_nobody_classified_is_an_unknown_outcome() {
        let error = ClientError::from(CallError::NotSent { cause: "refused".to_owned() });
        // A copy of an I/O error keeps its kind and text, but not what it was made of.
        assert!(matches!(CallError::from(error.clone()), CallError::LostAfterSend { .. }));
        assert!(matches!(CallError::from(error), CallError::NotSent { .. }));
    }

    #[test]
    fn the_text_of_a_cause_never_reaches_the_outside() {
        for failure in every_failure() {
            let public = format!("{:?}", PublicError::from(failure));
            assert!(!public.contains("10.0.0.7"), "{public}");
        }
        let exception = ApplicationException::new(ApplicationExceptionKind::INTERNAL_ERROR, "at handler.rs:12");
        let public = PublicError::from(CallError::from(ClientError::Application(exception)));
        assert_eq!(public, PublicError::internal());
    }

    #[test]
    fn what_could_not_be_answered_says_when_to_ask_again() {
        let unavailable = ErrorCode::DEPENDENCY_UNAVAILABLE;
        for (cause, code) in [
            (CallError::NotSent { cause: String::new() }, unavailable),
            (CallError::LostAfterSend { cause: String::new() }, unavailable),
            (CallError::Rejected, unavailable),
            (CallError::NoRoom, ErrorCode::OVERLOADED),
        ] {
            let public = PublicError::from(cause);
            assert_eq!((public.code, public.http_status()), (code, 503));
            assert!(public.retry_after.is_some());
        }
    }

    #[test]
    fn a_refusal_is_answered_without_a_line_in_the_log() {
        let log = captured(|| {
            let refused = answer(Err::<(), _>(TestError::Wrong)).expect_err("refused");
            let ServerError::Biz(refused) = refused else { panic!("a business error: {refused:?}") };
            assert_eq!(biz::decode(refused), PublicError::new(ErrorCode::WRONG_CREDENTIALS));
        });
        assert_eq!(log, "");
    }

    #[test]
    fn a_failed_dependency_is_logged_once_with_its_causes_and_answered_without_them() {
        let mut answered = None;
        let log = captured(|| {
            let failed = TestError::Store(io::Error::other("pool timed out"));
            answered = answer(Err::<(), _>(failed)).err();
        });
        assert_eq!(log.matches("the session table is gone: pool timed out").count(), 1, "{log}");
        let Some(ServerError::Biz(answered)) = answered else { panic!("a business error: {answered:?}") };
        assert_eq!(biz::decode(answered), PublicError::unavailable(Duration::from_secs(2)));
    }

    #[test]
    fn what_a_callee_answered_is_its_own_to_log() {
        let log = captured(|| {
            let passed_on = CallError::Answered(PublicError::internal());
            assert!(answer(Err::<(), _>(passed_on)).is_err());
        });
        assert_eq!(log, "");
    }
}

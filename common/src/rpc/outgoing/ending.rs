//! What an attempt ends with, and what follows from it: whether it is tried again, and who learns what.
//!
//! | ending | breaker | ejection | latency | tried again, if a read |
//! |---|---|---|---|---|
//! | a result, or a refusal of any kind not named below | answered | answered | as it was | no |
//! | `OVERLOADED`, `SHUTTING_DOWN` | failed | answered | as a failure | elsewhere |
//! | `DEADLINE_EXCEEDED` of the callee | failed | answered | as it was | no |
//! | `INTERNAL`, an exception, a code that is not known | failed | failed | as a failure | elsewhere |
//! | no connection, and that took its time to find out | failed | failed | as a failure | no: they were all tried |
//! | connection refused by each instance that was tried | nothing | failed | as a failure | no: they were all tried |
//! | connection lost with the request on it | failed | failed | as a failure | yes |
//! | no instance is known, the breaker, the bulkhead | nothing | | | no |
//!
//! - A callee that sheds is not broken, and none of its instances is worse than the others; but to ask less is what
//!   shedding asks for, and what the breaker of the SRE book is for.
//! - A refused connection means that no process listens there: that costs the callee nothing, and its caller no time. A
//!   breaker that counted it would protect nobody, and reject calls for a second after every restart.
//! - `DEPENDENCY_UNAVAILABLE` is an answer: the callee works, and says of one of many things that it depends on (one
//!   channel of one game, say) that it does not. A breaker that counted it would refuse everybody else's calls, too. The
//!   callee has its own protection there; and its other instances depend on the same.
//! - A call that nobody waits for any more has no ending. What is learned from its silence is in `attempt` and `under_way`.

use std::io;

use govern::breaker::Outcome;
use volo_thrift::ClientError;

use crate::error_code::ErrorCode;

/// What an attempt ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a result, or a refusal that is an answer.
    Answered,
    /// The callee sheds.
    Overloaded,
    /// The callee says that the time was over.
    Late,
    /// A fault of the callee.
    Faulty,
    /// Nothing was sent: nobody listens where an instance should be.
    Refused,
    /// Nothing was sent: there was no connection to be had, for another reason.
    Unreachable,
    /// It was sent, and the connection was lost.
    Lost,
    /// Nothing was sent: no instance is known, or it was not let through.
    NotAsked,
}

impl Ending {
    /// Of an answer that arrived, and of everything else but a transport error.
    pub(super) fn of<T>(answer: &Result<T, ClientError>) -> Self {
        match answer {
            Ok(_) => Self::Answered,
            Err(ClientError::Biz(refusal)) => Self::of_code(ErrorCode::from(refusal.status_code)),
            Err(ClientError::Application(_) | ClientError::Protocol(_)) => Self::Faulty,
            Err(ClientError::Transport(_)) => Self::Lost,
        }
    }

    /// Of a connection that could not be made.
    pub(super) fn of_no_connection(kind: io::ErrorKind) -> Self {
        if kind == io::ErrorKind::ConnectionRefused { Self::Refused } else { Self::Unreachable }
    }

    fn of_code(code: ErrorCode) -> Self {
        match code {
            ErrorCode::OVERLOADED | ErrorCode::SHUTTING_DOWN => Self::Overloaded,
            ErrorCode::DEADLINE_EXCEEDED => Self::Late,
            ErrorCode::INTERNAL => Self::Faulty,
            code if ErrorCode::try_from_i32(code.inner()).is_none() => Self::Faulty,
            _ => Self::Answered,
        }
    }

    /// What the breaker counts.
    pub(super) fn for_breaker(self) -> Option<Outcome> {
        match self {
            Self::Answered => Some(Outcome::Answered),
            Self::Overloaded | Self::Late | Self::Faulty | Self::Unreachable | Self::Lost => Some(Outcome::Failed),
            Self::Refused | Self::NotAsked => None,
        }
    }

    /// Whether the instance showed that it lives.
    pub(super) fn is_sign_of_life(self) -> bool {
        matches!(self, Self::Answered | Self::Overloaded | Self::Late)
    }

    /// Whether it was quick because it did nothing: that must not attract more calls.
    pub(super) fn is_quick_failure(self) -> bool {
        !matches!(self, Self::Answered | Self::Late)
    }

    /// Whether a read is worth another attempt.
    pub(super) fn is_worth_repeating(self) -> bool {
        matches!(self, Self::Overloaded | Self::Faulty | Self::Lost)
    }

    /// Whether that attempt has to be at another instance: this one would say the same again.
    pub(super) fn only_elsewhere(self) -> bool {
        matches!(self, Self::Overloaded | Self::Faulty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error_code::PublicError, rpc::biz};

    fn refused_with(code: ErrorCode) -> Ending {
        Ending::of::<()>(&Err(ClientError::Biz(biz::encode(&PublicError::new(code)))))
    }

    #[test]
    fn a_refusal_that_is_the_callers_business_is_an_answer_to_everybody() {
        for code in [
            ErrorCode::WRONG_CREDENTIALS,
            ErrorCode::TOKEN_INVALID,
            ErrorCode::RATE_LIMITED_APP,
            ErrorCode::MAINTENANCE,
            ErrorCode::DEPENDENCY_UNAVAILABLE,
        ] {
            let ending = refused_with(code);
            assert_eq!((ending.for_breaker(), ending.is_sign_of_life()), (Some(Outcome::Answered), true), "{code:?}");
            assert!(!ending.is_worth_repeating() && !ending.is_quick_failure());
        }
    }

    #[test]
    fn a_callee_that_sheds_is_asked_less_and_none_of_its_instances_is_left_out() {
        let ending = refused_with(ErrorCode::OVERLOADED);
        assert_eq!((ending.for_breaker(), ending.is_sign_of_life()), (Some(Outcome::Failed), true));
        assert!(ending.is_quick_failure() && ending.is_worth_repeating() && ending.only_elsewhere());
    }

    #[test]
    fn nobody_listening_is_no_reason_to_stop_asking_and_a_connection_that_takes_for_ever_is() {
        let refused = Ending::of_no_connection(io::ErrorKind::ConnectionRefused);
        let late = Ending::of_no_connection(io::ErrorKind::TimedOut);
        assert_eq!((refused.for_breaker(), late.for_breaker()), (None, Some(Outcome::Failed)));
        assert!(!refused.is_sign_of_life() && !late.is_sign_of_life());
    }

    #[test]
    fn a_fault_counts_against_the_callee_and_the_instance() {
        for ending in [refused_with(ErrorCode::INTERNAL), refused_with(ErrorCode::from(1_234_567)), Ending::Lost] {
            assert_eq!((ending.for_breaker(), ending.is_sign_of_life()), (Some(Outcome::Failed), false));
            assert!(ending.is_worth_repeating());
        }
    }
}

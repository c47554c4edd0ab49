//! The calls to the other roles: who they are, how long they may take, and how their failures are answered.

use std::{future::Future, time::Duration};

use common::{
    context::RequestContext,
    error_code::{Blame, ErrorCode, PublicError, meaning},
    rpc::CallError,
};
use idl::{account::AccountServiceClient, pay::PayServiceClient, setting::SettingServiceClient};
use volo_thrift::ClientError;

/// How long a caller waits before it asks again when a role could not answer.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Clients of the other roles. The same types whether a role is in this process or behind the wire.
#[derive(Clone)]
pub struct Upstream {
    /// Identities, sessions, tokens.
    pub account: AccountServiceClient,
    /// Settings of apps.
    pub setting: SettingServiceClient,
    /// Wallets.
    pub pay: PayServiceClient,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream").finish_non_exhaustive()
    }
}

/// Runs `call` with at most `budget` of the time the caller still waits.
pub(crate) async fn within<T>(budget: Duration, call: impl Future<Output = T>) -> T {
    match RequestContext::current() {
        Some(context) => context.within(budget).scope(call).await,
        None => call.await,
    }
}

/// The answer when a question about a token could not be answered.
///
/// The one law is held here: only a refusal that account itself made, and that blames the caller, goes out as it is.
/// A deadline, a lost connection, a fault or a full queue all become "could not tell, ask again". Only where it is the
/// caller's own time that is over there is nothing to ask again for: that is 504, as from the front.
pub(crate) fn could_not_tell(error: impl Into<CallError>) -> PublicError {
    match error.into() {
        CallError::DeadlineExceeded if RequestContext::nobody_waits() => PublicError::new(ErrorCode::DEADLINE_EXCEEDED),
        CallError::Answered(refusal) if meaning(refusal.code).blame != Blame::Us => refusal,
        CallError::Answered(_)
        | CallError::NotSent { .. }
        | CallError::LostAfterSend { .. }
        | CallError::Rejected
        | CallError::DeadlineExceeded
        | CallError::Internal { .. } => {
            PublicError::new(ErrorCode::DEPENDENCY_UNAVAILABLE).retry_after(ASK_AGAIN_AFTER)
        }
        // Nobody was asked, because too many are being asked: this process is what is busy.
        CallError::NoRoom => PublicError::new(ErrorCode::OVERLOADED).retry_after(ASK_AGAIN_AFTER),
    }
}

/// The same where the question is whether a token is good. A bad one has its verdict: a refusal that would say of the token,
/// or of its player, what only a verdict may say leaves the question open.
pub(crate) fn open_question(error: ClientError) -> PublicError {
    let error = could_not_tell(error);
    match error.code {
        ErrorCode::TOKEN_INVALID
        | ErrorCode::TOKEN_EXPIRED
        | ErrorCode::TOKEN_REVOKED
        | ErrorCode::REFRESH_TOKEN_REUSED
        | ErrorCode::ACCOUNT_BANNED => PublicError::unavailable(ASK_AGAIN_AFTER),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use common::clock::SystemRandom;
    use volo_thrift::{ApplicationException, ApplicationExceptionKind};

    use super::*;

    #[test]
    fn whatever_goes_wrong_behind_a_verify_is_an_open_question_and_never_a_verdict() {
        let faults = [
            ClientError::Application(ApplicationException::new(ApplicationExceptionKind::INTERNAL_ERROR, "boom")),
            ClientError::Transport(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()),
            ClientError::Transport(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
            ClientError::Biz(volo_thrift::BizError::new(ErrorCode::INTERNAL.inner(), "boom".into())),
            ClientError::Biz(volo_thrift::BizError::new(ErrorCode::DEADLINE_EXCEEDED.inner(), "late".into())),
        ];
        for fault in faults {
            let shown = format!("{fault:?}");
            let answer = could_not_tell(fault);
            assert_eq!(answer.http_status(), 503, "{shown}");
            assert!(answer.retry_after.is_some(), "{shown}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gave_up_before_the_answer_is_told_that_and_not_of_an_outage() {
        let context = RequestContext::root(&SystemRandom).within(Duration::from_millis(30));
        let slow = context.scope(within(Duration::from_millis(10), std::future::pending::<()>()));
        let answer = |call: CallError| context.sync_scope(|| could_not_tell(call).code);
        assert_eq!(answer(CallError::DeadlineExceeded), ErrorCode::DEPENDENCY_UNAVAILABLE, "there is time left");
        assert!(tokio::time::timeout(Duration::from_millis(30), slow).await.is_err());
        assert_eq!(answer(CallError::DeadlineExceeded), ErrorCode::DEADLINE_EXCEEDED);
        assert_eq!(answer(CallError::NotSent { cause: String::new() }), ErrorCode::DEPENDENCY_UNAVAILABLE);
    }
}

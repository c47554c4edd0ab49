//! `RequestDeletion`: an account is to be deleted, once its player has had the time to think better of it.
//!
//! The session that asks stays: from it the player can see when, and call it off. Every other one ends, and nobody signs
//! in without calling it off.

use common::clock::Timestamp;
use idl::account::{DeletionInfo, RequestDeletionRequest};

use super::bearer::Bearer;
use crate::{
    domain::{end_reason::EndReason, history::EventKind},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn request_deletion(
    parts: &Parts,
    request: RequestDeletionRequest,
) -> Result<DeletionInfo, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?.valid_or_why(parts).await?;
    let ending = parts.ending(EndReason::AccountDeletion.as_str());
    let executes_at = ending.now + parts.config.deletion.cooling_off;
    let (executes_at, ended) =
        parts.deletions.request(bearer.account_id, bearer.session_id, executes_at, ending).await?;
    parts.ended(&ended, ending);
    parts.note(bearer.happening(EventKind::DeletionRequested));
    Ok(requested(executes_at))
}

/// How a pending deletion is told.
pub(super) fn requested(executes_at: Timestamp) -> DeletionInfo {
    DeletionInfo { state: "requested".into(), executes_at: Some(executes_at.as_millis()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{clock::Clock, error_code::ErrorCode};
    use idl::account::{AccountService, LoginProof, LoginRequest, PasswordLogin, RequestDeletionRequest, TokenStatus};

    use crate::testing::{PASSWORD, Service, code, config, public};

    async fn request(service: &Service, token: &str) -> i64 {
        let request = RequestDeletionRequest { access_token: token.to_owned().into() };
        let answer = public(service.account.request_deletion(request).await).expect("requested");
        assert_eq!(&*answer.state, "requested");
        answer.executes_at.expect("told")
    }

    common::on_each_database! {
        async fn a_repeat_does_not_put_the_deletion_off(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            let due = (service.clock.now() + config().deletion.cooling_off).as_millis();
            assert_eq!(request(&service, &tokens.access_token).await, due);
            service.clock.advance(Duration::from_secs(60));
            assert_eq!(request(&service, &tokens.access_token).await, due);
        }

        async fn whoever_asks_stays_and_every_other_session_ends(database: TestDatabase) {
            let service = Service::start(database).await;
            let there = service.register("ann").await.expect("registered").tokens;
            let here = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            request(&service, &here.access_token).await;
            assert_eq!(service.status(&there.access_token).await, TokenStatus::REVOKED);
            assert_eq!(service.status(&here.access_token).await, TokenStatus::VALID);
            service.refresh(&here.refresh_token).await.expect("refreshed");
        }

        async fn a_sign_in_is_refused_with_the_day_and_keeps_the_account_only_if_it_says_so(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            let due = request(&service, &tokens.access_token).await;
            let refused = service.login("ann", PASSWORD).await.expect_err("pending");
            assert_eq!(refused.code, ErrorCode::ACCOUNT_PENDING_DELETION);
            assert_eq!(refused.details, [("executes_at".into(), due.to_string().into())]);
            assert_eq!(code(service.login("ann", "wrong").await), ErrorCode::WRONG_CREDENTIALS);
            let proof = LoginProof::Password(PasswordLogin { username: "ann".into(), password: PASSWORD.into() });
            let keeping = LoginRequest { app_id: service.app_id(), proof, cancel_deletion: Some(true), ..LoginRequest::default() };
            let kept = public(service.account.login(keeping).await).expect("signed in");
            assert_eq!(kept.tokens.account_id, tokens.account_id);
            let profile = service.profile(&kept.tokens.access_token).await.expect("a profile");
            assert_eq!(profile.deletion, None);
            service.login("ann", PASSWORD).await.expect("signed in");
        }
    }
}

//! `RevokeSessions`: a game server ends one session, or every session of an account, of its own app.

use idl::account::{RevocationTarget, RevokeSessionsRequest, RevokeSessionsResponse};

use crate::{
    domain::{
        end_reason::EndReason,
        field::FieldError,
        history::{EventKind, Happening},
        ids::{AccountId, AppId, SessionId},
    },
    error::AccountError,
    service::Parts,
};

const LONGEST_REASON: usize = 255;

pub(crate) async fn revoke_sessions(
    parts: &Parts,
    request: RevokeSessionsRequest,
) -> Result<RevokeSessionsResponse, AccountError> {
    let app_id = AppId::parse(request.app_id)?;
    if request.reason.len() > LONGEST_REASON {
        return Err(FieldError::new("reason", "longer than 255 bytes").into());
    }
    let ending = parts.ending(&request.reason);
    // What does not exist, has ended already or belongs to another app counts as none: told apart, the answer would
    // say which sessions other apps have.
    let (ended, account_id) = match request.target {
        RevocationTarget::SessionId(id) => {
            let session_id = SessionId::parse(&id)?;
            let ended = parts.sessions.end_one(session_id, app_id, ending).await?;
            (ended, parts.sessions.owner(session_id).await.ok().flatten())
        }
        RevocationTarget::AccountId(id) => {
            let account_id = AccountId::parse(id)?;
            (parts.sessions.end_all_of_app(account_id, app_id, ending).await?, Some(account_id))
        }
    };
    parts.ended(&ended, ending);
    if let (1.., Some(account_id)) = (ended.count, account_id) {
        let happening = Happening::of(account_id, EventKind::SessionsEnded).in_app(app_id);
        parts.note(happening.because(EndReason::told(&request.reason)));
    }
    Ok(RevokeSessionsResponse { revoked: i64::try_from(ended.count).unwrap_or(i64::MAX) })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::account::{RevocationTarget, TokenStatus};

    use crate::testing::{PASSWORD, Service, code, device_proof, field, status_on};

    common::on_each_database! {
        async fn a_game_server_ends_one_session_or_all_of_an_account(database: TestDatabase) {
            let service = Service::start(database).await;
            let one = service.register("ann").await.expect("registered").tokens;
            let two = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            let three = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            let session = RevocationTarget::SessionId(one.session_id.clone());
            assert_eq!(service.revoke(service.app_id(), session.clone()).await, Ok(1));
            assert_eq!(service.status(&one.access_token).await, TokenStatus::REVOKED);
            assert_eq!(service.status(&two.access_token).await, TokenStatus::VALID);
            assert_eq!(service.revoke(service.app_id(), session).await, Ok(0));
            let account = RevocationTarget::AccountId(one.account_id);
            assert_eq!(service.revoke(service.app_id(), account.clone()).await, Ok(2));
            for tokens in [&two, &three] {
                assert_eq!(service.status(&tokens.access_token).await, TokenStatus::REVOKED);
                assert_eq!(code(service.refresh(&tokens.refresh_token).await), ErrorCode::TOKEN_REVOKED);
            }
            assert_eq!(service.revoke(service.app_id(), account).await, Ok(0));
        }

        async fn the_sessions_of_another_app_are_out_of_reach(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let other = service.admin().create_app("Other", None).await.expect("made").app_id;
            service.login_by(other, device_proof("phone", None)).await.expect("the other app works");
            for target in [RevocationTarget::SessionId(ann.session_id), RevocationTarget::AccountId(ann.account_id)] {
                assert_eq!(service.revoke(other, target).await, Ok(0));
            }
            assert_eq!(service.status(&ann.access_token).await, TokenStatus::VALID);
        }

        async fn a_replica_learns_of_it_from_the_feed_and_a_new_one_at_its_start(database: TestDatabase) {
            let service = Service::start(database).await;
            let running = service.replica().await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let bob = service.register("bob").await.expect("registered").tokens;
            service.revoke(service.app_id(), RevocationTarget::AccountId(ann.account_id)).await.expect("revoked");
            service.logout(&bob.access_token, true).await.expect("signed out");
            let parts = running.parts();
            for tokens in [&ann, &bob] {
                assert_eq!(status_on(&running, service.app_id(), &tokens.access_token).await, TokenStatus::VALID);
            }
            parts.revocations.follow(&*parts.clock).await.expect("read");
            let started_later = service.replica().await;
            for instance in [&running, &started_later] {
                for tokens in [&ann, &bob] {
                    assert_eq!(status_on(instance, service.app_id(), &tokens.access_token).await, TokenStatus::REVOKED);
                }
            }
        }

        async fn a_target_that_cannot_exist_is_refused_by_name(database: TestDatabase) {
            let service = Service::start(database).await;
            let invalid = |name: &str| (ErrorCode::INVALID_ARGUMENT, name.to_owned());
            let nonsense = RevocationTarget::SessionId("nonsense".into());
            assert_eq!(field(service.revoke(service.app_id(), nonsense).await), invalid("session_id"));
            let negative = RevocationTarget::AccountId(-1);
            assert_eq!(field(service.revoke(service.app_id(), negative).await), invalid("account_id"));
        }
    }
}

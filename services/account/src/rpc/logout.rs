//! `Logout`: ends the session of an access token, or all sessions of its account.
//!
//! A repeat succeeds. A session that somebody else ended is told so: its owner should know.

use idl::account::{LogoutRequest, LogoutResponse};

use super::bearer::Bearer;
use crate::{
    domain::{end_reason::EndReason, history::EventKind},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn logout(parts: &Parts, request: LogoutRequest) -> Result<LogoutResponse, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?;
    // A repeat finds its session ended and has nothing left to do. It must not end *other* sessions: the token may have
    // been revoked because it was stolen.
    if bearer.is_revoked() {
        return match bearer.end_reason(parts).await {
            Some(reason) if !EndReason::is_the_players_own(reason) => {
                Err(AccountError::TokenRevoked { reason: Some(reason) })
            }
            _ => Ok(LogoutResponse { revoked: 0 }),
        };
    }
    let bearer = bearer.valid()?;
    let reason = if request.everywhere { EndReason::LogoutEverywhere } else { EndReason::Logout };
    let ending = parts.ending(reason.as_str());
    let ended = if request.everywhere {
        parts.sessions.end_all(bearer.account_id, ending, None).await?
    } else {
        parts.sessions.end_one(bearer.session_id, bearer.app_id, ending).await?
    };
    parts.ended(&ended, ending);
    if ended.count > 0 {
        parts.note(bearer.happening(EventKind::SessionsEnded).because(ending.reason));
    }
    Ok(LogoutResponse { revoked: i64::try_from(ended.count).unwrap_or(i64::MAX) })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::account::TokenStatus;

    use crate::testing::{PASSWORD, Service, code};

    common::on_each_database! {
        async fn logging_out_ends_this_session_only_and_can_be_repeated(database: TestDatabase) {
            let service = Service::start(database).await;
            let here = service.register("ann").await.expect("registered").tokens;
            let there = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            assert_eq!(service.logout(&here.access_token, false).await, Ok(1));
            assert_eq!(service.status(&here.access_token).await, TokenStatus::REVOKED);
            assert_eq!(code(service.refresh(&here.refresh_token).await), ErrorCode::TOKEN_REVOKED);
            assert_eq!(service.status(&there.access_token).await, TokenStatus::VALID);
            assert_eq!(service.logout(&here.access_token, false).await, Ok(0));
        }

        async fn logging_out_everywhere_ends_every_session_and_none_that_begins_later(database: TestDatabase) {
            let service = Service::start(database).await;
            let here = service.register("ann").await.expect("registered").tokens;
            let there = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            let bob = service.register("bob").await.expect("registered").tokens;
            assert_eq!(service.logout(&here.access_token, true).await, Ok(2));
            let later = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            for tokens in [&here, &there] {
                assert_eq!(service.status(&tokens.access_token).await, TokenStatus::REVOKED);
                assert_eq!(code(service.refresh(&tokens.refresh_token).await), ErrorCode::TOKEN_REVOKED);
            }
            assert_eq!(service.status(&later.access_token).await, TokenStatus::VALID);
            assert_eq!(service.status(&bob.access_token).await, TokenStatus::VALID);
        }

        async fn a_revoked_token_cannot_end_other_sessions(database: TestDatabase) {
            let service = Service::start(database).await;
            let stolen = service.register("ann").await.expect("registered").tokens;
            service.logout(&stolen.access_token, false).await.expect("ended");
            let fresh = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            assert_eq!(service.logout(&stolen.access_token, true).await, Ok(0));
            assert_eq!(service.status(&fresh.access_token).await, TokenStatus::VALID);
        }

        async fn garbage_and_an_expired_token_are_refused(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            assert_eq!(code(service.logout("garbage", false).await), ErrorCode::TOKEN_INVALID);
            service.clock.advance(crate::Config::default().tokens.access_ttl);
            assert_eq!(code(service.logout(&tokens.access_token, true).await), ErrorCode::TOKEN_EXPIRED);
        }
    }
}

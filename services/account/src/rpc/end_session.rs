//! `EndSession`: a player signs one device out from another.

use idl::account::{EndSessionRequest, EndSessionResponse};

use super::bearer::Bearer;
use crate::{
    domain::{end_reason::EndReason, history::EventKind, ids::SessionId},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn end_session(parts: &Parts, request: EndSessionRequest) -> Result<EndSessionResponse, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?.valid_or_why(parts).await?;
    let session_id = SessionId::parse(&request.session_id)?;
    let reason = if session_id == bearer.session_id { EndReason::Logout } else { EndReason::SignedOutElsewhere };
    let ending = parts.ending(reason.as_str());
    let ended = parts.sessions.end_own(session_id, bearer.account_id, bearer.app_id, ending).await?;
    parts.ended(&ended, ending);
    if ended.count > 0 {
        parts.note(bearer.happening(EventKind::SessionsEnded).because(ending.reason));
    }
    Ok(EndSessionResponse { revoked: i64::try_from(ended.count).unwrap_or(i64::MAX) })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::account::{AccountService, EndSessionRequest, TokenStatus};

    use crate::testing::{PASSWORD, Service, field, public};

    async fn end(service: &Service, access_token: &str, session_id: &str) -> i64 {
        public(service.account.end_session(request(access_token, session_id)).await).expect("answered").revoked
    }

    fn request(access_token: &str, session_id: &str) -> EndSessionRequest {
        EndSessionRequest { access_token: access_token.to_owned().into(), session_id: session_id.to_owned().into() }
    }

    common::on_each_database! {
        async fn a_player_ends_one_of_the_own_sessions_and_it_is_told_why(database: TestDatabase) {
            let service = Service::start(database).await;
            let here = service.register("ann").await.expect("registered").tokens;
            let lost = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            let third = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            assert_eq!(end(&service, &here.access_token, &lost.session_id).await, 1);
            assert_eq!(end(&service, &here.access_token, &lost.session_id).await, 0);
            assert_eq!(service.status(&lost.access_token).await, TokenStatus::REVOKED);
            let told = service.profile(&lost.access_token).await.expect_err("revoked");
            assert_eq!(told.details, [("reason".into(), "signed_out_elsewhere".into())]);
            for tokens in [here, third] {
                assert_eq!(service.status(&tokens.access_token).await, TokenStatus::VALID);
            }
        }

        async fn the_session_of_another_player_is_out_of_reach(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let bob = service.register("bob").await.expect("registered").tokens;
            assert_eq!(end(&service, &ann.access_token, &bob.session_id).await, 0);
            assert_eq!(service.status(&bob.access_token).await, TokenStatus::VALID);
            let refused = public(service.account.end_session(request(&ann.access_token, "x")).await);
            assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, "session_id".to_owned()));
        }
    }
}

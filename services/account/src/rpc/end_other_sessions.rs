//! `EndOtherSessions`: a player signs every other device out.

use idl::account::{EndOtherSessionsRequest, EndOtherSessionsResponse};

use super::bearer::Bearer;
use crate::{
    domain::{end_reason::EndReason, history::EventKind},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn end_other_sessions(
    parts: &Parts,
    request: EndOtherSessionsRequest,
) -> Result<EndOtherSessionsResponse, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?.valid_or_why(parts).await?;
    let ending = parts.ending(EndReason::SignedOutElsewhere.as_str());
    let ended = parts.sessions.end_others(bearer.account_id, bearer.session_id, ending).await?;
    parts.ended(&ended, ending);
    if ended.count > 0 {
        parts.note(bearer.happening(EventKind::SessionsEnded).because(ending.reason));
    }
    Ok(EndOtherSessionsResponse { revoked: i64::try_from(ended.count).unwrap_or(i64::MAX) })
}

#[cfg(test)]
mod tests {
    use idl::account::{AccountService, EndOtherSessionsRequest, TokenStatus};

    use crate::testing::{PASSWORD, Service, public};

    common::on_each_database! {
        async fn every_session_but_this_one_ends(database: TestDatabase) {
            let service = Service::start(database).await;
            let there = service.register("ann").await.expect("registered").tokens;
            let here = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            for ended in [1, 0] {
                let request = EndOtherSessionsRequest { access_token: here.access_token.clone() };
                let answer = public(service.account.end_other_sessions(request).await).expect("answered");
                assert_eq!(answer.revoked, ended);
            }
            assert_eq!(service.status(&there.access_token).await, TokenStatus::REVOKED);
            assert_eq!(service.status(&here.access_token).await, TokenStatus::VALID);
        }
    }
}

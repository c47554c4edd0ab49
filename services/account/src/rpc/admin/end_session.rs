//! `AdminEndSession`: one session of an account ends, in whichever app.

use idl::account_admin::{EndAccountSessionRequest, EndAccountSessionResponse};

use crate::{
    app_editor::request_id,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        end_reason::EndReason,
        ids::{AccountId, SessionId},
    },
    error::AccountError,
    service::Parts,
};

pub(crate) async fn end_session(
    parts: &Parts,
    request: EndAccountSessionRequest,
) -> Result<EndAccountSessionResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let account_id = AccountId::parse(request.account_id).map_err(|_| AccountError::NoSuchAccount)?;
    let session_id = SessionId::parse(&request.session_id)?;
    let record = AuditRecord {
        actor,
        action: Action::of("account.end_session"),
        target: Target::account(account_id),
        request_id: request_id(),
        details: Details::default().with("session_id", session_id.to_string()),
    };
    let ending = parts.ending(EndReason::Operator.as_str());
    let ended = parts.sessions.end_one_of(account_id, session_id, &record, ending).await?;
    parts.ended(&ended, ending);
    Ok(EndAccountSessionResponse { revoked: i64::try_from(ended.count).unwrap_or(i64::MAX) })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::{AccountService, TokenSet, TokenStatus},
        account_admin::EndAccountSessionRequest,
    };

    use crate::testing::{PASSWORD, Service, field, public};

    fn request(account_id: i64, session_id: &str) -> EndAccountSessionRequest {
        EndAccountSessionRequest { actor: "operator".into(), account_id, session_id: session_id.to_owned().into() }
    }

    async fn end(service: &Service, owner: &TokenSet, session: &TokenSet) -> i64 {
        let request = request(owner.account_id, &session.session_id);
        public(service.account.admin_end_session(request).await).expect("answered").revoked
    }

    common::on_each_database! {
        async fn one_session_of_the_account_ends_and_is_told_by_whom(database: TestDatabase) {
            let service = Service::start(database).await;
            let one = service.register("ann").await.expect("registered").tokens;
            let two = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            let bob = service.register("bob").await.expect("registered").tokens;
            assert_eq!(end(&service, &one, &bob).await, 0, "of another account");
            assert_eq!(end(&service, &one, &two).await, 1);
            assert_eq!(end(&service, &one, &two).await, 0, "it has ended");
            for (tokens, status) in
                [(&one, TokenStatus::VALID), (&two, TokenStatus::REVOKED), (&bob, TokenStatus::VALID)]
            {
                assert_eq!(service.status(&tokens.access_token).await, status);
            }
            let told = service.profile(&two.access_token).await.expect_err("ended");
            assert_eq!(told.details, [("reason".into(), "operator".into())]);
            let actions: Vec<_> = service.audit().await.into_iter().map(|record| record.action).collect();
            assert_eq!(actions, ["account.end_session", "app.create"]);
            let refused = public(service.account.admin_end_session(request(one.account_id, "x")).await);
            assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, "session_id".to_owned()));
        }
    }
}

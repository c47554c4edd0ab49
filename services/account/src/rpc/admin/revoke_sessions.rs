//! `AdminRevokeSessions`: ends every session of an account, in every app.

use idl::account_admin::{RevokeAccountSessionsRequest, RevokeAccountSessionsResponse};

use super::wire::reason;
use crate::{
    app_editor::request_id,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        end_reason::EndReason,
        history::{EventKind, Happening},
        ids::AccountId,
    },
    error::AccountError,
    service::Parts,
};

pub(crate) async fn revoke_sessions(
    parts: &Parts,
    request: RevokeAccountSessionsRequest,
) -> Result<RevokeAccountSessionsResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let account_id = AccountId::parse(request.account_id).map_err(|_| AccountError::NoSuchAccount)?;
    let reason = reason(&request.reason)?;
    let record = AuditRecord {
        actor,
        action: Action::of("account.revoke_sessions"),
        target: Target::account(account_id),
        request_id: request_id(),
        details: Details::default().with("reason", reason),
    };
    let ending = parts.ending(EndReason::Operator.as_str());
    let ended = parts.sessions.end_all(account_id, ending, Some(&record)).await?;
    // The new epoch of an account that exists is a revocation, whether or not it had live sessions.
    if ended.revocations.is_empty() {
        return Err(AccountError::NoSuchAccount);
    }
    parts.ended(&ended, ending);
    parts.note(Happening::of(account_id, EventKind::SessionsEnded).because(ending.reason));
    Ok(RevokeAccountSessionsResponse { revoked: i64::try_from(ended.count).unwrap_or(i64::MAX) })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::{AccountService, TokenStatus},
        account_admin::RevokeAccountSessionsRequest,
    };

    use crate::testing::{PASSWORD, Service, code, device_proof, field, public};

    fn request(account_id: i64, reason: &str) -> RevokeAccountSessionsRequest {
        RevokeAccountSessionsRequest { actor: "operator".into(), account_id, reason: reason.to_owned().into() }
    }

    common::on_each_database! {
        async fn every_session_ends_and_the_player_is_told_who_and_not_why(database: TestDatabase) {
            let service = Service::start(database).await;
            let here = service.register("ann").await.expect("registered").tokens;
            service.login("ann", PASSWORD).await.expect("signed in");
            let bystander = service.login_by(service.app_id(), device_proof("phone", None)).await.expect("a guest").tokens;
            let ended = service.account.admin_revoke_sessions(request(here.account_id, "ticket 7")).await;
            assert_eq!(public(ended).expect("ended").revoked, 2);
            assert_eq!(service.status(&here.access_token).await, TokenStatus::REVOKED);
            assert_eq!(service.status(&bystander.access_token).await, TokenStatus::VALID);
            let told = service.profile(&here.access_token).await.expect_err("revoked");
            assert_eq!(told.code, ErrorCode::TOKEN_REVOKED);
            assert_eq!(told.details, [("reason".into(), "operator".into())]);
            let record = service.audit().await.remove(0);
            assert_eq!(&*record.target_id, here.account_id.to_string());
            assert_eq!(&*record.details_json, r#"{"reason":"ticket 7","revoked":2}"#);
        }

        async fn nobody_has_no_sessions_and_a_reason_is_needed(database: TestDatabase) {
            let service = Service::start(database).await;
            for nobody in [0, 4242] {
                let refused = service.account.admin_revoke_sessions(request(nobody, "x")).await;
                assert_eq!(code(public(refused)), ErrorCode::NO_SUCH_ACCOUNT);
            }
            let ann = service.register("ann").await.expect("registered").tokens;
            let long = "x".repeat(256);
            for reason in ["", &long] {
                let refused = public(service.account.admin_revoke_sessions(request(ann.account_id, reason)).await);
                assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, "reason".to_owned()));
            }
            assert_eq!(service.count("SELECT COUNT(*) FROM account_audit WHERE target_kind = 'account'").await, 0);
        }
    }
}

//! `AdminLiftBan`: an account may play again before its ban is over.

use idl::account_admin::{LiftBanRequest, LiftBanResponse};

use super::ban_account::NO_SESSION_ENDS;
use crate::{
    app_editor::request_id,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        history::{EventKind, Happening},
        ids::AccountId,
    },
    error::AccountError,
    service::Parts,
    store::sessions::Ended,
};

pub(crate) async fn lift_ban(parts: &Parts, request: LiftBanRequest) -> Result<LiftBanResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let account_id = AccountId::parse(request.account_id).map_err(|_| AccountError::NoSuchAccount)?;
    let record = AuditRecord {
        actor,
        action: Action::of("account.lift_ban"),
        target: Target::account(account_id),
        request_id: request_id(),
        details: Details::default(),
    };
    let ending = parts.ending(NO_SESSION_ENDS);
    // That it is over is told to those who know of it, and remembered for as long as they might hear of the ban again.
    if let Some(change) = parts.bans.lift(account_id, ending, &record).await? {
        parts.ended(&Ended { count: 0, revocations: vec![change] }, ending);
        parts.note(Happening::of(account_id, EventKind::BanLifted));
    }
    Ok(LiftBanResponse {})
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::AccountService,
        account_admin::{AccountSelector, BanAccountRequest, FindAccountRequest, LiftBanRequest},
    };

    use crate::testing::{PASSWORD, Service, code, public};

    fn request(account_id: i64) -> LiftBanRequest {
        LiftBanRequest { actor: "operator".into(), account_id }
    }

    common::on_each_database! {
        async fn a_lifted_ban_is_gone_and_lifting_it_again_is_nothing(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let ban = BanAccountRequest {
                actor: "operator".into(),
                account_id: ann.account_id,
                reason: "cheating".into(),
                note: None,
                until: None,
            };
            let shown = async || {
                let selector = AccountSelector::AccountId(ann.account_id);
                let found = service.account.admin_find_account(FindAccountRequest { selector }).await;
                public(found).expect("found").ban.map(|ban| ban.reason.to_string())
            };
            assert_eq!(shown().await, None);
            public(service.account.admin_ban_account(ban).await).expect("banned");
            assert_eq!(shown().await.as_deref(), Some("cheating"));
            for _ in 0..2 {
                public(service.account.admin_lift_ban(request(ann.account_id)).await).expect("lifted");
                assert_eq!(shown().await, None);
                service.login("ann", PASSWORD).await.expect("signed in");
            }
            let actions: Vec<_> = service.audit().await.into_iter().map(|record| record.action.to_string()).collect();
            assert_eq!(&actions[..2], ["account.lift_ban", "account.ban"], "what changed nothing is not recorded");
            assert_eq!(code(public(service.account.admin_lift_ban(request(4242)).await)), ErrorCode::NO_SUCH_ACCOUNT);
        }
    }
}

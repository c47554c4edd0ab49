//! `AdminBanAccount`: an account may not play, for a time or for good.
//!
//! Nothing is revoked: the sessions there are go on when the ban is over. Until then their tokens are `banned`, and neither
//! a sign-in nor a refresh gives new ones.

use common::clock::Timestamp;
use idl::account_admin::{BanAccountRequest, BanAccountResponse};

use crate::{
    app_editor::request_id,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        ban::BanOrder,
        history::{EventKind, Happening},
        ids::AccountId,
    },
    error::AccountError,
    service::Parts,
    store::sessions::Ended,
};

/// What is said about the feed's entry, which ends no session.
pub(super) const NO_SESSION_ENDS: &str = "";

pub(crate) async fn ban_account(parts: &Parts, request: BanAccountRequest) -> Result<BanAccountResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let account_id = AccountId::parse(request.account_id).map_err(|_| AccountError::NoSuchAccount)?;
    let order = BanOrder::parse(&request.reason, request.note.as_deref(), request.until, parts.clock.now())?;
    let details = Details::default()
        .with("reason", order.ban.reason.as_str())
        .with("note", order.note.as_deref())
        .with("until", order.ban.until.map(Timestamp::as_millis));
    let record = AuditRecord {
        actor,
        action: Action::of("account.ban"),
        target: Target::account(account_id),
        request_id: request_id(),
        details,
    };
    let ending = parts.ending(NO_SESSION_ENDS);
    let change = parts.bans.ban(account_id, &order, ending, &record).await?;
    parts.ended(&Ended { count: 0, revocations: vec![change] }, ending);
    parts.note(Happening::of(account_id, EventKind::Banned).because(order.ban.reason.as_str()));
    Ok(BanAccountResponse {})
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{
        clock::{Clock, Timestamp},
        error_code::ErrorCode,
    };
    use idl::{
        account::{AccountService, Ban, TokenStatus, TokenVerdict},
        account_admin::{BanAccountRequest, LiftBanRequest},
    };

    use crate::{
        Account,
        testing::{PASSWORD, Service, code, config, field, public, status_on},
    };

    const HOUR: Duration = Duration::from_secs(3600);

    fn order(account_id: i64, until: Option<Timestamp>) -> BanAccountRequest {
        BanAccountRequest {
            actor: "operator".into(),
            account_id,
            reason: "cheating".into(),
            note: Some("ticket 7".into()),
            until: until.map(Timestamp::as_millis),
        }
    }

    async fn ban(service: &Service, account_id: i64, until: Option<Timestamp>) {
        public(service.account.admin_ban_account(order(account_id, until)).await).expect("banned");
    }

    async fn lift(service: &Service, account_id: i64) {
        let request = LiftBanRequest { actor: "operator".into(), account_id };
        public(service.account.admin_lift_ban(request).await).expect("lifted");
    }

    async fn reads(account: &Account) {
        let parts = account.parts();
        parts.revocations.follow(&*parts.clock).await.expect("read");
    }

    common::on_each_database! {
        async fn a_banned_account_has_banned_tokens_and_gets_no_new_ones(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let bob = service.register("bob").await.expect("registered").tokens;
            let until = service.clock.now() + HOUR;
            ban(&service, ann.account_id, Some(until)).await;
            let verdict = service.verify(&ann.access_token).await.expect("a verdict");
            assert_eq!(verdict.status, TokenStatus::BANNED);
            assert_eq!(verdict.ban, Some(Ban { reason: "cheating".into(), until: Some(until.as_millis()) }));
            let details = [("reason".into(), "cheating".into()), ("until".into(), until.as_millis().to_string().into())];
            let refusals = [
                service.login("ann", PASSWORD).await.expect_err("refused"),
                service.refresh(&ann.refresh_token).await.expect_err("refused"),
                service.profile(&ann.access_token).await.expect_err("refused"),
            ];
            for refusal in refusals {
                assert_eq!((refusal.code, refusal.details), (ErrorCode::ACCOUNT_BANNED, details.to_vec()));
            }
            assert_eq!(code(service.login("ann", "wrong").await), ErrorCode::WRONG_CREDENTIALS, "strangers learn nothing");
            assert_eq!(service.status(&bob.access_token).await, TokenStatus::VALID);
            let record = service.audit().await.remove(0);
            assert_eq!((&*record.action, &*record.target_id), ("account.ban", &*ann.account_id.to_string()));
            let expected = format!(r#"{{"note":"ticket 7","reason":"cheating","until":{}}}"#, until.as_millis());
            assert_eq!(&*record.details_json, expected);
        }

        async fn a_ban_ends_by_itself_and_the_session_goes_on(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let until = service.clock.now() + HOUR;
            ban(&service, ann.account_id, Some(until)).await;
            service.clock.advance(HOUR - Duration::from_millis(1));
            assert_eq!(service.status(&ann.access_token).await, TokenStatus::BANNED);
            service.clock.advance(Duration::from_millis(1));
            assert_eq!(service.status(&ann.access_token).await, TokenStatus::VALID);
            service.refresh(&ann.refresh_token).await.expect("refreshed");
            service.login("ann", PASSWORD).await.expect("signed in");
        }

        async fn every_instance_follows_a_ban_its_change_and_its_end(database: TestDatabase) {
            let service = Service::start(database).await;
            let other = service.replica().await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let told = async || {
                reads(&other).await;
                status_on(&other, service.app_id(), &ann.access_token).await
            };
            for _ in 0..2 {
                ban(&service, ann.account_id, None).await;
                assert_eq!(told().await, TokenStatus::BANNED);
                let late = service.replica().await;
                assert_eq!(status_on(&late, service.app_id(), &ann.access_token).await, TokenStatus::BANNED);
                lift(&service, ann.account_id).await;
                assert_eq!(told().await, TokenStatus::VALID);
                assert_eq!(service.status(&ann.access_token).await, TokenStatus::VALID);
            }
            ban(&service, ann.account_id, None).await;
            ban(&service, ann.account_id, Some(service.clock.now() + HOUR)).await;
            reads(&other).await;
            service.clock.advance(HOUR);
            assert_eq!(told().await, TokenStatus::VALID, "the later order replaced the ban for good");
        }

        async fn a_ban_leaves_memory_with_the_last_token_and_still_holds(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            ban(&service, ann.account_id, None).await;
            assert_eq!(service.account.parts().revocations.index().len(), 1);
            service.clock.advance(config().tokens.access_ttl_max + Duration::from_secs(60));
            reads(&service.account).await;
            assert_eq!(service.account.parts().revocations.index().len(), 0);
            assert_eq!(code(service.refresh(&ann.refresh_token).await), ErrorCode::ACCOUNT_BANNED);
            assert_eq!(code(service.login("ann", PASSWORD).await), ErrorCode::ACCOUNT_BANNED);
        }

        async fn orders_that_make_no_sense_change_nothing(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            for nobody in [0, 4242] {
                let refused = public(service.account.admin_ban_account(order(nobody, None)).await);
                assert_eq!(code(refused), ErrorCode::NO_SUCH_ACCOUNT);
            }
            let past = order(ann.account_id, Some(service.clock.now()));
            let refused = field(public(service.account.admin_ban_account(past).await));
            assert_eq!(refused, (ErrorCode::INVALID_ARGUMENT, "until".to_owned()));
            let verdict = service.verify(&ann.access_token).await.expect("a verdict");
            assert!(matches!(verdict, TokenVerdict { status: TokenStatus::VALID, ban: None, .. }), "{verdict:?}");
            assert_eq!(service.count("SELECT COUNT(*) FROM account_audit WHERE target_kind = 'account'").await, 0);
        }
    }
}

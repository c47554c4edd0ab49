//! `AdminBanSubject`: a device or a part of the network is kept out, for a time or for good.
//!
//! Nobody there can sign in, register or refresh, and the tokens of a banned device are `banned`. Sessions are not ended:
//! they go on when the ban is over.

use idl::account_admin::{BanSubject, BanSubjectRequest, BanSubjectResponse};

use crate::{
    app_editor::request_id,
    domain::{
        audit::{Action, Actor, AuditRecord},
        ban::BanOrder,
        risk::subject_ban::NamedSubject,
    },
    error::AccountError,
    service::Parts,
};

pub(crate) async fn ban_subject(parts: &Parts, request: BanSubjectRequest) -> Result<BanSubjectResponse, AccountError> {
    let (actor, now) = (Actor::parse(&request.actor)?, parts.clock.now());
    let subject = match &request.subject {
        BanSubject::DeviceId(raw) => parts.risk.banned.name_device(raw)?,
        BanSubject::Address(raw) => NamedSubject::network(raw)?,
    };
    let order = BanOrder::parse(&request.reason, request.note.as_deref(), request.until, now)?;
    let record = |target, details| AuditRecord {
        actor: actor.clone(),
        action: Action::of("ban.create"),
        target,
        request_id: request_id(),
        details,
    };
    let ban_id = parts.risk.banned.store.ban(&subject, &order, now, record).await?;
    follow_own_change(parts).await;
    Ok(BanSubjectResponse { ban_id })
}

/// Lets this instance follow a change at once. The others do within their interval; so does this one, should the reading
/// fail: the change itself is made.
pub(super) async fn follow_own_change(parts: &Parts) {
    if let Err(error) = parts.risk.banned.refresh(parts.clock.now()).await {
        tracing::warn!(%error, "a changed ban could not be read at once");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{
        clock::{Clock, Timestamp},
        error_code::{ErrorCode, PublicError},
    };
    use idl::{
        account::{AccountService, ClientInfo, TokenStatus},
        account_admin::{BanSubject, BanSubjectRequest, LiftSubjectBanRequest, ListBansRequest, ListBansResponse},
    };

    use crate::testing::{PASSWORD, Service, code, field, public, status_on};

    const HOUR: Duration = Duration::from_secs(3600);

    fn device(id: &str) -> BanSubject {
        BanSubject::DeviceId(id.to_owned().into())
    }

    fn address(range: &str) -> BanSubject {
        BanSubject::Address(range.to_owned().into())
    }

    impl Service {
        async fn ban_subject(&self, subject: BanSubject, until: Option<Timestamp>) -> Result<i64, PublicError> {
            let request = BanSubjectRequest {
                actor: "operator".into(),
                subject,
                reason: "emulator".into(),
                note: Some("ticket 7".into()),
                until: until.map(Timestamp::as_millis),
            };
            public(self.account.admin_ban_subject(request).await).map(|answer| answer.ban_id)
        }

        async fn lift_subject_ban(&self, ban_id: i64) {
            let request = LiftSubjectBanRequest { actor: "operator".into(), ban_id };
            public(self.account.admin_lift_subject_ban(request).await).expect("lifted");
        }

        async fn bans(&self, after: Option<i64>, limit: i32) -> ListBansResponse {
            public(self.account.admin_list_bans(ListBansRequest { after, limit }).await).expect("a page")
        }

        async fn signs_in_at(&self, address: &str, device: &str) -> Result<String, PublicError> {
            let client = ClientInfo {
                device_id: Some(device.to_owned().into()),
                address: Some(address.to_owned().into()),
                ..ClientInfo::default()
            };
            let answer = self.login_as(client, "ann", PASSWORD).await?;
            Ok(answer.tokens.access_token.to_string())
        }
    }

    common::on_each_database! {
        async fn a_banned_device_gets_no_tokens_and_those_it_has_are_banned(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let elsewhere = service.signs_in_at("192.0.2.9", "device-2").await.expect("signed in");
            let until = service.clock.now() + HOUR;
            let ban_id = service.ban_subject(device("device-1"), Some(until)).await.expect("banned");
            let details = [
                ("reason".into(), "emulator".into()),
                ("until".into(), until.as_millis().to_string().into()),
                ("kind".into(), "device".into()),
            ];
            let refusals = [
                service.login("ann", PASSWORD).await.expect_err("refused"),
                service.register("bob").await.expect_err("refused"),
                service.refresh(&ann.refresh_token).await.expect_err("refused"),
            ];
            for refusal in refusals {
                assert_eq!((refusal.code, refusal.details), (ErrorCode::ACCOUNT_BANNED, details.to_vec()));
            }
            assert_eq!(code(service.profile(&ann.access_token).await), ErrorCode::ACCOUNT_BANNED);
            let verdict = service.verify(&ann.access_token).await.expect("a verdict");
            let ban = verdict.ban.expect("told");
            assert_eq!((verdict.status, &*ban.reason, ban.until), (TokenStatus::BANNED, "emulator", Some(until.as_millis())));
            assert_eq!(service.status(&elsewhere).await, TokenStatus::VALID, "the account is not banned");

            let listed = service.bans(None, 10).await.bans;
            assert_eq!((listed.len(), listed[0].ban_id, &*listed[0].kind, &*listed[0].subject), (1, ban_id, "device", "d***1"));
            let stored = "SELECT COUNT(*) FROM account_subject_bans WHERE subject LIKE '%device%' OR shown LIKE '%device%'";
            assert_eq!(service.count(stored).await, 0, "nothing says which device it is");

            service.clock.advance(HOUR);
            assert_eq!(service.bans(None, 10).await.bans, []);
            service.refresh(&ann.refresh_token).await.expect("it is over by itself");
            service.login("ann", PASSWORD).await.expect("signed in");
        }

        async fn a_banned_range_keeps_out_whoever_is_in_it(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("ann").await.expect("registered");
            let ban_id = service.ban_subject(address("203.0.113.77/24"), None).await.expect("banned");
            let refused = service.signs_in_at("203.0.113.1", "phone").await.expect_err("refused");
            assert_eq!(refused.code, ErrorCode::ACCOUNT_BANNED);
            assert_eq!(refused.details, [("reason".into(), "emulator".into()), ("kind".into(), "address".into())]);
            service.signs_in_at("203.0.114.1", "phone").await.expect("the next range is free");
            assert_eq!(&*service.bans(None, 10).await.bans[0].subject, "203.0.113.0/24");
            for _ in 0..2 {
                service.lift_subject_ban(ban_id).await;
            }
            service.signs_in_at("203.0.113.1", "phone").await.expect("lifted");
            let actions: Vec<_> = service.audit().await.into_iter().take(3).map(|record| record.action).collect();
            assert_eq!(actions, ["ban.lift", "ban.create", "app.create"], "lifting nothing is no change");
        }

        async fn every_instance_follows_a_ban_its_change_and_its_end(database: TestDatabase) {
            let service = Service::start(database).await;
            let other = service.replica().await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let told = async || {
                other.parts().risk.banned.refresh(service.clock.now()).await.expect("read");
                status_on(&other, service.app_id(), &ann.access_token).await
            };
            assert_eq!(told().await, TokenStatus::VALID);
            let first = service.ban_subject(device("device-1"), None).await.expect("banned");
            assert_eq!(told().await, TokenStatus::BANNED);
            service.lift_subject_ban(first).await;
            assert_eq!(told().await, TokenStatus::VALID);
            let again = service.ban_subject(device("device-1"), None).await.expect("banned");
            assert_eq!((again, told().await), (first, TokenStatus::BANNED));
            let late = service.replica().await;
            assert_eq!(status_on(&late, service.app_id(), &ann.access_token).await, TokenStatus::BANNED);
            service.ban_subject(device("device-1"), Some(service.clock.now() + HOUR)).await.expect("shortened");
            assert_eq!(told().await, TokenStatus::BANNED);
            service.clock.advance(HOUR);
            assert_eq!(status_on(&other, service.app_id(), &ann.access_token).await, TokenStatus::VALID);
        }

        async fn bans_come_in_pages_and_orders_that_make_no_sense_change_nothing(database: TestDatabase) {
            let service = Service::start(database).await;
            for subject in [device(""), address("0.0.0.0/0"), address("somewhere")] {
                let refused = service.ban_subject(subject, None).await;
                assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, "subject".to_owned()));
            }
            let past = service.ban_subject(device("x"), Some(service.clock.now())).await;
            assert_eq!(field(past), (ErrorCode::INVALID_ARGUMENT, "until".to_owned()));
            assert_eq!(service.bans(None, 10).await.bans, []);
            let mut made = Vec::new();
            for subject in [device("x"), address("192.0.2.7"), address("2001:db8::/32")] {
                made.push(service.ban_subject(subject, None).await.expect("banned"));
            }
            let page = service.bans(None, 2).await;
            let ids = |page: &ListBansResponse| page.bans.iter().map(|ban| ban.ban_id).collect::<Vec<_>>();
            assert_eq!((ids(&page), page.more), (made[..2].to_vec(), true));
            let rest = service.bans(Some(made[1]), 2).await;
            assert_eq!((ids(&rest), rest.more), (made[2..].to_vec(), false));
        }
    }
}

//! `AdminListHistory`: what happened to an account, newest first, in pages.

use idl::account_admin::{HistoryEvent, ListHistoryRequest, ListHistoryResponse};

use super::wire::{cut_to_page, page_and_one};
use crate::{
    domain::{history::EventId, ids::AccountId},
    error::AccountError,
    service::Parts,
    store::history::StoredEvent,
};

pub(crate) async fn list_history(
    parts: &Parts,
    request: ListHistoryRequest,
) -> Result<ListHistoryResponse, AccountError> {
    let account_id = AccountId::parse(request.account_id).map_err(|_| AccountError::NoSuchAccount)?;
    let page = page_of(parts, account_id, request.before.as_deref(), request.limit).await?;
    // An account without a history may be one from before there were histories, or none at all.
    if page.events.is_empty() && parts.accounts.created_at(account_id).await?.is_none() {
        return Err(AccountError::NoSuchAccount);
    }
    Ok(page)
}

/// A page of what happened to an account.
pub(in crate::rpc) async fn page_of(
    parts: &Parts,
    account_id: AccountId,
    before: Option<&str>,
    limit: i32,
) -> Result<ListHistoryResponse, AccountError> {
    let (before, limit) = (before.map(EventId::parse).transpose()?, page_and_one(limit)?);
    let mut found = parts.histories.older_than(account_id, before, limit).await?;
    let more = cut_to_page(&mut found, limit);
    Ok(ListHistoryResponse { events: found.into_iter().map(history_event).collect(), more })
}

fn history_event(event: StoredEvent) -> HistoryEvent {
    HistoryEvent {
        event_id: event.id.to_string().into(),
        at: event.at.as_millis(),
        kind: event.kind.into(),
        app_id: event.app_id.map(|app_id| app_id.get()),
        session_id: event.session_id.map(|id| id.to_string().into()),
        device_id: event.device_id.map(Into::into),
        address: event.address.map(Into::into),
        reason: event.reason.map(Into::into),
        request_id: event.request_id.map(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{context::RequestContext, error_code::ErrorCode};
    use idl::{
        account::{AccountService, RequestDeletionRequest, RevocationTarget},
        account_admin::{BanAccountRequest, HistoryEvent, LiftBanRequest, ListHistoryRequest},
    };

    use crate::{
        jobs::{self, Job},
        testing::{Service, code, config, public},
    };

    async fn history(service: &Service, account_id: i64) -> Vec<HistoryEvent> {
        service.account.clone().flush().await;
        let request = ListHistoryRequest { account_id, before: None, limit: 200 };
        public(service.account.admin_list_history(request).await).expect("a page").events
    }

    fn told(events: &[HistoryEvent]) -> Vec<(&str, &str)> {
        events.iter().map(|event| (&*event.kind, event.reason.as_deref().unwrap_or_default())).collect()
    }

    common::on_each_database! {
        async fn what_operators_and_game_servers_did_is_there_with_the_request_behind_it(database: TestDatabase) {
            let service = Service::start(database).await;
            let context = RequestContext::root(&*crate::testing::random());
            let tokens = service.device_login("phone", None).await.expect("a guest").tokens;
            let account_id = tokens.account_id;
            service.clock.advance(Duration::from_secs(1));
            let ban = BanAccountRequest {
                actor: "operator".into(),
                account_id,
                reason: "cheating".into(),
                note: Some("case 7".into()),
                until: None,
            };
            public(context.scope(service.account.admin_ban_account(ban)).await).expect("banned");
            service.clock.advance(Duration::from_secs(1));
            let lift = LiftBanRequest { actor: "operator".into(), account_id };
            public(service.account.admin_lift_ban(lift).await).expect("lifted");
            service.clock.advance(Duration::from_secs(1));
            let session = RevocationTarget::SessionId(tokens.session_id);
            assert_eq!(service.revoke(service.app_id(), session).await, Ok(1));
            let events = history(&service, account_id).await;
            let expected = [
                ("sessions_ended", "game_server"),
                ("ban_lifted", ""),
                ("banned", "cheating"),
                ("account_created", "device"),
            ];
            assert_eq!(told(&events), expected);
            assert_eq!(events[2].request_id.as_deref(), Some(&*context.trace_id.to_string()));
        }

        async fn nobody_has_no_history(database: TestDatabase) {
            let service = Service::start(database).await;
            for account_id in [7, -1] {
                let request = ListHistoryRequest { account_id, before: None, limit: 10 };
                assert_eq!(code(public(service.account.admin_list_history(request).await)), ErrorCode::NO_SUCH_ACCOUNT);
            }
        }

        async fn of_a_deleted_account_it_is_known_what_happened_and_not_where(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            let request = RequestDeletionRequest { access_token: tokens.access_token };
            public(service.account.request_deletion(request).await).expect("requested");
            let seen = history(&service, tokens.account_id).await;
            assert!(seen.iter().any(|event| event.address.is_some()));
            service.clock.advance(config().deletion.cooling_off);
            jobs::run(service.account.parts(), Job::Deletions).await.expect("run");
            let events = history(&service, tokens.account_id).await;
            assert_eq!(told(&events), told(&seen));
            assert!(events.iter().all(|event| event.address.is_none() && event.device_id.is_none()));
        }

        async fn old_events_are_forgotten(database: TestDatabase) {
            let service = Service::start(database).await;
            let account_id = service.register("ann").await.expect("registered").tokens.account_id;
            service.account.clone().flush().await;
            service.clock.advance(config().history.keep - Duration::from_secs(1));
            service.login("ann", crate::testing::PASSWORD).await.expect("signed in");
            jobs::run(service.account.parts(), Job::CleanUp).await.expect("run");
            assert_eq!(told(&history(&service, account_id).await).len(), 2, "not before their time");
            service.clock.advance(Duration::from_secs(60));
            jobs::run(service.account.parts(), Job::CleanUp).await.expect("run");
            assert_eq!(told(&history(&service, account_id).await), [("signed_in", "password")]);
        }
    }
}

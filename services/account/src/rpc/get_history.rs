//! `GetHistory`: what happened to a player's account, as its player is told.

use idl::{account::GetHistoryRequest, account_admin::ListHistoryResponse};

use super::{admin::list_history::page_of, bearer::Bearer};
use crate::{error::AccountError, service::Parts};

pub(crate) async fn get_history(
    parts: &Parts,
    request: GetHistoryRequest,
) -> Result<ListHistoryResponse, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?.valid_or_why(parts).await?;
    page_of(parts, bearer.account_id, request.before.as_deref(), request.limit).await
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::{AccountService, ChangePasswordRequest, GetHistoryRequest},
        account_admin::{HistoryEvent, ListHistoryResponse},
    };

    use crate::testing::{GRACE, PASSWORD, Service, code, field, public};

    async fn page(service: &Service, token: &str, before: Option<&str>, limit: i32) -> ListHistoryResponse {
        service.account.clone().flush().await;
        let before = before.map(|id| id.to_owned().into());
        let request = GetHistoryRequest { access_token: token.to_owned().into(), before, limit };
        public(service.account.get_history(request).await).expect("a page")
    }

    fn told(events: &[HistoryEvent]) -> Vec<(&str, &str)> {
        events.iter().map(|event| (&*event.kind, event.reason.as_deref().unwrap_or_default())).collect()
    }

    common::on_each_database! {
        async fn a_player_sees_what_happened_to_the_own_account_and_to_no_other(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("bob").await.expect("registered");
            let step = || service.clock.advance(std::time::Duration::from_secs(1));
            let first = service.register("ann").await.expect("registered").tokens;
            step();
            assert_eq!(code(service.login("ann", "wrong").await), ErrorCode::WRONG_CREDENTIALS);
            step();
            let second = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            step();
            service.logout(&first.access_token, false).await.expect("ended");
            step();
            let change = ChangePasswordRequest {
                access_token: second.access_token.clone(),
                old_password: Some(PASSWORD.into()),
                new_password: "battery staple".into(),
                ..ChangePasswordRequest::default()
            };
            public(service.account.change_password(change).await).expect("changed");
            let all = page(&service, &second.access_token, None, 200).await;
            let expected = [
                ("password_changed", ""),
                ("sessions_ended", "logout"),
                ("signed_in", "password"),
                ("sign_in_failed", "password"),
                ("account_created", "password"),
            ];
            assert_eq!((told(&all.events), all.more), (expected.to_vec(), false));
            let failed = &all.events[3];
            assert_eq!((failed.device_id.as_deref(), failed.address.as_deref()), (Some("device-1"), Some("192.0.2.1")));
            assert_eq!(all.events[2].session_id.as_deref(), Some(&*second.session_id));

            let newest = page(&service, &second.access_token, None, 2).await;
            assert_eq!((told(&newest.events), newest.more), (expected[..2].to_vec(), true));
            let older = page(&service, &second.access_token, Some(&newest.events[1].event_id), 3).await;
            assert_eq!((told(&older.events), older.more), (expected[2..].to_vec(), false));
        }

        async fn a_refresh_token_that_is_used_again_is_in_the_history(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.register("ann").await.expect("registered").tokens;
            service.refresh(&first.refresh_token).await.expect("refreshed");
            service.clock.advance(GRACE + std::time::Duration::from_secs(1));
            assert_eq!(code(service.refresh(&first.refresh_token).await), ErrorCode::REFRESH_TOKEN_REUSED);
            let again = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            let all = page(&service, &again.access_token, None, 200).await;
            let reused = all.events.iter().find(|event| &*event.kind == "refresh_token_reused").expect("it is there");
            assert_eq!(reused.session_id.as_deref(), Some(&*first.session_id));
        }

        async fn what_is_no_page_is_refused_by_its_field(database: TestDatabase) {
            let service = Service::start(database).await;
            let token = service.register("ann").await.expect("registered").tokens.access_token;
            for (before, limit, name) in [(Some("seven".into()), 10, "before"), (None, 0, "limit"), (None, 201, "limit")] {
                let request = GetHistoryRequest { access_token: token.clone(), before, limit };
                let refused = public(service.account.get_history(request).await);
                assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, name.to_owned()));
            }
        }
    }
}

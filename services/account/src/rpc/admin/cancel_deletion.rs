//! `AdminCancelDeletion`: an account is kept whose player, or somebody with the player's token, had asked for its end.

use idl::account_admin::{CancelAccountDeletionRequest, CancelAccountDeletionResponse};

use crate::{
    app_editor::request_id,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        ids::AccountId,
    },
    error::AccountError,
    service::Parts,
};

pub(crate) async fn cancel_deletion(
    parts: &Parts,
    request: CancelAccountDeletionRequest,
) -> Result<CancelAccountDeletionResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let account_id = AccountId::parse(request.account_id).map_err(|_| AccountError::NoSuchAccount)?;
    let record = AuditRecord {
        actor,
        action: Action::of("account.cancel_deletion"),
        target: Target::account(account_id),
        request_id: request_id(),
        details: Details::default(),
    };
    if !parts.deletions.call_off(account_id, &record, parts.clock.now()).await? {
        let life = parts.accounts.life(account_id).await?.ok_or(AccountError::NoSuchAccount)?;
        if life.deleted_at.is_some() {
            return Err(AccountError::NoSuchAccount);
        }
    }
    Ok(CancelAccountDeletionResponse {})
}

#[cfg(test)]
mod tests {
    use common::{clock::Clock, error_code::ErrorCode};
    use idl::{
        account::{AccountService, RequestDeletionRequest},
        account_admin::{
            AccountSelector, CancelAccountDeletionRequest, FindAccountRequest, FindAccountResponse, PendingDeletion,
        },
    };

    use crate::{
        jobs::{Job, run},
        testing::{PASSWORD, Service, code, config, public},
    };

    fn request(account_id: i64) -> CancelAccountDeletionRequest {
        CancelAccountDeletionRequest { actor: "operator".into(), account_id }
    }

    async fn find(service: &Service, account_id: i64) -> FindAccountResponse {
        let request = FindAccountRequest { selector: AccountSelector::AccountId(account_id) };
        public(service.account.admin_find_account(request).await).expect("found")
    }

    common::on_each_database! {
        async fn a_deletion_is_shown_and_called_off_until_it_is_carried_out(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            assert_eq!(find(&service, ann.account_id).await.deletion, None);
            let requested_at = service.clock.now();
            let deletion = RequestDeletionRequest { access_token: ann.access_token.clone() };
            public(service.account.request_deletion(deletion.clone()).await).expect("requested");
            let executes_at = requested_at + config().deletion.cooling_off;
            let pending =
                PendingDeletion { requested_at: requested_at.as_millis(), executes_at: executes_at.as_millis() };
            assert_eq!(find(&service, ann.account_id).await.deletion, Some(pending));
            for _ in 0..2 {
                public(service.account.admin_cancel_deletion(request(ann.account_id)).await).expect("called off");
            }
            assert_eq!(find(&service, ann.account_id).await.deletion, None);
            service.login("ann", PASSWORD).await.expect("signed in");
            let actions: Vec<_> = service.audit().await.into_iter().map(|record| record.action).collect();
            assert_eq!(actions, ["account.cancel_deletion", "app.create"], "calling nothing off is no change");

            let ann = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            let deletion = RequestDeletionRequest { access_token: ann.access_token };
            public(service.account.request_deletion(deletion).await).expect("requested");
            service.clock.advance(config().deletion.cooling_off);
            run(service.account.parts(), Job::Deletions).await.expect("deleted");
            let found = find(&service, ann.account_id).await;
            assert_eq!((found.deletion, found.deleted_at), (None, Some(service.clock.now().as_millis())));
            let late = public(service.account.admin_cancel_deletion(request(ann.account_id)).await);
            assert_eq!(code(late), ErrorCode::NO_SUCH_ACCOUNT);
            let nobody = public(service.account.admin_cancel_deletion(request(4242)).await);
            assert_eq!(code(nobody), ErrorCode::NO_SUCH_ACCOUNT);
        }
    }
}

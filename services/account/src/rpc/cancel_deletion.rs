//! `CancelDeletion`: a player keeps the account after all.

use idl::account::{CancelDeletionRequest, DeletionInfo};

use super::bearer::Bearer;
use crate::{domain::history::EventKind, error::AccountError, service::Parts};

pub(crate) async fn cancel_deletion(
    parts: &Parts,
    request: CancelDeletionRequest,
) -> Result<DeletionInfo, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?.valid_or_why(parts).await?;
    if !parts.deletions.cancel(bearer.account_id, parts.clock.now()).await? {
        return Err(AccountError::NoSuchAccount);
    }
    parts.note(bearer.happening(EventKind::DeletionCancelled));
    Ok(DeletionInfo { state: "cancelled".into(), executes_at: None })
}

#[cfg(test)]
mod tests {
    use idl::account::{AccountService, CancelDeletionRequest, RequestDeletionRequest};

    use crate::testing::{PASSWORD, Service, public};

    common::on_each_database! {
        async fn an_account_is_kept_whether_or_not_it_was_to_be_deleted(database: TestDatabase) {
            let service = Service::start(database).await;
            let token = service.register("ann").await.expect("registered").tokens.access_token;
            let request = RequestDeletionRequest { access_token: token.clone() };
            public(service.account.request_deletion(request).await).expect("requested");
            assert!(service.profile(&token).await.expect("a profile").deletion.is_some());
            for _ in 0..2 {
                let request = CancelDeletionRequest { access_token: token.clone() };
                let answer = public(service.account.cancel_deletion(request).await).expect("kept");
                assert_eq!((&*answer.state, answer.executes_at), ("cancelled", None));
            }
            assert!(service.profile(&token).await.expect("a profile").deletion.is_none());
            service.login("ann", PASSWORD).await.expect("signed in");
        }
    }
}

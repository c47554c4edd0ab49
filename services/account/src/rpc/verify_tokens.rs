//! `VerifyTokens`: the same as `VerifyToken` for up to 500 tokens, in their order.

use idl::account::{VerifyTokensRequest, VerifyTokensResponse};

use super::verify_token;
use crate::{
    domain::{field::FieldError, ids::AppId},
    error::AccountError,
    service::Parts,
};

/// Keeps a batch well under a millisecond, so that it can be answered without leaving the async thread.
const MOST_TOKENS: usize = 500;

pub(crate) fn verify_tokens(
    parts: &Parts,
    request: &VerifyTokensRequest,
) -> Result<VerifyTokensResponse, AccountError> {
    let app_id = AppId::parse(request.app_id)?;
    if !(1..=MOST_TOKENS).contains(&request.tokens.len()) {
        return Err(FieldError::new("tokens", "1 to 500 tokens").into());
    }
    // A bad token has its verdict beside the others'. One that can't be judged has none, and an answer without it would
    // be taken for one: then the whole batch is to be asked again.
    let verdicts =
        request.tokens.iter().map(|token| verify_token::judge(parts, app_id, token)).collect::<Result<_, _>>()?;
    Ok(VerifyTokensResponse { verdicts })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::account::{AccountService, TokenStatus, VerifyTokensRequest};

    use crate::testing::{Service, field, public};

    common::on_each_database! {
        async fn verdicts_come_in_the_order_asked_and_a_bad_token_spoils_no_other(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let bob = service.register("bob").await.expect("registered").tokens;
            service.logout(&bob.access_token, false).await.expect("ended");
            let tokens = vec![bob.access_token, "garbage".into(), ann.access_token.clone(), ann.access_token];
            let request = VerifyTokensRequest { app_id: service.app_id(), tokens };
            let response = public(service.account.verify_tokens(request).await).expect("verdicts");
            let statuses: Vec<_> = response.verdicts.iter().map(|verdict| verdict.status).collect();
            let [revoked, invalid, valid] = [TokenStatus::REVOKED, TokenStatus::INVALID, TokenStatus::VALID];
            assert_eq!(statuses, [revoked, invalid, valid, valid]);
        }

        async fn a_batch_has_1_to_500_tokens(database: TestDatabase) {
            let service = Service::start(database).await;
            for (count, allowed) in [(0, false), (1, true), (500, true), (501, false)] {
                let tokens = vec!["garbage".into(); count];
                let answer = service.account.verify_tokens(VerifyTokensRequest { app_id: service.app_id(), tokens }).await;
                match public(answer) {
                    Ok(response) => assert!(allowed && response.verdicts.len() == count, "{count}"),
                    refused => {
                        assert!(!allowed, "{count}");
                        assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, "tokens".to_owned()));
                    }
                }
            }
        }
    }
}

//! `VerifyTokens`: the same as `VerifyToken` for up to 500 tokens, in their order.

use common::{error_code::DEFAULT_RETRY_AFTER, token::wire};
use idl::account::{VerifyTokensRequest, VerifyTokensResponse};

use super::verify_token::{VerifyError, judge};
use crate::{
    domain::{field::FieldError, ids::AppId},
    service::Parts,
};

/// Keeps a batch well under a millisecond, so that it can be answered without leaving the async thread.
const MOST_TOKENS: usize = 500;

pub(crate) fn verify_tokens(parts: &Parts, request: &VerifyTokensRequest) -> Result<VerifyTokensResponse, VerifyError> {
    let app_id = AppId::parse(request.app_id)?;
    if !(1..=MOST_TOKENS).contains(&request.tokens.len()) {
        return Err(FieldError::new("tokens", "1 to 500 tokens").into());
    }
    // What is a matter of one token stays with it, bad or open: anybody can make a token that can't be judged, and it must
    // not cost the others their verdicts. Only when there is no verdict at all is nothing answered.
    let (mut judged, mut unsure) = (false, None);
    let verdicts = request.tokens.iter().map(|token| match judge(parts, app_id, token) {
        Ok(verdict) => {
            judged = true;
            verdict
        }
        Err(reason) => {
            unsure = Some(reason);
            wire::open(DEFAULT_RETRY_AFTER)
        }
    });
    let verdicts = verdicts.collect();
    match unsure {
        Some(reason) if !judged => Err(reason.into()),
        _ => Ok(VerifyTokensResponse { verdicts }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{
        clock::Timestamp,
        error_code::ErrorCode,
        token::{
            access_token::{self, Claims, DeviceClass},
            cipher::{KEY_LENGTH, NONCE_LENGTH},
            ids::{AccountId, SessionId},
            key_ring::{KeyId, TokenKey},
        },
    };
    use idl::account::{AccountService, TokenStatus};

    use pilota::FastStr;

    use super::*;
    use crate::testing::{Service, code, field, public};

    /// What anybody can make: a token that names the key after the newest.
    fn forged(app_id: i64) -> FastStr {
        let key = TokenKey::new(KeyId::new(KeyId::FIRST.get() + 1), Timestamp::default(), &[7; KEY_LENGTH]);
        let claims = Claims {
            account_id: AccountId::parse(1).expect("in range"),
            app_id: AppId::parse(app_id).expect("in range"),
            session_id: SessionId::from_bytes([1; 16]),
            issued_at: Timestamp::default(),
            lifetime: Duration::from_secs(7200),
            epoch: 0,
            device_class: DeviceClass(0),
            channel: None,
            device_id: None,
        };
        access_token::seal(&key, &claims, [5; NONCE_LENGTH]).into()
    }

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

        async fn a_forged_token_leaves_the_others_their_verdicts_when_the_keys_were_read_long_ago(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let ask = async |tokens: Vec<FastStr>| {
                public(service.account.verify_tokens(VerifyTokensRequest { app_id: service.app_id(), tokens }).await)
            };
            let statuses = async |tokens| {
                let verdicts = ask(tokens).await.expect("verdicts").verdicts;
                verdicts.into_iter().map(|verdict| (verdict.status, verdict.retry_after_ms)).collect::<Vec<_>>()
            };
            let good = ann.access_token;
            let forged = || forged(service.app_id());
            let batch = || vec![forged(), good.clone(), "garbage".into(), good.clone()];
            let [valid, invalid] = [(TokenStatus::VALID, None), (TokenStatus::INVALID, None)];
            assert_eq!(statuses(batch()).await, [invalid, valid, invalid, valid]);
            service.clock.advance(crate::testing::config().tokens.key_announce);
            let open = (TokenStatus::OPEN, Some(1000));
            assert_eq!(statuses(batch()).await, [open, valid, invalid, valid]);
            assert_eq!(code(ask(vec![forged(); 3]).await), ErrorCode::DEPENDENCY_UNAVAILABLE, "none could be judged");
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

//! A password that comes with an access token: compared with the account's, or chosen for it.
//!
//! The token may be stolen, and a guest's is free. So a password is compared as at a sign-in, behind the same ladders and
//! with the same standing in the hash pool, and the device is the one that the session began on: who comes with the token
//! of a player's own device is not kept out by what strangers do.

use crate::{
    domain::{ids::AccountId, password::Password},
    error::AccountError,
    hash_pool::{Comparison, Standing},
    risk::Trying,
    service::Parts,
};

/// Is this the password with that hash?
pub(super) async fn compare(
    parts: &Parts,
    trying: Trying<'_>,
    password: Password,
    hash: &str,
) -> Result<(), AccountError> {
    let attempt = parts.guard().password_attempt(&parts.sessions, trying).await?;
    match parts.hash_pool.verify(password, Some(hash), Standing::Stranger).await? {
        Comparison::Right { .. } => attempt.succeeded().await,
        Comparison::Wrong => Err(attempt.failed().await),
    }
}

/// The hash of a password that is new to the account.
pub(super) async fn hash(parts: &Parts, account_id: AccountId, password: Password) -> Result<String, AccountError> {
    parts.guard().charge_password_hash(account_id).await?;
    Ok(parts.hash_pool.hash(password, Standing::Stranger).await?)
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use common::error_code::ErrorCode;
    use idl::account::{ClientInfo, LinkProof, PasswordLogin};

    use super::Standing;
    use crate::testing::{PASSWORD, Service, code, config};

    const NEW: &str = "battery staple";
    const WRONG: &str = "wrong password";
    const MINUTE: Duration = Duration::from_secs(60);

    fn linking(username: &str, password: &str) -> LinkProof {
        let (username, password) = (username.to_owned().into(), password.to_owned().into());
        LinkProof::Password(PasswordLogin { username, password })
    }

    common::on_each_database! {
        async fn who_holds_a_token_guesses_no_more_often_than_who_signs_in(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            for _ in 0..4 {
                let changed = service.change_password(&ann.access_token, Some(WRONG), None, NEW).await;
                assert_eq!(code(changed), ErrorCode::WRONG_CREDENTIALS);
            }
            for _ in 0..3 {
                let linked = service.link(&ann.access_token, linking("ann", WRONG)).await;
                assert_eq!(code(linked), ErrorCode::WRONG_CREDENTIALS);
            }
            let refused = service.change_password(&ann.access_token, Some(PASSWORD), None, NEW).await.expect_err("locked");
            assert_eq!((refused.code, refused.retry_after), (ErrorCode::TOO_MANY_FAILED_LOGINS, Some(MINUTE)));
            let linked = service.link(&ann.access_token, linking("ann", PASSWORD)).await;
            assert_eq!(code(linked), ErrorCode::TOO_MANY_FAILED_LOGINS);
            assert_eq!(code(service.login("ann", PASSWORD).await), ErrorCode::TOO_MANY_FAILED_LOGINS, "one ladder");
            service.clock.advance(MINUTE);
            service.change_password(&ann.access_token, Some(PASSWORD), None, NEW).await.expect("changed");
        }

        async fn strangers_do_not_keep_a_player_from_changing_the_password(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let stranger = ClientInfo { address: Some("198.51.100.7".into()), ..ClientInfo::default() };
            for _ in 0..7 {
                let answer = service.login_as(stranger.clone(), "ann", WRONG).await;
                assert_eq!(code(answer), ErrorCode::WRONG_CREDENTIALS);
            }
            let answer = service.login_as(stranger, "ann", PASSWORD).await;
            assert_eq!(code(answer), ErrorCode::TOO_MANY_FAILED_LOGINS);
            service.change_password(&ann.access_token, Some(PASSWORD), None, NEW).await.expect("changed");
        }

        async fn an_account_has_a_budget_of_new_hashes(database: TestDatabase) {
            let mut config = config();
            config.risk.password_hashes_per_account = NonZeroU32::MIN;
            let service = Service::start_with(database, config).await;
            let guest = service.device_login("tablet", None).await.expect("a guest").tokens;
            service.link_username(&guest.access_token, "ann").await.expect("linked");
            let change = || service.change_password(&guest.access_token, Some(PASSWORD), None, NEW);
            let refused = change().await.expect_err("used up");
            assert_eq!(refused.code, ErrorCode::RATE_LIMITED_SUBJECT);
            service.link_username(&guest.access_token, "ann").await.expect("a repeat makes no hash");
            let other = service.device_login("phone", None).await.expect("a guest").tokens;
            service.link_username(&other.access_token, "bob").await.expect("another account");
            service.clock.advance(refused.retry_after.expect("a hint"));
            change().await.expect("the budget came back");
        }

        async fn what_cannot_be_linked_costs_no_hash_and_what_can_is_no_ones_priority(database: TestDatabase) {
            let service = Service::start(database).await;
            let guest = service.device_login("tablet", None).await.expect("a guest").tokens;
            let served = |standing| service.account.parts().hash_pool.served(standing);
            service.link_username(&guest.access_token, "ann").await.expect("linked");
            assert_eq!((served(Standing::Stranger), served(Standing::KnownDevice)), (1, 0));
            let refused = service.link_username(&guest.access_token, "bob").await.expect_err("no room");
            assert_eq!(refused.code, ErrorCode::CREDENTIAL_ALREADY_LINKED);
            assert_eq!((served(Standing::Stranger), served(Standing::KnownDevice)), (1, 0));
        }
    }
}

//! `ChangePassword`: a new password for the account of an access token. Whoever else is signed in no longer is.

use idl::account::{ChangePasswordRequest, ChangePasswordResponse, PhoneProof};

use super::{bearer::Bearer, own_password};
use crate::{
    domain::{
        client::Client,
        end_reason::EndReason,
        field::FieldError,
        history::EventKind,
        password::{Password, Surroundings},
        phone::PhoneNumber,
        phone_code::Scene,
        username::Username,
    },
    error::AccountError,
    phone_codes,
    risk::Trying,
    service::Parts,
};

pub(crate) async fn change_password(
    parts: &Parts,
    request: ChangePasswordRequest,
) -> Result<ChangePasswordResponse, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?.valid()?;
    let client = bearer.client(request.client.as_ref())?;
    parts.guard().admit(&client)?;
    let app = parts.apps.enabled(bearer.app_id.get()).await?;
    let stored = parts.passwords.of(bearer.account_id).await?;
    let stored = stored.ok_or(FieldError::new("new_password", "the account has no username yet: link one"))?;
    let surroundings = Surroundings { username: &stored.username, app_name: &app.name };
    let new = Password::choose(&request.new_password, surroundings)
        .map_err(|FieldError { reason, .. }| FieldError::new("new_password", reason))?;
    let hash = match (request.old_password, request.phone) {
        (Some(old), _) => {
            let old =
                Password::present(&old).map_err(|FieldError { reason, .. }| FieldError::new("old_password", reason))?;
            let username = Username::from_stored(&stored.username);
            let trying = Trying { username: &username, account_id: Some(bearer.account_id), client: &client };
            own_password::compare(parts, trying, old, &stored.hash).await?;
            own_password::hash(parts, bearer.account_id, new).await?
        }
        (None, Some(proof)) => {
            // The code last: a full hash pool must not use it up.
            let hash = own_password::hash(parts, bearer.account_id, new).await?;
            by_phone(parts, &bearer, &client, &proof).await?;
            hash
        }
        (None, None) => return Err(FieldError::new("old_password", "is required").into()),
    };
    let ending = parts.ending(EndReason::PasswordChanged.as_str());
    let ended = parts.passwords.replace(bearer.account_id, &stored.hash, &hash, bearer.session_id, ending).await?;
    // Replaced meanwhile: what was presented is the old password no longer.
    let ended = ended.ok_or(AccountError::WrongCredentials)?;
    parts.ended(&ended, ending);
    parts.note(bearer.happening(EventKind::PasswordChanged));
    Ok(ChangePasswordResponse { revoked: i64::try_from(ended.count).unwrap_or(i64::MAX) })
}

/// The phone has to be the account's own, and not since yesterday: a stolen access token links a phone, too. One of
/// another account is a wrong code, too, and its code is not used up.
async fn by_phone(parts: &Parts, bearer: &Bearer, client: &Client, proof: &PhoneProof) -> Result<(), AccountError> {
    let phone = PhoneNumber::parse(&proof.phone)?;
    let index = parts.personal_data.index_of(&phone);
    let since = parts.passwords.phone_since(bearer.account_id, &index).await?.ok_or(AccountError::WrongCode)?;
    if parts.clock.now().since(since) < parts.config.phone.reset_after {
        return Err(FieldError::new("phone", "was linked too recently to stand in for the old password").into());
    }
    phone_codes::redeem(parts, bearer.app_id, &phone, Scene::PasswordReset, &proof.code, client).await.map(drop)
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::account::{PhoneCodeScene, TokenStatus};

    use crate::testing::{PASSWORD, PHONE, Phones, Service, code, config, field, status_on};

    const NEW: &str = "battery staple";

    common::on_each_database! {
        async fn a_new_password_signs_everybody_else_out_and_the_old_one_is_good_no_more(database: TestDatabase) {
            let service = Service::start(database).await;
            let replica = service.replica().await;
            let here = service.register("ann").await.expect("registered").tokens;
            let there = service.login("ann", PASSWORD).await.expect("signed in").tokens;
            let bob = service.register("bob").await.expect("registered").tokens;
            assert_eq!(service.change_password(&here.access_token, Some(PASSWORD), None, NEW).await, Ok(1));
            assert_eq!(service.status(&here.access_token).await, TokenStatus::VALID);
            assert_eq!(service.status(&there.access_token).await, TokenStatus::REVOKED);
            assert_eq!(service.status(&bob.access_token).await, TokenStatus::VALID);
            assert_eq!(code(service.refresh(&there.refresh_token).await), ErrorCode::TOKEN_REVOKED);
            service.refresh(&here.refresh_token).await.expect("this session stays");
            assert_eq!(code(service.login("ann", PASSWORD).await), ErrorCode::WRONG_CREDENTIALS);
            service.login("ann", NEW).await.expect("signed in");
            replica.parts().revocations.follow(&*service.clock).await.expect("read");
            assert_eq!(status_on(&replica, service.app_id(), &there.access_token).await, TokenStatus::REVOKED);
        }

        async fn without_the_old_password_nothing_changes(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let long = "x".repeat(1025);
            let change = |old, new| service.change_password(&ann.access_token, old, None, new);
            assert_eq!(code(change(Some("wrong password"), NEW).await), ErrorCode::WRONG_CREDENTIALS);
            let invalid = |name: &str| (ErrorCode::INVALID_ARGUMENT, name.to_owned());
            assert_eq!(field(change(None, NEW).await), invalid("old_password"));
            assert_eq!(field(change(Some(&long), NEW).await), invalid("old_password"));
            assert_eq!(field(change(Some(PASSWORD), "short").await), invalid("new_password"));
            assert_eq!(code(service.change_password("garbage", Some(PASSWORD), None, NEW).await), ErrorCode::TOKEN_INVALID);
            service.login("ann", PASSWORD).await.expect("the old password is still good");
        }

        async fn of_two_changes_at_once_one_counts(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let changes = ["battery one", "battery two"]
                .map(|new| service.change_password(&ann.access_token, Some(PASSWORD), None, new));
            let outcomes = futures_util::future::join_all(changes).await;
            assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        }

        async fn a_guest_without_a_username_is_told_to_link_one(database: TestDatabase) {
            let service = Service::start(database).await;
            let guest = service.device_login("tablet", None).await.expect("a guest").tokens;
            let refused = field(service.change_password(&guest.access_token, None, None, NEW).await);
            assert_eq!(refused, (ErrorCode::INVALID_ARGUMENT, "new_password".to_owned()));
        }

        async fn a_code_to_a_phone_of_the_account_stands_in_for_the_old_password(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            service.link_phone(&phones, &ann.access_token, PHONE).await.expect("linked");
            service.clock.advance(config().phone.reset_after);
            let ann = service.refresh(&ann.refresh_token).await.expect("refreshed").tokens;
            service.send_code(PHONE, PhoneCodeScene::PASSWORD_RESET).await.expect("sent");
            let right = phones.code().await;
            let change = |code| service.change_password(&ann.access_token, None, Some((PHONE, code)), NEW);
            assert_eq!(code(change("12345x").await), ErrorCode::WRONG_CODE);
            change(&right).await.expect("changed");
            assert_eq!(code(change(&right).await), ErrorCode::WRONG_CODE);
            service.login("ann", NEW).await.expect("signed in");
        }

        async fn a_phone_that_was_linked_just_now_does_not(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            service.link_phone(&phones, &ann.access_token, PHONE).await.expect("linked");
            service.send_code(PHONE, PhoneCodeScene::PASSWORD_RESET).await.expect("sent");
            let right = phones.code().await;
            let refused = service.change_password(&ann.access_token, None, Some((PHONE, &right)), NEW).await;
            assert_eq!(field(refused), (ErrorCode::INVALID_ARGUMENT, "phone".to_owned()));
            service.login("ann", PASSWORD).await.expect("the old password is still good");
        }

        async fn the_phone_of_another_account_is_a_wrong_code(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.sign_in_with(&phones, PHONE).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            service.send_code(PHONE, PhoneCodeScene::PASSWORD_RESET).await.expect("sent");
            let right = phones.code().await;
            let refused = service.change_password(&ann.access_token, None, Some((PHONE, &right)), NEW).await;
            assert_eq!(code(refused), ErrorCode::WRONG_CODE);
        }
    }
}

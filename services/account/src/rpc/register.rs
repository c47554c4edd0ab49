//! `Register`: an account with a username and a password, signed in.

use idl::account::{LoginResponse, RegisterRequest};

use super::{client, switches::Gate};
use crate::{
    domain::{
        ids::AccountId,
        password::{Password, Surroundings},
        policy::LoginKind,
        username::Username,
    },
    error::AccountError,
    hash_pool::Standing,
    service::Parts,
    sign_in::{self, Entry},
    store::accounts::{Creation, CredentialName},
};

/// The epoch every account starts in.
pub(super) const FIRST_EPOCH: u32 = 0;

pub(crate) async fn register(parts: &Parts, request: RegisterRequest) -> Result<LoginResponse, AccountError> {
    let username = Username::parse(&request.username)?;
    let client = client::parse(&request.client)?;
    parts.guard().admit(&client)?;
    let app = parts.apps.enabled(request.app_id).await?;
    let gate = Gate::new(request.switches, parts.clock.now());
    gate.allow_kind(&app, LoginKind::Password)?;
    gate.allow_new_account(&app)?;
    let surroundings = Surroundings { username: username.folded(), app_name: &app.name };
    let password = Password::choose(&request.password, surroundings)?;
    parts.guard().charge_registration(&client).await?;
    let name = CredentialName::Password(&username);
    // A taken name is refused before it costs a hash. The insert below decides for those that come at once.
    if parts.accounts.credential(name, None).await?.is_some() {
        return Err(AccountError::UsernameTaken);
    }
    let hash = parts.hash_pool.hash(password, Standing::Stranger).await?;
    let beginning = sign_in::begin(
        parts,
        &app,
        (new_account_id(parts).await?, FIRST_EPOCH),
        client,
        Entry::Registration(name.kind()),
    );
    match parts.accounts.create(name, &hash, &beginning.session).await? {
        Creation::NameTaken => Err(AccountError::UsernameTaken),
        Creation::Created => {
            beginning.note(parts);
            Ok(LoginResponse { tokens: beginning.tokens(parts, &app), is_new_account: true, device_secret: None })
        }
    }
}

/// An id that no account had before.
pub(super) async fn new_account_id(parts: &Parts) -> Result<AccountId, AccountError> {
    let id = parts.account_ids.next().await?;
    AccountId::parse(id).map_err(|_| AccountError::Damaged("platform_segments"))
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::account::{AccountService, ClientInfo, RegisterRequest, TokenStatus};

    use crate::testing::{PASSWORD, Service, code, field, public};

    common::on_each_database! {
        async fn a_registered_player_is_signed_in_with_a_token_that_verifies(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("Ann").await.expect("registered");
            assert!(ann.is_new_account && ann.device_secret.is_none());
            let verdict = service.verify(&ann.tokens.access_token).await.expect("a verdict");
            assert_eq!(verdict.status, TokenStatus::VALID);
            assert_eq!(verdict.account_id, Some(ann.tokens.account_id));
            assert_eq!(verdict.session_id.as_deref(), Some(&*ann.tokens.session_id));
            assert_eq!(verdict.expires_at, Some(ann.tokens.access_expires_at));
            assert_eq!((verdict.channel.as_deref(), verdict.device_id.as_deref()), (Some("taptap"), Some("device-1")));
        }

        async fn a_name_that_folds_to_a_taken_one_is_taken(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("Ann").await.expect("registered");
            for name in ["Ann", "ANN", "ＡＮＮ"] {
                assert_eq!(code(service.register(name).await), ErrorCode::USERNAME_TAKEN, "{name}");
            }
            assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 1);
        }

        async fn of_two_players_who_want_one_name_at_once_one_gets_it(database: TestDatabase) {
            let service = Service::start(database).await;
            let attempts = futures_util::future::join_all((0..8).map(|_| service.register("ann"))).await;
            let won = attempts.iter().filter(|attempt| attempt.is_ok()).count();
            assert_eq!(won, 1);
            for lost in attempts.into_iter().filter(Result::is_err) {
                assert_eq!(code(lost), ErrorCode::USERNAME_TAKEN);
            }
            assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 1);
            assert_eq!(service.count("SELECT COUNT(*) FROM account_sessions").await, 1);
        }

        async fn a_refused_field_is_named(database: TestDatabase) {
            let service = Service::start(database).await;
            let invalid = |name: &str| (ErrorCode::INVALID_ARGUMENT, name.to_owned());
            assert_eq!(field(service.register("a b").await), invalid("username"));
            assert_eq!(field(service.register_with("ann", "short").await), invalid("password"));
            for password in [&*"to be or not ".repeat(10), "Password1!", "12345678", "ann-2026", "test game 7"] {
                assert_eq!(field(service.register_with("ann", password).await), invalid("password"), "{password}");
            }
            let long_device = ClientInfo { device_id: Some("d".repeat(129).into()), ..ClientInfo::default() };
            let request = RegisterRequest { client: long_device, ..service.register_request("ann", PASSWORD) };
            assert_eq!(field(public(service.account.register(request).await)), invalid("device_id"));
            let request = RegisterRequest { app_id: 999, ..service.register_request("ann", PASSWORD) };
            assert_eq!(field(public(service.account.register(request).await)), invalid("app_id"));
        }

        async fn a_disabled_app_and_a_disabled_kind_say_so(database: TestDatabase) {
            let service = Service::start(database).await;
            for (change, expected) in [
                ("UPDATE account_apps SET password_login = FALSE", ErrorCode::LOGIN_KIND_DISABLED),
                ("UPDATE account_apps SET enabled = FALSE", ErrorCode::APP_DISABLED),
            ] {
                service.database.write(change).execute().await.expect("changed");
                service.account.parts().apps.refresh().await.expect("read again");
                assert_eq!(code(service.register("ann").await), expected);
                assert_eq!(code(service.login("ann", PASSWORD).await), expected);
            }
        }
    }
}

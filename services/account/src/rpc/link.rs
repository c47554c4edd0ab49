//! `Link`: one more way to sign in to the account of an access token. A guest becomes a player that can come back from
//! anywhere, and stays the same account.
//!
//! An account has at most one username, `account.phone.per_account` phones, and per app
//! `account.linked_devices` devices and `account.channels.per_account` identities of channels.

use std::sync::Arc;

use idl::account::{ChannelProof, DeviceLink, LinkProof, LinkRequest, LinkResponse, PasswordLogin, PhoneProof};

use super::{
    bearer::Bearer,
    credentials,
    login::{NO_SECRET, prove},
    own_password,
};
use crate::{
    domain::{
        app::App,
        client::Client,
        device::{DeviceId, DeviceSecret},
        history::EventKind,
        password::{Password, Surroundings},
        phone::PhoneNumber,
        phone_code::Scene,
        policy::LoginKind,
        username::Username,
    },
    error::AccountError,
    phone_codes,
    risk::Trying,
    service::Parts,
    sign_in,
    store::{accounts::CredentialName, links::Linking},
};

const ONE_USERNAME: u32 = 1;
const ANOTHER_USERNAME: &str = "the account has another username";

pub(crate) async fn link(parts: &Parts, request: LinkRequest) -> Result<LinkResponse, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?.valid()?;
    let client = bearer.client(request.client.as_ref())?;
    parts.guard().admit(&client)?;
    let device_secret = match request.proof {
        LinkProof::Password(proof) => with_password(parts, &bearer, &client, proof).await.map(|()| None),
        LinkProof::Phone(proof) => with_phone(parts, &bearer, &client, proof).await.map(|()| None),
        LinkProof::Device(proof) => with_device(parts, &bearer, proof).await,
        LinkProof::Channel(proof) => with_channel(parts, &bearer, &proof).await.map(|()| None),
    }?;
    let credentials = credentials::listed(parts, bearer.account_id, bearer.app_id).await?;
    Ok(LinkResponse { credentials, device_secret: device_secret.map(Into::into) })
}

async fn with_password(
    parts: &Parts,
    bearer: &Bearer,
    client: &Client,
    proof: PasswordLogin,
) -> Result<(), AccountError> {
    let app = require_kind(parts, bearer, LoginKind::Password).await?;
    let username = Username::parse(&proof.username)?;
    let surroundings = Surroundings { username: username.folded(), app_name: &app.name };
    let password = Password::choose(&proof.password, surroundings)?;
    let name = CredentialName::Password(&username);
    // A name that is taken, or one too many, is refused before it costs a hash. The store decides for those that come at once.
    match parts.accounts.credential(name, None).await? {
        Some(stored) if stored.account_id != bearer.account_id => return Err(AccountError::CredentialOfAnother),
        // A repeat. This is no way to change the password: that one asks for the old one and ends the other sessions.
        Some(stored) => {
            let trying = Trying { username: &username, account_id: Some(bearer.account_id), client };
            return own_password::compare(parts, trying, password, &stored.secret).await;
        }
        None if parts.passwords.of(bearer.account_id).await?.is_some() => {
            return Err(AccountError::NoFurtherCredential(ANOTHER_USERNAME));
        }
        None => {}
    }
    let hash = own_password::hash(parts, bearer.account_id, password).await?;
    add(parts, bearer, name, &hash, ONE_USERNAME, ANOTHER_USERNAME).await.map(drop)
}

async fn with_phone(parts: &Parts, bearer: &Bearer, client: &Client, proof: PhoneProof) -> Result<(), AccountError> {
    require_kind(parts, bearer, LoginKind::Phone).await?;
    let phone = PhoneNumber::parse(&proof.phone)?;
    // First the code: whoever does not hold the phone is not told whose it is.
    let index = phone_codes::redeem(parts, bearer.app_id, &phone, Scene::Link, &proof.code, client).await?;
    let sealed = parts.personal_data.seal(&phone, bearer.account_id, &*parts.random);
    let (name, most) = (CredentialName::Phone(&index), parts.config.phone.per_account.get());
    add(parts, bearer, name, &sealed, most, "the account has as many phones as it may").await.map(drop)
}

async fn with_channel(parts: &Parts, bearer: &Bearer, proof: &ChannelProof) -> Result<(), AccountError> {
    require_kind(parts, bearer, LoginKind::Channel).await?;
    let identity = prove(parts, bearer.app_id, proof).await?;
    let name = CredentialName::Channel(bearer.app_id, &identity);
    let most = parts.config.channels.per_account.get();
    add(parts, bearer, name, NO_SECRET, most, "the account has as many channels as it may").await.map(drop)
}

/// Answers the secret if there is a new one.
async fn with_device(parts: &Parts, bearer: &Bearer, proof: DeviceLink) -> Result<Option<String>, AccountError> {
    require_kind(parts, bearer, LoginKind::Device).await?;
    let device_id = DeviceId::parse(&proof.device_id)?;
    let secret = match &proof.new_device_secret {
        Some(chosen) => DeviceSecret::parse_new(chosen)?,
        None => DeviceSecret::generate(&*parts.random),
    };
    let (name, most) = (CredentialName::Device(bearer.app_id, &device_id), parts.config.linked_devices);
    let linking = add(parts, bearer, name, &secret.hash(), most, "the account has as many devices as it may").await?;
    Ok((linking == Linking::Linked).then(|| secret.reveal()))
}

/// The app, if it allows signing in this way.
async fn require_kind(parts: &Parts, bearer: &Bearer, kind: LoginKind) -> Result<Arc<App>, AccountError> {
    let app = parts.apps.enabled(bearer.app_id.get()).await?;
    sign_in::allow_kind(&app, kind)?;
    Ok(app)
}

async fn add(
    parts: &Parts,
    bearer: &Bearer,
    name: CredentialName<'_>,
    secret: &str,
    most: u32,
    no_room: &'static str,
) -> Result<Linking, AccountError> {
    match parts.links.add(bearer.account_id, name, secret, most, parts.clock.now()).await? {
        Linking::Anothers => Err(AccountError::CredentialOfAnother),
        Linking::NoRoom => Err(AccountError::NoFurtherCredential(no_room)),
        Linking::Ours => Ok(Linking::Ours),
        Linking::Linked => {
            parts.note(bearer.happening(EventKind::CredentialLinked).because(name.kind().as_str()));
            Ok(Linking::Linked)
        }
    }
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::account::{CredentialInfo, DeviceLink, LinkProof, PasswordLogin, TokenStatus};
    use serde_json::json;

    use crate::testing::{ChannelServer, PASSWORD, PHONE, Phones, Service, code};

    fn shown(credentials: &[CredentialInfo]) -> Vec<(&str, &str)> {
        credentials.iter().map(|credential| (&*credential.kind, &*credential.masked_name)).collect()
    }

    common::on_each_database! {
        async fn a_player_of_a_channel_is_linked_once_and_signs_in_to_the_account(database: TestDatabase) {
            let service = Service::start(database).await;
            let server = ChannelServer::answering(200, &json!({ "code": 0, "uid": "u-4711" })).await;
            service.put_channel("uc", &server.signed_http()).await;
            let credential = json!({ "token": "t" });
            let guest = service.device_login("phone", None).await.expect("a guest").tokens;
            for _ in 0..2 {
                let linked = service.link_channel(&guest.access_token, "uc", &credential).await.expect("linked");
                assert_eq!(shown(&linked.credentials), [("channel", "uc:u***1"), ("device", "p***e")]);
            }
            let player = service.channel_login("uc", &credential).await.expect("signed in");
            assert_eq!((player.is_new_account, player.tokens.account_id), (false, guest.account_id));
            let other = service.device_login("tablet", None).await.expect("a guest").tokens;
            let conflict = service.link_channel(&other.access_token, "uc", &credential).await;
            assert_eq!(code(conflict), ErrorCode::CREDENTIAL_ALREADY_LINKED);
            server.answer(500, &json!({}));
            let unclear = service.link_channel(&other.access_token, "uc", &credential).await;
            assert_eq!(code(unclear), ErrorCode::DEPENDENCY_UNAVAILABLE);
        }

        async fn a_guest_becomes_a_player_of_the_same_account_three_times_over(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            let guest = service.device_login("tablet", None).await.expect("a guest").tokens;
            service.link_username(&guest.access_token, "Annabel").await.expect("linked");
            service.clock.advance(std::time::Duration::from_secs(1));
            service.link_phone(&phones, &guest.access_token, PHONE).await.expect("linked");
            service.clock.advance(std::time::Duration::from_secs(1));
            let linked = service.link_device(&guest.access_token, "laptop").await.expect("linked");
            let expected =
                [("device", "t***t"), ("password", "A***l"), ("phone", "+86138****5678"), ("device", "l***p")];
            assert_eq!(shown(&linked.credentials), expected);
            assert_eq!(service.status(&guest.access_token).await, TokenStatus::VALID);

            let by_password = service.login("annabel", PASSWORD).await.expect("signed in");
            let by_phone = service.sign_in_with(&phones, PHONE).await;
            let by_device = service.device_login("laptop", linked.device_secret.as_deref()).await.expect("signed in");
            for answer in [by_password, by_phone, by_device] {
                assert_eq!((answer.tokens.account_id, answer.is_new_account), (guest.account_id, false));
            }
            let profile = service.profile(&guest.access_token).await.expect("a profile");
            assert_eq!(shown(&profile.credentials), expected);
        }

        async fn what_belongs_to_another_account_is_refused_and_changes_nothing(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            service.register("ann").await.expect("registered");
            service.sign_in_with(&phones, PHONE).await;
            service.device_login("phone", None).await.expect("a guest");
            let guest = service.device_login("tablet", None).await.expect("a guest").tokens;
            let before = service.count("SELECT COUNT(*) FROM account_credentials").await;
            for refused in [
                service.link_username(&guest.access_token, "Ann").await,
                service.link_phone(&phones, &guest.access_token, PHONE).await,
                service.link_device(&guest.access_token, "phone").await,
            ] {
                assert_eq!(code(refused), ErrorCode::CREDENTIAL_ALREADY_LINKED);
            }
            assert_eq!(service.count("SELECT COUNT(*) FROM account_credentials").await, before);
            assert_eq!(service.status(&guest.access_token).await, TokenStatus::VALID);
        }

        async fn what_is_linked_already_is_linked_and_a_device_has_its_secret_answered_once(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            let guest = service.device_login("tablet", None).await.expect("a guest").tokens;
            for _ in 0..2 {
                service.link_username(&guest.access_token, "ann").await.expect("linked");
                service.link_phone(&phones, &guest.access_token, PHONE).await.expect("linked");
                service.clock.advance(std::time::Duration::from_secs(60));
            }
            let first = service.link_device(&guest.access_token, "laptop").await.expect("linked");
            let again = service.link_device(&guest.access_token, "laptop").await.expect("linked");
            assert!(first.device_secret.is_some() && again.device_secret.is_none());
            assert_eq!(again.credentials.len(), 4);
            service.device_login("laptop", first.device_secret.as_deref()).await.expect("the secret is still good");
        }

        async fn linking_is_no_way_to_change_the_password(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let proof = PasswordLogin { username: "ann".into(), password: "another password".into() };
            let refused = service.link(&ann.access_token, LinkProof::Password(proof)).await;
            assert_eq!(code(refused), ErrorCode::WRONG_CREDENTIALS);
            service.login("ann", PASSWORD).await.expect("the old password is still good");
        }

        async fn an_account_has_one_username_also_when_two_are_linked_at_once(database: TestDatabase) {
            let service = Service::start(database).await;
            let guest = service.device_login("tablet", None).await.expect("a guest").tokens;
            let names = ["ann", "bea", "cleo", "dora"];
            let links = names.map(|name| service.link_username(&guest.access_token, name));
            let answers = futures_util::future::join_all(links).await;
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
            for refused in answers.into_iter().filter_map(Result::err) {
                assert_eq!(refused.code, ErrorCode::CREDENTIAL_ALREADY_LINKED);
                assert_eq!(refused.message, "the account has another username");
            }
        }

        async fn of_two_accounts_that_want_one_name_at_once_one_gets_it(database: TestDatabase) {
            let service = Service::start(database).await;
            let mut guests = Vec::new();
            for device in ["one", "two", "three", "four"] {
                guests.push(service.device_login(device, None).await.expect("a guest").tokens.access_token);
            }
            let links = guests.iter().map(|token| service.link_username(token, "ann"));
            let answers = futures_util::future::join_all(links).await;
            assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
            for refused in answers.into_iter().filter(Result::is_err) {
                assert_eq!(code(refused), ErrorCode::CREDENTIAL_ALREADY_LINKED);
            }
        }

        async fn phones_and_devices_of_an_account_are_bounded(database: TestDatabase) {
            let phones = Phones::start().await;
            let mut config = phones.config();
            config.phone.per_account = std::num::NonZeroU32::MIN;
            config.linked_devices = 2;
            let service = Service::start_with(database, config).await;
            let guest = service.device_login("tablet", None).await.expect("a guest").tokens;
            service.link_phone(&phones, &guest.access_token, PHONE).await.expect("linked");
            let refused = service.link_phone(&phones, &guest.access_token, "+8613812345679").await;
            assert_eq!(code(refused), ErrorCode::CREDENTIAL_ALREADY_LINKED);
            service.link_device(&guest.access_token, "laptop").await.expect("linked");
            let refused = service.link_device(&guest.access_token, "desktop").await;
            assert_eq!(code(refused), ErrorCode::CREDENTIAL_ALREADY_LINKED);
        }

        async fn a_device_can_be_linked_with_a_secret_of_its_own(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let secret = "5d41402abc4b2a76b9719d911017c592e3b0c44298fc1c149afbf4c8996fb924";
            let device = DeviceLink { device_id: "laptop".into(), new_device_secret: Some(secret.into()) };
            let linked = service.link(&ann.access_token, LinkProof::Device(device)).await.expect("linked");
            assert_eq!(linked.device_secret.as_deref(), Some(secret));
            service.device_login("laptop", Some(secret)).await.expect("signed in");
        }

        async fn only_a_good_token_links(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            assert_eq!(code(service.link_device("garbage", "laptop").await), ErrorCode::TOKEN_INVALID);
            service.logout(&ann.access_token, false).await.expect("signed out");
            assert_eq!(code(service.link_device(&ann.access_token, "laptop").await), ErrorCode::TOKEN_REVOKED);
        }
    }
}

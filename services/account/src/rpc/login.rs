//! `Login`: a session for whoever proves to be its account, by password, by device, by phone or by a channel.

mod recheck;
#[cfg(test)]
mod switched;

use idl::account::{ChannelProof, DeviceLogin, LoginProof, LoginRequest, LoginResponse, PasswordLogin, PhoneProof};

use self::recheck::{Grounds, recheck};
use super::{
    client,
    register::{FIRST_EPOCH, new_account_id},
    switches::Gate,
};
use crate::{
    domain::{
        app::App,
        channel::{
            credential::ChannelCredential,
            identity::{ChannelIdentity, ChannelName},
        },
        client::Client,
        credential::CredentialKind,
        device::{DeviceId, DeviceSecret},
        history::{EventKind, Happening},
        ids::{AccountId, AppId},
        password::Password,
        phone::PhoneNumber,
        phone_code::Scene,
        policy::LoginKind,
        username::Username,
    },
    error::AccountError,
    hash_pool::{Comparison, Standing},
    phone_codes,
    risk::Trying,
    service::Parts,
    sign_in::{self, Entry},
    store::accounts::{Creation, CredentialName},
};

/// The channel keeps the secrets of its players.
pub(super) const NO_SECRET: &str = "";

pub(crate) async fn login(parts: &Parts, request: LoginRequest) -> Result<LoginResponse, AccountError> {
    let client = client::parse(&request.client)?;
    let wish = if request.cancel_deletion.unwrap_or_default() { Wish::KeepAccount } else { Wish::SignIn };
    let terms = &Terms { wish, gate: Gate::new(request.switches, parts.clock.now()) };
    match request.proof {
        LoginProof::Password(proof) => with_password(parts, request.app_id, proof, client, terms).await,
        LoginProof::Device(proof) => with_device(parts, request.app_id, proof, client, terms).await,
        LoginProof::Phone(proof) => with_phone(parts, request.app_id, proof, client, terms).await,
        LoginProof::Channel(proof) => with_channel(parts, request.app_id, &proof, client, terms).await,
    }
}

/// What decides about a sign-in besides its proof.
struct Terms {
    wish: Wish,
    gate: Gate,
}

/// What the player wants of an account that is pending deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// To be told so.
    SignIn,
    /// To keep it.
    KeepAccount,
}

async fn with_password(
    parts: &Parts,
    app_id: i64,
    proof: PasswordLogin,
    client: Client,
    terms: &Terms,
) -> Result<LoginResponse, AccountError> {
    let username = Username::parse(&proof.username)?;
    let password = Password::present(&proof.password)?;
    parts.guard().admit(&client)?;
    let app = parts.apps.enabled(app_id).await?;
    terms.gate.allow_kind(&app, LoginKind::Password)?;
    let name = CredentialName::Password(&username);
    let stored = parts.accounts.credential(name, client.device_id.as_ref()).await?;
    let standing = match &stored {
        Some(stored) if stored.device_is_known => Standing::KnownDevice,
        _ => Standing::Stranger,
    };
    let account_id = stored.as_ref().map(|stored| stored.account_id);
    // Before anything is spent on them. Whether there is such an account makes no difference.
    terms.gate.let_in(account_id)?;
    let trying = Trying { username: &username, account_id, client: &client };
    let unproven = |error| terms.gate.unproven(error);
    let attempt = parts.guard().password_attempt(&parts.sessions, trying).await.map_err(unproven)?;
    // Also without an account a hash is computed, so that the time taken does not tell which usernames exist.
    let secret = stored.as_ref().map(|stored| stored.secret.as_str());
    let (Comparison::Right { replacement }, Some(stored)) =
        (parts.hash_pool.verify(password.clone(), secret, standing).await?, &stored)
    else {
        let refusal = attempt.failed().await;
        if let (AccountError::WrongCredentials, Some(account_id)) = (&refusal, account_id) {
            note_failure(parts, account_id, app.app_id, &client, CredentialKind::Password);
        }
        return Err(unproven(refusal));
    };
    attempt.succeeded().await.map_err(unproven)?;
    let grounds = Grounds { name, stored, password: Some(&password) };
    let response = sign_in(parts, &app, grounds, client, terms).await?;
    if let Some(replacement) = replacement {
        parts.upgrades.store(&parts.accounts, name, &stored.secret, &replacement).await;
    }
    Ok(response)
}

async fn with_device(
    parts: &Parts,
    app_id: i64,
    proof: DeviceLogin,
    client: Client,
    terms: &Terms,
) -> Result<LoginResponse, AccountError> {
    let device_id = DeviceId::parse(&proof.device_id)?;
    let client = Client { device_id: Some(device_id.clone()), ..client };
    parts.guard().admit(&client)?;
    let app = parts.apps.enabled(app_id).await?;
    terms.gate.allow_kind(&app, LoginKind::Device)?;
    let name = CredentialName::Device(app.app_id, &device_id);
    // The secret that a client made before its first sign-in is the secret from then on: a repeat of that sign-in, whose
    // answer was lost, presents it again.
    let offered = match (&proof.device_secret, &proof.new_device_secret) {
        (None, Some(offered)) => Some(DeviceSecret::parse_new(offered)?),
        _ => None,
    };
    let presented = offered.as_ref().map(DeviceSecret::reveal).or(proof.device_secret.map(Into::into));
    if let Some(stored) = parts.accounts.credential(name, None).await? {
        let grounds = Grounds { name, stored: &stored, password: None };
        return known_device(parts, &app, grounds, presented.as_deref(), &device_id, client, terms).await;
    }
    terms.gate.let_in(None)?;
    if presented.is_some() && offered.is_none() {
        // A secret for a device that is not known can't be right.
        return Err(parts.guard().wrong_device_secret(app.app_id, &device_id, &client).await);
    }
    terms.gate.allow_new_account(&app)?;
    parts.guard().charge_registration(&client).await?;
    let secret = offered.unwrap_or_else(|| DeviceSecret::generate(&*parts.random));
    if let Some(created) = create_guest(parts, &app, name, &secret, client.clone()).await? {
        return Ok(created);
    }
    // Of two at once, one made the account; from that moment the other one is a sign-in of a known device.
    let stored = parts.accounts.credential(name, None).await?.ok_or(AccountError::Damaged("account_credentials"))?;
    let grounds = Grounds { name, stored: &stored, password: None };
    known_device(parts, &app, grounds, presented.as_deref(), &device_id, client, terms).await
}

/// A device that is known needs its secret.
async fn known_device(
    parts: &Parts,
    app: &App,
    grounds: Grounds<'_>,
    presented: Option<&str>,
    device_id: &DeviceId,
    client: Client,
    terms: &Terms,
) -> Result<LoginResponse, AccountError> {
    terms.gate.let_in(Some(grounds.stored.account_id))?;
    match presented {
        Some(presented) if DeviceSecret::matches(presented, &grounds.stored.secret) => {
            sign_in(parts, app, grounds, client, terms).await
        }
        _ => {
            let refusal = parts.guard().wrong_device_secret(app.app_id, device_id, &client).await;
            if matches!(refusal, AccountError::WrongCredentials) {
                note_failure(parts, grounds.stored.account_id, app.app_id, &client, CredentialKind::Device);
            }
            Err(terms.gate.unproven(refusal))
        }
    }
}

/// The first sign-in of a device. `None`: another one was faster.
async fn create_guest(
    parts: &Parts,
    app: &App,
    name: CredentialName<'_>,
    secret: &DeviceSecret,
    client: Client,
) -> Result<Option<LoginResponse>, AccountError> {
    let beginning = sign_in::begin(
        parts,
        app,
        (new_account_id(parts).await?, FIRST_EPOCH),
        client,
        Entry::Registration(name.kind()),
    );
    Ok(match parts.accounts.create(name, &secret.hash(), &beginning.session).await? {
        Creation::NameTaken => None,
        Creation::Created => {
            beginning.note(parts);
            let device_secret = Some(secret.reveal().into());
            Some(LoginResponse { tokens: beginning.tokens(parts, app), is_new_account: true, device_secret })
        }
    })
}

/// The first sign-in with a phone makes its account.
async fn with_phone(
    parts: &Parts,
    app_id: i64,
    proof: PhoneProof,
    client: Client,
    terms: &Terms,
) -> Result<LoginResponse, AccountError> {
    let phone = PhoneNumber::parse(&proof.phone)?;
    parts.guard().admit(&client)?;
    let app = parts.apps.enabled(app_id).await?;
    terms.gate.allow_kind(&app, LoginKind::Phone)?;
    if terms.gate.is_in_maintenance() {
        // A code is not used up by somebody who can't get in.
        let index = parts.personal_data.index_of(&phone);
        let stored = parts.accounts.credential(CredentialName::Phone(&index), None).await?;
        terms.gate.let_in(stored.map(|stored| stored.account_id))?;
    }
    let redeemed = phone_codes::redeem(parts, app.app_id, &phone, Scene::Login, &proof.code, &client).await;
    let index = redeemed.map_err(|error| terms.gate.unproven(error))?;
    let name = CredentialName::Phone(&index);
    if let Some(stored) = parts.accounts.credential(name, None).await? {
        return sign_in(parts, &app, Grounds { name, stored: &stored, password: None }, client, terms).await;
    }
    terms.gate.allow_new_account(&app)?;
    parts.guard().charge_registration(&client).await?;
    let account_id = new_account_id(parts).await?;
    let beginning =
        sign_in::begin(parts, &app, (account_id, FIRST_EPOCH), client.clone(), Entry::Registration(name.kind()));
    let sealed = parts.personal_data.seal(&phone, account_id, &*parts.random);
    match parts.accounts.create(name, &sealed, &beginning.session).await? {
        Creation::Created => {
            beginning.note(parts);
            Ok(LoginResponse { tokens: beginning.tokens(parts, &app), is_new_account: true, device_secret: None })
        }
        // Somebody who holds the phone, too, was faster: with a code of another app, or by linking it.
        Creation::NameTaken => match parts.accounts.credential(name, None).await? {
            Some(stored) => {
                sign_in(parts, &app, Grounds { name, stored: &stored, password: None }, client, terms).await
            }
            None => Err(AccountError::Damaged("account_credentials")),
        },
    }
}

/// The first sign-in of a channel's player makes their account.
async fn with_channel(
    parts: &Parts,
    app_id: i64,
    proof: &ChannelProof,
    client: Client,
    terms: &Terms,
) -> Result<LoginResponse, AccountError> {
    parts.guard().admit(&client)?;
    let app = parts.apps.enabled(app_id).await?;
    terms.gate.allow_kind(&app, LoginKind::Channel)?;
    // Only the channel knows who it is.
    let identity = prove(parts, app.app_id, proof).await.map_err(|error| terms.gate.unproven(error))?;
    let name = CredentialName::Channel(app.app_id, &identity);
    if let Some(stored) = parts.accounts.credential(name, None).await? {
        return sign_in(parts, &app, Grounds { name, stored: &stored, password: None }, client, terms).await;
    }
    terms.gate.allow_new_account(&app)?;
    parts.guard().charge_registration(&client).await?;
    let account_id = new_account_id(parts).await?;
    let beginning =
        sign_in::begin(parts, &app, (account_id, FIRST_EPOCH), client.clone(), Entry::Registration(name.kind()));
    match parts.accounts.create(name, NO_SECRET, &beginning.session).await? {
        Creation::Created => {
            beginning.note(parts);
            Ok(LoginResponse { tokens: beginning.tokens(parts, &app), is_new_account: true, device_secret: None })
        }
        // The same player, at the same time.
        Creation::NameTaken => match parts.accounts.credential(name, None).await? {
            Some(stored) => {
                sign_in(parts, &app, Grounds { name, stored: &stored, password: None }, client, terms).await
            }
            None => Err(AccountError::Damaged("account_credentials")),
        },
    }
}

/// Who the channel says that this is. Whoever can't prove it has been told nothing about accounts.
pub(super) async fn prove(parts: &Parts, app_id: AppId, proof: &ChannelProof) -> Result<ChannelIdentity, AccountError> {
    let channel = ChannelName::parse(&proof.channel)?;
    let credential = ChannelCredential::parse(&proof.credential_json)?;
    let uid = parts.channels.verify(app_id, &channel, &credential).await?;
    Ok(ChannelIdentity::new(&channel, &uid))
}

/// Writes down that somebody presented a wrong secret of an account that exists.
fn note_failure(parts: &Parts, account_id: AccountId, app_id: AppId, client: &Client, by: CredentialKind) {
    let happening = Happening::of(account_id, EventKind::SignInFailed).in_app(app_id);
    parts.note(happening.by(client).because(by.as_str()));
}

async fn sign_in(
    parts: &Parts,
    app: &App,
    grounds: Grounds<'_>,
    client: Client,
    terms: &Terms,
) -> Result<LoginResponse, AccountError> {
    let stored = grounds.stored;
    terms.gate.let_in(Some(stored.account_id))?;
    if let Some(executes_at) = stored.deletion_executes_at {
        if terms.wish != Wish::KeepAccount {
            return Err(AccountError::PendingDeletion { executes_at });
        }
        if !parts.deletions.cancel(stored.account_id, parts.clock.now()).await? {
            // It was deleted just now, and this credential with it.
            return Err(AccountError::WrongCredentials);
        }
        parts.note(Happening::of(stored.account_id, EventKind::DeletionCancelled).in_app(app.app_id).by(&client));
    }
    let beginning =
        sign_in::begin(parts, app, (stored.account_id, stored.epoch), client, Entry::SignIn(grounds.name.kind()));
    sign_in::store(parts, app, &beginning.session).await?;
    recheck(parts, app, grounds, &beginning.session).await?;
    beginning.note(parts);
    Ok(LoginResponse { tokens: beginning.tokens(parts, app), is_new_account: false, device_secret: None })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::account::{AccountService, ClientInfo, DeviceLogin, LoginProof, RegisterRequest, TokenStatus};

    use super::{CredentialName, DeviceId, Standing, Username};
    use crate::testing::{PASSWORD, PHONE, Phones, Service, code, device_proof, field, public};

    common::on_each_database! {
        async fn the_right_password_signs_in_to_the_same_account_in_a_new_session(database: TestDatabase) {
            let service = Service::start(database).await;
            let registered = service.register("Ann").await.expect("registered");
            let again = service.login("ａｎｎ", PASSWORD).await.expect("signed in");
            assert!(!again.is_new_account);
            assert_eq!(again.tokens.account_id, registered.tokens.account_id);
            assert_ne!(again.tokens.session_id, registered.tokens.session_id);
            assert_eq!(service.status(&again.tokens.access_token).await, TokenStatus::VALID);
        }

        async fn a_wrong_password_and_an_unknown_name_are_one_answer(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("ann").await.expect("registered");
            let wrong = service.login("ann", "wrong").await.expect_err("refused");
            let unknown = service.login("bob", PASSWORD).await.expect_err("refused");
            assert_eq!(wrong.code, ErrorCode::WRONG_CREDENTIALS);
            assert_eq!(wrong, unknown);
        }

        async fn an_over_long_password_is_refused_by_name(database: TestDatabase) {
            let service = Service::start(database).await;
            let refused = field(service.login("ann", &"x".repeat(1025)).await);
            assert_eq!(refused, (ErrorCode::INVALID_ARGUMENT, "password".to_owned()));
        }

        async fn rules_for_new_passwords_do_not_hold_for_old_ones(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("ann").await.expect("registered");
            // md5("short")
            service.set_password_hash("$md5$f=pass$$4f09daa9d95bcb166a302407a0e0babe").await;
            service.login("ann", "short").await.expect("signed in");
        }

        async fn a_hash_of_another_platform_is_replaced_by_argon2id_at_the_first_sign_in(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("ann").await.expect("registered");
            for (stored, password) in [
                ("$2a$05$LhayLxezLhK1LhWvKxCyLOj0j1u.Kj0jZ0pEmm134uzrQlFvQJLF6", "hashcat"),
                ("$P$984478476IagS59wHZvyQMArzfx58u.", "hashcat"),
                ("$md5$f=md5pass-salt$568$16780ba78d2d5f02f3202901c1b6d975", "hashcat"),
                ("pbkdf2_sha256$30000$seasalt$VrX+V8drCGo68wlvy6rfu8i1d1pfkdeXA4LJkRGJodY=", "l\u{e8}tmein"),
            ] {
                service.set_password_hash(stored).await;
                assert_eq!(code(service.login("ann", "wrong").await), ErrorCode::WRONG_CREDENTIALS);
                assert_eq!(service.password_hash().await, stored, "a wrong password changes nothing");
                service.login("ann", password).await.expect("signed in");
                let replaced = service.password_hash().await;
                assert!(replaced.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{replaced}");
                service.login("ann", password).await.expect("signed in again");
                assert_eq!(service.password_hash().await, replaced, "it is replaced once");
            }
        }

        async fn a_device_that_has_signed_in_before_is_known_to_that_account_only(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("ann").await.expect("registered");
            let bob = service.register_request("bob", PASSWORD);
            let elsewhere = ClientInfo { device_id: Some("bob's".into()), ..ClientInfo::default() };
            public(service.account.register(RegisterRequest { client: elsewhere, ..bob }).await).expect("registered");
            for (username, device, known) in
                [("ann", "device-1", true), ("ann", "bob's", false), ("bob", "bob's", true), ("bob", "device-1", false)]
            {
                let username = Username::parse(username).expect("valid");
                let device = DeviceId::parse(device).expect("valid");
                let name = CredentialName::Password(&username);
                let stored = service.account.parts().accounts.credential(name, Some(&device)).await;
                assert_eq!(stored.expect("read").expect("there").device_is_known, known, "{username:?} {device:?}");
            }
        }

        async fn only_a_known_device_goes_first(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("ann").await.expect("registered");
            let pool = &service.account.parts().hash_pool;
            let served = || (pool.served(Standing::KnownDevice), pool.served(Standing::Stranger));
            assert_eq!(served(), (0, 1), "a registration");
            assert_eq!(code(service.login("ann", "wrong").await), ErrorCode::WRONG_CREDENTIALS);
            assert_eq!(served(), (1, 1), "whatever the password");
            assert_eq!(code(service.login("bob", PASSWORD).await), ErrorCode::WRONG_CREDENTIALS);
            assert_eq!(served(), (1, 2), "nobody's device");
        }

        async fn a_device_gets_an_account_once_and_needs_its_secret_from_then_on(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.device_login("phone", None).await.expect("a guest");
            assert!(first.is_new_account);
            let secret = first.device_secret.expect("answered once");
            let again = service.device_login("phone", Some(&secret)).await.expect("signed in");
            assert_eq!(again.tokens.account_id, first.tokens.account_id);
            assert!(!again.is_new_account && again.device_secret.is_none());
            for (device, wrong) in [("phone", None), ("phone", Some("wrong")), ("never seen", Some(&*secret))] {
                assert_eq!(code(service.device_login(device, wrong).await), ErrorCode::WRONG_CREDENTIALS, "{device}");
            }
            assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 1);
        }

        async fn two_first_sign_ins_of_a_device_at_once_make_one_account(database: TestDatabase) {
            let service = Service::start(database).await;
            let attempts = futures_util::future::join_all((0..8).map(|_| service.device_login("phone", None))).await;
            assert_eq!(attempts.iter().filter(|attempt| attempt.is_ok()).count(), 1);
            for lost in attempts.into_iter().filter(Result::is_err) {
                assert_eq!(code(lost), ErrorCode::WRONG_CREDENTIALS);
            }
            assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 1);
        }

        async fn a_first_sign_in_with_a_secret_of_the_clients_own_can_be_repeated(database: TestDatabase) {
            let service = Service::start(database).await;
            let secret = "5d41402abc4b2a76b9719d911017c592e3b0c44298fc1c149afbf4c8996fb924";
            let other = secret.replace("5d", "6d");
            let attempt = |secret: &str| {
                let (device_id, new_device_secret) = ("tablet".into(), Some(secret.to_owned().into()));
                let proof = DeviceLogin { device_id, device_secret: None, new_device_secret };
                service.login_by(service.app_id(), LoginProof::Device(proof))
            };
            let answers = futures_util::future::join_all((0..4).map(|_| attempt(secret))).await;
            let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("signed in")).collect();
            let created: Vec<_> = answers.iter().filter(|answer| answer.is_new_account).collect();
            assert_eq!(created.len(), 1);
            assert_eq!(created[0].device_secret.as_deref(), Some(secret));
            assert!(answers.iter().all(|answer| answer.tokens.account_id == created[0].tokens.account_id));
            service.device_login("tablet", Some(secret)).await.expect("signed in");
            assert_eq!(code(attempt(&other).await), ErrorCode::WRONG_CREDENTIALS);
            assert_eq!(field(attempt("weak").await), (ErrorCode::INVALID_ARGUMENT, "new_device_secret".to_owned()));
            assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts").await, 1);
        }

        async fn a_phone_gets_an_account_once_in_all_apps_and_signs_in_to_it_from_then_on(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            let first = service.sign_in_with(&phones, PHONE).await;
            assert!(first.is_new_account && first.device_secret.is_none());
            assert_eq!(service.status(&first.tokens.access_token).await, TokenStatus::VALID);
            service.clock.advance(std::time::Duration::from_secs(60));
            let again = service.sign_in_with(&phones, PHONE).await;
            assert_eq!((again.is_new_account, again.tokens.account_id), (false, first.tokens.account_id));
            let other = service.sign_in_with(&phones, "+8613812345679").await;
            assert_ne!(other.tokens.account_id, first.tokens.account_id);
        }

        async fn device_ids_that_differ_in_case_or_trailing_space_are_different_devices(database: TestDatabase) {
            let service = Service::start(database).await;
            for device in ["phone", "Phone", "phone "] {
                assert!(service.device_login(device, None).await.expect("a guest").is_new_account, "{device:?}");
            }
        }

        async fn a_device_is_known_to_each_app_separately_and_a_username_to_all(database: TestDatabase) {
            let service = Service::start(database).await;
            let here = service.device_login("phone", None).await.expect("a guest");
            let other = service.admin().create_app("Other", None).await.expect("made").app_id;
            let there = service.login_by(other, device_proof("phone", None)).await.expect("a guest");
            assert_ne!(here.tokens.account_id, there.tokens.account_id);
        }

        async fn beyond_the_limit_of_its_class_the_oldest_session_ends_and_its_owner_is_told_why(database: TestDatabase) {
            let service = Service::start(database).await;
            service.limit_devices("kick_oldest", 2).await;
            let first = service.register("ann").await.expect("registered").tokens;
            let mut later = Vec::new();
            for device in ["tablet", "phone"] {
                service.clock.advance(std::time::Duration::from_secs(1));
                later.push(service.login_on("ann", device, "mobile").await.expect("signed in").tokens);
            }
            let elsewhere = service.login_on("ann", "console", "console").await.expect("another class").tokens;
            assert_eq!(service.status(&first.access_token).await, TokenStatus::REVOKED);
            for tokens in later.iter().chain([&elsewhere]) {
                assert_eq!(service.status(&tokens.access_token).await, TokenStatus::VALID);
            }
            for told in [
                service.refresh(&first.refresh_token).await.map(drop),
                service.profile(&first.access_token).await.map(drop),
                service.logout(&first.access_token, false).await.map(drop),
            ] {
                let told = told.expect_err("revoked");
                assert_eq!(told.code, ErrorCode::TOKEN_REVOKED);
                assert_eq!(told.details, [("reason".into(), "device_limit".into())]);
            }
            let replica = service.replica().await;
            let status = crate::testing::status_on(&replica, service.app_id(), &first.access_token).await;
            assert_eq!(status, TokenStatus::REVOKED, "others learn of it");
        }

        async fn a_sign_in_beyond_the_limit_is_refused_unless_its_device_holds_a_place(database: TestDatabase) {
            let service = Service::start(database).await;
            service.limit_devices("refuse_newest", 1).await;
            let first = service.register("ann").await.expect("registered").tokens;
            let other = service.login_on("ann", "another", "mobile").await;
            assert_eq!(code(other), ErrorCode::DEVICE_LIMIT_REACHED);
            assert_eq!(service.status(&first.access_token).await, TokenStatus::VALID);
            let again = service.login_on("ann", "device-1", "mobile").await.expect("the same device").tokens;
            assert_eq!(service.status(&first.access_token).await, TokenStatus::REVOKED);
            service.logout(&again.access_token, false).await.expect("ended");
            service.login_on("ann", "another", "mobile").await.expect("there is a place again");
        }

        async fn sign_ins_at_once_never_hold_more_places_than_there_are(database: TestDatabase) {
            let service = Service::start(database).await;
            for (on_excess, name) in [("kick_oldest", "ann"), ("refuse_newest", "bob")] {
                service.limit_devices(on_excess, 2).await;
                service.register(name).await.expect("registered");
                let devices = ["a", "b", "c", "d", "e", "f"];
                let attempts = devices.map(|device| service.login_on(name, device, "mobile"));
                let succeeded = futures_util::future::join_all(attempts).await.into_iter().filter(Result::is_ok).count();
                assert_eq!(succeeded, if on_excess == "kick_oldest" { 6 } else { 1 });
            }
            let live = "SELECT COUNT(*) FROM account_sessions WHERE revoked_at IS NULL";
            assert_eq!(service.count(live).await, 4);
        }

        async fn a_busy_hash_pool_is_never_a_wrong_password(database: TestDatabase) {
            let mut config = crate::testing::config();
            config.hash_pool.queue = std::num::NonZeroUsize::MIN;
            config.hash_pool.memory_kib = 19_456;
            let service = Service::start_with(database, config).await;
            service.register("ann").await.expect("registered");
            let attempts = futures_util::future::join_all((0..32).map(|_| service.login("ann", PASSWORD))).await;
            let refused: Vec<_> = attempts.into_iter().filter_map(Result::err).collect();
            assert!(!refused.is_empty());
            for refusal in refused {
                assert_eq!(refusal.code, ErrorCode::OVERLOADED);
                assert!(refusal.retry_after.is_some());
            }
        }
    }
}

//! `Link`: one more way to sign in to the account of an access token. A guest becomes a player that can come back from
//! anywhere, and stays the same account.
//!
//! An account has at most one username, `account.phone.per_account` phones and `account.linked_devices` devices per app.

use idl::account::{DeviceLink, LinkProof, LinkRequest, LinkResponse, PasswordLogin, PhoneProof};

use super::{bearer::Bearer, credentials};
use crate::{
    domain::{
        credential::CredentialKind,
        device::{DeviceId, DeviceSecret},
        password::Password,
        phone::PhoneNumber,
        phone_code::Scene,
        username::Username,
    },
    error::AccountError,
    phone_codes,
    service::Parts,
    sign_in,
    store::{accounts::CredentialName, links::Linking},
};

const ONE_USERNAME: u32 = 1;

pub(crate) async fn link(parts: &Parts, request: LinkRequest) -> Result<LinkResponse, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?.valid()?;
    let device_secret = match request.proof {
        LinkProof::Password(proof) => with_password(parts, bearer, proof).await.map(|()| None),
        LinkProof::Phone(proof) => with_phone(parts, bearer, proof).await.map(|()| None),
        LinkProof::Device(proof) => with_device(parts, bearer, proof).await,
    }?;
    let credentials = credentials::listed(parts, bearer.account_id, bearer.app_id).await?;
    Ok(LinkResponse { credentials, device_secret: device_secret.map(Into::into) })
}

async fn with_password(parts: &Parts, bearer: Bearer, proof: PasswordLogin) -> Result<(), AccountError> {
    require_kind(parts, bearer, CredentialKind::Password).await?;
    let username = Username::parse(&proof.username)?;
    let password = Password::choose(&proof.password)?;
    let name = CredentialName::Password(&username);
    // A name that is taken is refused before it costs a hash. The store decides for those that come at once.
    match parts.accounts.credential(name).await? {
        Some(stored) if stored.account_id != bearer.account_id => return Err(AccountError::CredentialOfAnother),
        // A repeat. This is no way to change the password: that one asks for the old one and ends the other sessions.
        Some(stored) => {
            let right = parts.hash_pool.verify(password, Some(&stored.secret)).await?;
            return if right { Ok(()) } else { Err(AccountError::WrongCredentials) };
        }
        None => {}
    }
    let hash = parts.hash_pool.hash(password).await?;
    add(parts, bearer, name, &hash, ONE_USERNAME, "the account has another username").await.map(drop)
}

async fn with_phone(parts: &Parts, bearer: Bearer, proof: PhoneProof) -> Result<(), AccountError> {
    require_kind(parts, bearer, CredentialKind::Phone).await?;
    let phone = PhoneNumber::parse(&proof.phone)?;
    // First the code: whoever does not hold the phone is not told whose it is.
    let index = phone_codes::redeem(parts, bearer.app_id, &phone, Scene::Link, &proof.code).await?;
    let sealed = parts.personal_data.seal(&phone, bearer.account_id, &*parts.random);
    let (name, most) = (CredentialName::Phone(&index), parts.config.phone.per_account.get());
    add(parts, bearer, name, &sealed, most, "the account has as many phones as it may").await.map(drop)
}

/// Answers the secret if there is a new one.
async fn with_device(parts: &Parts, bearer: Bearer, proof: DeviceLink) -> Result<Option<String>, AccountError> {
    require_kind(parts, bearer, CredentialKind::Device).await?;
    let device_id = DeviceId::parse(&proof.device_id)?;
    let secret = match &proof.new_device_secret {
        Some(chosen) => DeviceSecret::parse_new(chosen)?,
        None => DeviceSecret::generate(&*parts.random),
    };
    let (name, most) = (CredentialName::Device(bearer.app_id, &device_id), parts.config.linked_devices);
    let linking = add(parts, bearer, name, &secret.hash(), most, "the account has as many devices as it may").await?;
    Ok((linking == Linking::Linked).then(|| secret.reveal()))
}

async fn require_kind(parts: &Parts, bearer: Bearer, kind: CredentialKind) -> Result<(), AccountError> {
    let app = parts.apps.enabled(bearer.app_id.get()).await?;
    sign_in::require_kind(&app, kind)
}

async fn add(
    parts: &Parts,
    bearer: Bearer,
    name: CredentialName<'_>,
    secret: &str,
    most: u32,
    no_room: &'static str,
) -> Result<Linking, AccountError> {
    match parts.links.add(bearer.account_id, name, secret, most, parts.clock.now()).await? {
        Linking::Anothers => Err(AccountError::CredentialOfAnother),
        Linking::NoRoom => Err(AccountError::NoFurtherCredential(no_room)),
        done @ (Linking::Linked | Linking::Ours) => Ok(done),
    }
}

//! Phone codes: made, sent and redeemed.
//!
//! For whoever is a stranger to the phone's account, answer, time and effect are the same for a phone that signs in and for
//! one that nobody has ever used. A device that has signed in to the account before has a part of the phone's budget and of
//! each code's guesses that strangers can't use up. What a code is good for is decided by who redeems it.

mod budget;
mod config;
mod delivery;
mod log_sender;
mod metrics;
mod source;
mod webhook;

use common::clock::{Timestamp, new_uuid};

pub use self::config::{PhoneBudget, PhoneConfig, PhoneSender, WebhookConfig};
use self::delivery::CodeMessage;
pub(crate) use self::{
    budget::Budget,
    delivery::{Delivery, DeliveryStartError, NoRoom},
};
use crate::{
    domain::{
        client::Client,
        ids::AppId,
        personal_data::PhoneIndex,
        phone::PhoneNumber,
        phone_code::{Code, Scene},
    },
    error::AccountError,
    service::Parts,
    store::phone_codes::{NewCode, Purpose},
};

/// When a code that is on its way ends, and when the next one can be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Issued {
    pub(crate) expires_at: Timestamp,
    pub(crate) resend_at: Timestamp,
}

/// Makes a code and hands it over to be sent. Does not wait until it is.
pub(crate) async fn issue(
    parts: &Parts,
    app_id: AppId,
    phone: &PhoneNumber,
    scene: Scene,
    client: &Client,
) -> Result<Issued, AccountError> {
    let delivery = parts.phone_codes.as_ref().ok_or(AccountError::LoginKindDisabled)?;
    let index = parts.personal_data.index_of(phone);
    let (purpose, config) = (Purpose { phone: &index, app_id, scene }, &parts.config.phone);
    let now = parts.clock.now();
    if let Some(resend_at) = parts.phone_code_store.resend_at(purpose).await?.filter(|resend_at| *resend_at > now) {
        return Err(AccountError::SubjectLimited { retry_after: resend_at.since(now) });
    }
    // Before anything is charged or stored: a code that could not be sent must not cost the player anything.
    let place = delivery.place()?;
    let is_known = source::is_known(&parts.accounts, &index, client).await?;
    parts.phone_budget.charge(&*parts.shared, &parts.personal_data, &index, client, is_known).await?;
    let code = Code::draw(&*parts.random);
    let issued = Issued { expires_at: now + config.code_ttl, resend_at: now + config.resend_after };
    let new = NewCode {
        digest: parts.personal_data.code_digest(&index, app_id, scene, &code),
        tries: config.try_limits().total(),
        asker: source::source_of(&parts.personal_data, client).asker(),
        resend_at: issued.resend_at,
        expires_at: issued.expires_at,
    };
    if !parts.phone_code_store.issue(purpose, &new, now).await? {
        return Err(AccountError::SubjectLimited { retry_after: config.resend_after });
    }
    let id = new_uuid(&*parts.clock, &*parts.random).to_string();
    let phone = phone.clone();
    place.send(CodeMessage { id, phone, code, app_id, scene, expires_at: issued.expires_at });
    Ok(issued)
}

/// Uses up the code that was sent for this purpose. Wrong, expired, used, never sent and no longer to be guessed at by
/// this client are one answer.
pub(crate) async fn redeem(
    parts: &Parts,
    app_id: AppId,
    phone: &PhoneNumber,
    scene: Scene,
    code: &str,
    client: &Client,
) -> Result<PhoneIndex, AccountError> {
    let code = Code::parse(code).ok_or(AccountError::WrongCode)?;
    let index = parts.personal_data.index_of(phone);
    let guess = parts.personal_data.code_digest(&index, app_id, scene, &code);
    let purpose = Purpose { phone: &index, app_id, scene };
    let guesser = source::guesser(&parts.accounts, &parts.personal_data, &index, client).await?;
    let limits = parts.config.phone.try_limits();
    match parts.phone_code_store.redeem(purpose, &guess, guesser, limits, parts.clock.now()).await? {
        true => Ok(index),
        false => Err(AccountError::WrongCode),
    }
}

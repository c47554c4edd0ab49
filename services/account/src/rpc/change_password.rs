//! `ChangePassword`: a new password for the account of an access token. Whoever else is signed in no longer is.

use idl::account::{ChangePasswordRequest, ChangePasswordResponse, PhoneProof};

use super::bearer::Bearer;
use crate::{
    domain::{
        field::FieldError,
        ids::{AccountId, AppId},
        password::Password,
        phone::PhoneNumber,
        phone_code::Scene,
    },
    error::AccountError,
    phone_codes,
    service::Parts,
    store::accounts::CredentialName,
};

/// What the sessions that end are said to have ended for.
const REASON: &str = "password_changed";

pub(crate) async fn change_password(
    parts: &Parts,
    request: ChangePasswordRequest,
) -> Result<ChangePasswordResponse, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?.valid()?;
    let new = Password::choose(&request.new_password)
        .map_err(|FieldError { reason, .. }| FieldError::new("new_password", reason))?;
    let stored = parts.passwords.of(bearer.account_id).await?;
    let stored = stored.ok_or(FieldError::new("new_password", "the account has no username yet: link one"))?;
    let hash = match (request.old_password, request.phone) {
        (Some(old), _) => {
            let old =
                Password::present(&old).map_err(|FieldError { reason, .. }| FieldError::new("old_password", reason))?;
            if !parts.hash_pool.verify(old, Some(&stored)).await? {
                return Err(AccountError::WrongCredentials);
            }
            parts.hash_pool.hash(new).await?
        }
        (None, Some(proof)) => {
            // The code last: a full hash pool must not use it up.
            let hash = parts.hash_pool.hash(new).await?;
            by_phone(parts, bearer.app_id, bearer.account_id, &proof).await?;
            hash
        }
        (None, None) => return Err(FieldError::new("old_password", "is required").into()),
    };
    let ending = parts.ending(REASON);
    let ended = parts.passwords.replace(bearer.account_id, &stored, &hash, bearer.session_id, ending).await?;
    // Replaced meanwhile: what was presented is the old password no longer.
    let ended = ended.ok_or(AccountError::WrongCredentials)?;
    parts.ended(&ended, ending);
    Ok(ChangePasswordResponse { revoked: i64::try_from(ended.count).unwrap_or(i64::MAX) })
}

/// The phone has to be the account's own. One of another account is a wrong code, too, and its code is not used up.
async fn by_phone(parts: &Parts, app_id: AppId, account_id: AccountId, proof: &PhoneProof) -> Result<(), AccountError> {
    let phone = PhoneNumber::parse(&proof.phone)?;
    let index = parts.personal_data.index_of(&phone);
    let owner = parts.accounts.credential(CredentialName::Phone(&index)).await?.map(|stored| stored.account_id);
    if owner != Some(account_id) {
        return Err(AccountError::WrongCode);
    }
    phone_codes::redeem(parts, app_id, &phone, Scene::PasswordReset, &proof.code).await.map(drop)
}

//! What an account can be signed in to with, as its owner sees it.

use idl::account::CredentialInfo;

use crate::{
    domain::{
        credential::{self, CredentialKind},
        ids::{AccountId, AppId},
    },
    error::AccountError,
    service::Parts,
    store::accounts::ListedCredential,
};

/// All of them, without the devices of other apps.
pub(super) async fn listed(
    parts: &Parts,
    account_id: AccountId,
    app_id: AppId,
) -> Result<Vec<CredentialInfo>, AccountError> {
    let credentials = parts.accounts.credentials(account_id, app_id).await?;
    Ok(credentials.into_iter().map(|credential| info(parts, account_id, credential)).collect())
}

fn info(parts: &Parts, account_id: AccountId, credential: ListedCredential) -> CredentialInfo {
    let masked_name = masked_name(parts, account_id, &credential).into();
    CredentialInfo { kind: credential.kind.into(), masked_name }
}

/// Enough to recognise it, never enough to use it.
pub(super) fn masked_name(parts: &Parts, account_id: AccountId, credential: &ListedCredential) -> String {
    match &credential.phone {
        // One that does not open was sealed under another master key. Its owner can still sign in elsewise.
        Some(phone) => match parts.personal_data.open(&phone.sealed, account_id, &phone.index) {
            Some(phone) => phone.masked(),
            None => credential::masked(""),
        },
        // Masked when it was stored.
        None if credential.kind == CredentialKind::Channel.as_str() => credential.shown_name.clone(),
        None => credential::masked(&credential.shown_name),
    }
}

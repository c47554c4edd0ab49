//! `AdminFindAccount`: an account by its id, username or phone, with its live sessions in every app.

use common::clock::Timestamp;
use idl::account_admin::{
    AccountSelector, BanDetails, CredentialDetails, FindAccountRequest, FindAccountResponse, PendingDeletion,
    SessionDetails,
};

use crate::{
    domain::{ids::AccountId, phone::PhoneNumber, username::Username},
    error::AccountError,
    rpc::credentials,
    service::Parts,
    store::{
        accounts::{CredentialName, ListedCredential},
        bans::BanInEffect,
        sessions::ListedSession,
    },
};

pub(crate) async fn find_account(
    parts: &Parts,
    request: FindAccountRequest,
) -> Result<FindAccountResponse, AccountError> {
    let account_id = match request.selector {
        AccountSelector::AccountId(id) => AccountId::parse(id).map_err(|_| AccountError::NoSuchAccount)?,
        AccountSelector::Username(name) => {
            let name = Username::parse(&name)?;
            account_of(parts, CredentialName::Password(&name)).await?
        }
        AccountSelector::Phone(phone) => {
            let index = parts.personal_data.index_of(&PhoneNumber::parse(&phone)?);
            account_of(parts, CredentialName::Phone(&index)).await?
        }
    };
    let limit = parts.config.profile_sessions;
    let (life, credentials, ban, sessions) = tokio::try_join!(
        parts.accounts.life(account_id),
        parts.accounts.credentials_of_every_app(account_id),
        parts.bans.in_effect(account_id, parts.clock.now()),
        parts.sessions.live_in_every_app(account_id, parts.clock.now(), limit),
    )?;
    let life = life.ok_or(AccountError::NoSuchAccount)?;
    Ok(FindAccountResponse {
        account_id: account_id.get(),
        created_at: life.created_at.as_millis(),
        credentials: credentials
            .into_iter()
            .map(|credential| credential_details(parts, account_id, credential))
            .collect(),
        sessions: sessions.into_iter().map(session_details).collect(),
        ban: ban.map(ban_details),
        deletion: life.deletion.map(|(requested_at, executes_at)| PendingDeletion {
            requested_at: requested_at.as_millis(),
            executes_at: executes_at.as_millis(),
        }),
        deleted_at: life.deleted_at.map(Timestamp::as_millis),
    })
}

fn ban_details(BanInEffect { ban, note, banned_at }: BanInEffect) -> BanDetails {
    BanDetails {
        reason: ban.reason,
        note: note.map(Into::into),
        banned_at: banned_at.as_millis(),
        until: ban.until.map(Timestamp::as_millis),
    }
}

async fn account_of(parts: &Parts, name: CredentialName<'_>) -> Result<AccountId, AccountError> {
    let credential = parts.accounts.credential(name, None).await?;
    Ok(credential.ok_or(AccountError::NoSuchAccount)?.account_id)
}

fn credential_details(parts: &Parts, account_id: AccountId, credential: ListedCredential) -> CredentialDetails {
    CredentialDetails {
        masked_name: credentials::masked_name(parts, account_id, &credential).into(),
        kind: credential.kind.into(),
        app_id: credential.app_id.map(|app_id| app_id.get()),
        created_at: credential.created_at.as_millis(),
    }
}

fn session_details(session: ListedSession) -> SessionDetails {
    SessionDetails {
        session_id: session.session_id.to_string().into(),
        app_id: session.app_id.get(),
        device_id: session.device_id.map(Into::into),
        device_class: session.device_class.as_str().into(),
        channel: session.channel.map(Into::into),
        address: session.address.map(Into::into),
        created_at: session.created_at.as_millis(),
        last_seen_at: session.last_seen_at.as_millis(),
        expires_at: session.expires_at.as_millis(),
    }
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::AccountService,
        account_admin::{AccountSelector, FindAccountRequest, FindAccountResponse},
    };

    use crate::testing::{PASSWORD, PHONE, Phones, Service, code, field, public};

    async fn find(
        service: &Service,
        selector: AccountSelector,
    ) -> Result<FindAccountResponse, common::error_code::PublicError> {
        public(service.account.admin_find_account(FindAccountRequest { selector }).await)
    }

    common::on_each_database! {
        async fn an_account_is_found_by_its_name_in_any_spelling_and_by_its_id(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("Annabel").await.expect("registered").tokens;
            service.login("annabel", PASSWORD).await.expect("signed in");
            let found = find(&service, AccountSelector::Username("ANNABEL".into())).await.expect("found");
            assert_eq!((found.account_id, found.sessions.len()), (ann.account_id, 2));
            assert_eq!(&*found.credentials[0].masked_name, "A***l");
            assert_eq!(found.credentials[0].app_id, None);
            assert_eq!(find(&service, AccountSelector::AccountId(ann.account_id)).await, Ok(found));
            let guest = service.device_login("phone", None).await.expect("a guest").tokens;
            let found = find(&service, AccountSelector::AccountId(guest.account_id)).await.expect("found");
            assert_eq!(found.credentials[0].app_id, Some(service.app_id()));
            assert_eq!((&*found.sessions[0].device_class, found.sessions[0].app_id), ("mobile", service.app_id()));
        }

        async fn an_account_is_found_by_its_phone(database: TestDatabase) {
            let phones = Phones::start().await;
            let service = Service::start_with(database, phones.config()).await;
            let ann = service.sign_in_with(&phones, PHONE).await.tokens;
            let found = find(&service, AccountSelector::Phone(PHONE.into())).await.expect("found");
            assert_eq!((found.account_id, &*found.credentials[0].kind), (ann.account_id, "phone"));
            let unknown = find(&service, AccountSelector::Phone("+8613812345679".into())).await;
            assert_eq!(code(unknown), ErrorCode::NO_SUCH_ACCOUNT);
            let impossible = find(&service, AccountSelector::Phone("007".into())).await;
            assert_eq!(field(impossible), (ErrorCode::INVALID_ARGUMENT, "phone".to_owned()));
        }

        async fn nobody_is_not_found_and_a_name_that_cannot_be_is_refused(database: TestDatabase) {
            let service = Service::start(database).await;
            for nobody in [AccountSelector::AccountId(4242), AccountSelector::AccountId(-1)] {
                assert_eq!(code(find(&service, nobody).await), ErrorCode::NO_SUCH_ACCOUNT);
            }
            let unknown = find(&service, AccountSelector::Username("nobody".into())).await;
            assert_eq!(code(unknown), ErrorCode::NO_SUCH_ACCOUNT);
            let impossible = find(&service, AccountSelector::Username("a b".into())).await;
            assert_eq!(field(impossible), (ErrorCode::INVALID_ARGUMENT, "username".to_owned()));
        }
    }
}

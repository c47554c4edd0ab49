//! What a call can end with: one variant per thing its caller can do something about.

use std::time::Duration;

use common::{
    clock::Timestamp,
    error_code::{ErrorCode, PublicError},
    rpc::Refusal,
    shared::SharedError,
    sql::{Contention, SqlError},
    token::read_ring::Unsure,
};

use crate::{
    domain::{
        channel::{document::DocumentError, template::MissingField},
        field::FieldError,
        revocation::Ban,
        risk::{block_list::Blocked, subject_ban::kind_of},
    },
    hash_pool::HashError,
    phone_codes::NoRoom,
};

/// Why a call was refused or failed.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(transparent)]
    CredentialField(#[from] MissingField),
    #[error(transparent)]
    ChannelDocument(#[from] DocumentError),
    /// Could not tell: the channel was slow, broken or away.
    #[error("channel {channel} could not tell: {reason}")]
    ChannelUnclear { channel: String, reason: String, retry_after: Duration },
    #[error("no such user, or the wrong password or device secret")]
    WrongCredentials,
    /// Locked until it was quiet for so long.
    #[error("too many failed logins")]
    TooManyFailures { retry_after: Duration },
    #[error("an operator blocks the address or the device")]
    Blocked,
    #[error("an operator has banned the address or the device")]
    SubjectBanned { what: Blocked, ban: Ban },
    #[error("there are as many bans as there can be")]
    TooManyBans,
    #[error("the address has done too much of this")]
    AddressLimited { retry_after: Duration },
    #[error("the device has done too much of this")]
    DeviceLimited { retry_after: Duration },
    #[error("the username is taken")]
    UsernameTaken,
    #[error("the app is disabled")]
    AppDisabled,
    #[error("the app does not allow this kind of sign-in")]
    LoginKindDisabled,
    #[error("the app takes no new accounts")]
    RegistrationClosed,
    /// Only some may sign in, and it was not proven to be one of them.
    #[error("the game is under maintenance")]
    Maintenance { message: String, until: Option<Timestamp>, now: Timestamp },
    #[error("the account has as many live sessions of this device class as the app allows")]
    DeviceLimitReached,
    #[error("the code is not the one that was sent, or no longer good")]
    WrongCode,
    #[error("the credential belongs to another account")]
    CredentialOfAnother,
    /// The account has as many of that kind as it may; the text is shown.
    #[error("no further credential can be linked: {0}")]
    NoFurtherCredential(&'static str),
    #[error("too many requests for this phone, device or account")]
    SubjectLimited { retry_after: Duration },
    #[error(transparent)]
    PhoneCodesFull(#[from] NoRoom),
    #[error(transparent)]
    Shared(#[from] SharedError),
    #[error("the token is not one of ours")]
    TokenInvalid,
    #[error("the token has expired")]
    TokenExpired,
    #[error("the token was revoked")]
    TokenRevoked {
        /// As its owner may know it; `None` when it could not be looked up.
        reason: Option<&'static str>,
    },
    #[error("the account is banned")]
    Banned(Ban),
    #[error("the refresh token was used before")]
    RefreshTokenReused,
    /// Whoever asks has proved to be the player.
    #[error("the account is pending deletion")]
    PendingDeletion { executes_at: Timestamp },
    #[error("there is no such account")]
    NoSuchAccount,
    #[error("there is no such app")]
    NoSuchApp,
    #[error("there is an app of this id")]
    AppIdTaken,
    #[error("there are as many apps as there can be")]
    TooManyApps,
    #[error("there is no such partner")]
    NoSuchPartner,
    #[error("there is a partner of this name")]
    PartnerTaken,
    #[error("there are as many partners as there can be")]
    TooManyPartners,
    /// Could not tell: the token names a key newer than what this instance has been able to read, or says what only a
    /// later version understands.
    #[error(transparent)]
    Unsure(#[from] Unsure),
    /// Could not tell in time: nobody waits for the answer any more, so it must not cost anybody a session.
    #[error("the caller has stopped waiting")]
    TooLate,
    #[error(transparent)]
    Hash(#[from] HashError),
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A row that this version cannot have written.
    #[error("a stored value can't be read: {0}")]
    Damaged(&'static str),
}

impl Refusal for AccountError {
    fn public(&self) -> PublicError {
        let code = match self {
            Self::Field(FieldError { field, reason }) => return PublicError::invalid(*field, *reason),
            Self::CredentialField(MissingField(name)) => {
                return PublicError::invalid(format!("credential.{name}"), "is required");
            }
            Self::ChannelDocument(DocumentError { path, reason }) => {
                return PublicError::invalid(path.clone(), reason.clone());
            }
            Self::ChannelUnclear { retry_after, .. } => return PublicError::unavailable(*retry_after),
            Self::Hash(HashError::Full { retry_after }) => {
                return PublicError::new(ErrorCode::OVERLOADED).retry_after(*retry_after);
            }
            Self::TooManyFailures { retry_after } => {
                return PublicError::new(ErrorCode::TOO_MANY_FAILED_LOGINS).retry_after(*retry_after);
            }
            Self::AddressLimited { retry_after } => {
                return PublicError::new(ErrorCode::RATE_LIMITED_ADDRESS).retry_after(*retry_after);
            }
            Self::DeviceLimited { retry_after } => {
                return PublicError::new(ErrorCode::RATE_LIMITED_SUBJECT).retry_after(*retry_after);
            }
            Self::Blocked => ErrorCode::FORBIDDEN,
            Self::Sql(error) => return error.public(),
            Self::RegistrationClosed => {
                return PublicError::new(ErrorCode::LOGIN_KIND_DISABLED).message("new accounts are not accepted now");
            }
            Self::Maintenance { message, until, now } => {
                return common::maintenance::refusal(message.clone().into(), *until, *now);
            }
            Self::TokenRevoked { reason: Some(reason) } => {
                return PublicError::new(ErrorCode::TOKEN_REVOKED).detail("reason", *reason);
            }
            Self::PendingDeletion { executes_at } => {
                return PublicError::new(ErrorCode::ACCOUNT_PENDING_DELETION)
                    .detail("executes_at", executes_at.as_millis().to_string());
            }
            Self::Banned(ban) => return banned(ban),
            Self::SubjectBanned { what, ban } => return banned(ban).detail("kind", kind_of(*what)),
            Self::TooManyBans => return PublicError::new(ErrorCode::FORBIDDEN).message("there are too many bans"),
            Self::TooManyApps => return PublicError::new(ErrorCode::FORBIDDEN).message("there are too many apps"),
            Self::TooManyPartners => {
                return PublicError::new(ErrorCode::FORBIDDEN).message("there are too many partners");
            }
            Self::Shared(error) => return error.public(),
            Self::PhoneCodesFull(NoRoom { retry_after }) => {
                return PublicError::new(ErrorCode::OVERLOADED).retry_after(*retry_after);
            }
            Self::SubjectLimited { retry_after } => {
                return PublicError::new(ErrorCode::RATE_LIMITED_SUBJECT).retry_after(*retry_after);
            }
            Self::NoFurtherCredential(reason) => {
                return PublicError::new(ErrorCode::CREDENTIAL_ALREADY_LINKED).message(*reason);
            }
            Self::CredentialOfAnother => ErrorCode::CREDENTIAL_ALREADY_LINKED,
            Self::WrongCode => ErrorCode::WRONG_CODE,
            Self::WrongCredentials => ErrorCode::WRONG_CREDENTIALS,
            Self::UsernameTaken => ErrorCode::USERNAME_TAKEN,
            Self::AppDisabled => ErrorCode::APP_DISABLED,
            Self::LoginKindDisabled => ErrorCode::LOGIN_KIND_DISABLED,
            Self::TokenInvalid => ErrorCode::TOKEN_INVALID,
            Self::TokenExpired => ErrorCode::TOKEN_EXPIRED,
            Self::DeviceLimitReached => ErrorCode::DEVICE_LIMIT_REACHED,
            Self::NoSuchApp => ErrorCode::NO_SUCH_APP,
            Self::AppIdTaken => ErrorCode::APP_ID_TAKEN,
            Self::NoSuchPartner => ErrorCode::NO_SUCH_PARTNER,
            Self::PartnerTaken => ErrorCode::PARTNER_TAKEN,
            Self::TokenRevoked { reason: None } => ErrorCode::TOKEN_REVOKED,
            Self::RefreshTokenReused => ErrorCode::REFRESH_TOKEN_REUSED,
            Self::NoSuchAccount => ErrorCode::NO_SUCH_ACCOUNT,
            Self::Unsure(_) => ErrorCode::DEPENDENCY_UNAVAILABLE,
            Self::TooLate => ErrorCode::DEADLINE_EXCEEDED,
            Self::Hash(HashError::Expired) => ErrorCode::DEADLINE_EXCEEDED,
            Self::Hash(HashError::Failed) | Self::Damaged(_) => ErrorCode::INTERNAL,
        };
        PublicError::new(code)
    }
}

/// The player may know why, and until when (Unix milliseconds; absent: for good).
fn banned(Ban { reason, until }: &Ban) -> PublicError {
    let public = PublicError::new(ErrorCode::ACCOUNT_BANNED).detail("reason", reason.clone());
    match until {
        Some(until) => public.detail("until", until.as_millis().to_string()),
        None => public,
    }
}

impl Contention for AccountError {
    fn is_contention(&self) -> bool {
        matches!(self, Self::Sql(error) if error.is_contention())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_told_is_never_a_verdict_on_the_token() {
        for error in [
            AccountError::Unsure(Unsure::Unreadable),
            AccountError::TooLate,
            AccountError::Hash(HashError::Full { retry_after: Duration::from_secs(2) }),
            AccountError::ChannelUnclear {
                channel: "taptap of app 1001".to_owned(),
                reason: "it answered 500".to_owned(),
                retry_after: Duration::from_secs(2),
            },
            AccountError::Hash(HashError::Expired),
            AccountError::Hash(HashError::Failed),
            AccountError::Damaged("x"),
            AccountError::Sql(SqlError::QueueFull),
        ] {
            assert!(error.public().http_status() >= 500, "{error}");
        }
    }

    #[test]
    fn a_full_hash_queue_says_when_to_come_back() {
        let public = AccountError::Hash(HashError::Full { retry_after: Duration::from_secs(2) }).public();
        assert_eq!((public.code, public.retry_after), (ErrorCode::OVERLOADED, Some(Duration::from_secs(2))));
    }
}

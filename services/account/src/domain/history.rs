//! What happened to an account, as it is written down for its player and for operators.

use common::{clock::Timestamp, field::FieldError, token::ids::SessionId};
use uuid::Uuid;

use super::{
    client::Client,
    ids::{AccountId, AppId},
};

/// Bytes of a reason at most; the rest of a longer one is left out.
const LONGEST_REASON: usize = 255;

/// Names an event, and orders events by time: a UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventId([u8; 16]);

/// What happened. Its text is stored and answered, and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// The account was made, and signed in to. Reason: the kind of its credential.
    AccountCreated,
    /// Somebody signed in. Reason: the kind of the credential.
    SignedIn,
    /// Somebody tried to, with a wrong secret. Reason: the kind of the credential.
    SignInFailed,
    /// An old refresh token came back after its grace, and its session was ended.
    RefreshTokenReused,
    /// One session or more ended before their time. Reason: as their owner is told.
    SessionsEnded,
    /// One more way to sign in. Reason: its kind.
    CredentialLinked,
    /// The password was changed.
    PasswordChanged,
    /// An operator banned the account. Reason: as the player is told.
    Banned,
    /// An operator took the ban back.
    BanLifted,
    /// An operator lifted the locks that failed sign-ins had led to.
    Unlocked,
    /// The player asked for the account to be deleted.
    DeletionRequested,
    /// The account is kept after all.
    DeletionCancelled,
}

/// Something that has happened to an account. Made with [`Happening::of`]; what is not said is not known.
#[derive(Clone, Debug)]
pub(crate) struct Happening {
    pub(crate) account_id: AccountId,
    pub(crate) kind: EventKind,
    pub(crate) app_id: Option<AppId>,
    pub(crate) session_id: Option<SessionId>,
    pub(crate) device_id: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) reason: Option<String>,
}

/// A happening with its place in the history.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: EventId,
    pub(crate) at: Timestamp,
    /// The trace id of the request behind it.
    pub(crate) request_id: Option<String>,
    pub(crate) happening: Happening,
}

impl EventId {
    /// Reads the form in which it is answered.
    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let id = Uuid::try_parse(raw).map_err(|_| FieldError::new("before", "not an event id"))?;
        Ok(Self(id.into_bytes()))
    }

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Uuid> for EventId {
    fn from(id: Uuid) -> Self {
        Self(id.into_bytes())
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl EventKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AccountCreated => "account_created",
            Self::SignedIn => "signed_in",
            Self::SignInFailed => "sign_in_failed",
            Self::RefreshTokenReused => "refresh_token_reused",
            Self::SessionsEnded => "sessions_ended",
            Self::CredentialLinked => "credential_linked",
            Self::PasswordChanged => "password_changed",
            Self::Banned => "banned",
            Self::BanLifted => "ban_lifted",
            Self::Unlocked => "unlocked",
            Self::DeletionRequested => "deletion_requested",
            Self::DeletionCancelled => "deletion_cancelled",
        }
    }
}

impl Happening {
    pub(crate) fn of(account_id: AccountId, kind: EventKind) -> Self {
        Self { account_id, kind, app_id: None, session_id: None, device_id: None, address: None, reason: None }
    }

    #[must_use]
    pub(crate) fn in_app(self, app_id: AppId) -> Self {
        Self { app_id: Some(app_id), ..self }
    }

    #[must_use]
    pub(crate) fn in_session(self, session_id: SessionId) -> Self {
        Self { session_id: Some(session_id), ..self }
    }

    /// By the game client that asked for it.
    #[must_use]
    pub(crate) fn by(self, client: &Client) -> Self {
        let device_id = client.device_id.as_ref().map(|device_id| device_id.as_str().to_owned());
        Self { device_id, address: client.address.clone(), ..self }
    }

    #[must_use]
    pub(crate) fn because(self, reason: &str) -> Self {
        let end = reason.floor_char_boundary(LONGEST_REASON);
        Self { reason: Some(reason[..end].to_owned()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_reads_back_what_it_shows() {
        let id = EventId::from_bytes([7; 16]);
        assert_eq!(EventId::parse(&id.to_string()), Ok(id));
        assert_eq!(EventId::parse("seven").map_err(|error| error.field), Err("before"));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let account = AccountId::parse(1).expect("valid");
        let long = Happening::of(account, EventKind::Banned).because(&"é".repeat(200));
        assert_eq!(long.reason.map(|reason| reason.len()), Some(254));
    }
}

//! The player behind an access token, for methods that a player calls.

use std::time::Duration;

use idl::account::ClientInfo;

use super::client;
use crate::{
    domain::{
        access_token::Buffer,
        client::Client,
        device::DeviceId,
        end_reason::EndReason,
        field::FieldError,
        history::{EventKind, Happening},
        ids::{AccountId, AppId, SessionId},
        verdict::Verdict,
    },
    error::AccountError,
    service::Parts,
};

/// How long the owner of a session that has ended waits to be told why. That it has ended is known without asking.
const REASON_PATIENCE: Duration = Duration::from_millis(250);

/// Whom an access token was made for, and whether it is still good.
#[derive(Clone, Debug)]
pub(super) struct Bearer {
    pub(super) account_id: AccountId,
    pub(super) app_id: AppId,
    pub(super) session_id: SessionId,
    device_id: Option<DeviceId>,
    verdict: Verdict,
}

impl Bearer {
    /// Opens the token and judges it for the app it was made for.
    pub(super) fn open(parts: &Parts, token: &str) -> Result<Self, AccountError> {
        let (mut buffer, now) = (Buffer::default(), parts.clock.now());
        let claims = parts.keys.open(token, &mut buffer, now)?.ok_or(AccountError::TokenInvalid)?;
        Ok(Self {
            account_id: claims.account_id,
            app_id: claims.app_id,
            session_id: claims.session_id,
            device_id: claims.device_id.and_then(|device_id| DeviceId::parse(device_id).ok()),
            verdict: parts.judge(&claims, claims.app_id, now),
        })
    }

    /// Who asks: at the address that the gateway saw, on the device that the session began on, whatever is said now.
    pub(super) fn client(&self, said: Option<&ClientInfo>) -> Result<Client, FieldError> {
        client::on_device(said, self.device_id.clone())
    }

    /// Something that has happened to the player's account by their own doing.
    pub(super) fn happening(&self, kind: EventKind) -> Happening {
        Happening::of(self.account_id, kind).in_app(self.app_id).in_session(self.session_id)
    }

    /// Its session has been ended.
    pub(super) fn is_revoked(&self) -> bool {
        self.verdict == Verdict::Revoked
    }

    /// Why its session was ended, as its owner may know; `None` when nobody can say now.
    pub(super) async fn end_reason(&self, parts: &Parts) -> Option<&'static str> {
        let stored = tokio::time::timeout(REASON_PATIENCE, parts.sessions.revoke_reason(self.session_id)).await;
        Some(EndReason::told(&stored.ok()?.ok()??))
    }

    /// The player, if the token is good now; otherwise what is wrong with it.
    pub(super) async fn valid_or_why(self, parts: &Parts) -> Result<Self, AccountError> {
        match self.clone().valid() {
            Err(AccountError::TokenRevoked { .. }) => {
                Err(AccountError::TokenRevoked { reason: self.end_reason(parts).await })
            }
            judged => judged,
        }
    }

    /// The player, if the token is good now.
    pub(super) fn valid(self) -> Result<Self, AccountError> {
        match self.verdict {
            Verdict::Valid => Ok(self),
            Verdict::Expired => Err(AccountError::TokenExpired),
            Verdict::Banned(ban) => Err(AccountError::Banned(ban)),
            Verdict::Revoked => Err(AccountError::TokenRevoked { reason: None }),
            Verdict::Foreign => Err(AccountError::TokenInvalid),
        }
    }
}

//! The player behind an access token, for methods that a player calls.

use crate::{
    domain::{
        access_token::Buffer,
        ids::{AccountId, AppId, SessionId},
        verdict::{self, Verdict},
    },
    error::AccountError,
    service::Parts,
};

/// Whom an access token was made for, and whether it is still good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bearer {
    pub(super) account_id: AccountId,
    pub(super) app_id: AppId,
    pub(super) session_id: SessionId,
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
            verdict: verdict::judge(&claims, claims.app_id, parts.revocations.index(), now),
        })
    }

    /// Its session has been ended.
    pub(super) fn is_revoked(self) -> bool {
        self.verdict == Verdict::Revoked
    }

    /// The player, if the token is good now.
    pub(super) fn valid(self) -> Result<Self, AccountError> {
        match self.verdict {
            Verdict::Valid => Ok(self),
            Verdict::Expired => Err(AccountError::TokenExpired),
            Verdict::Revoked => Err(AccountError::TokenRevoked),
            Verdict::Foreign => Err(AccountError::TokenInvalid),
        }
    }
}

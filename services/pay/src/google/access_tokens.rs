//! Access tokens of service accounts, kept until shortly before they end.
//!
//! One is asked for at a time for each account, whoever waits for it; and not again for a moment after there was none, or after
//! the interface has refused a new one as well.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use common::clock::Timestamp;
use http::{Request, header};
use moka::sync::Cache;
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::{
    caller::{Google, Unavailable},
    metrics::Call,
};
use crate::channels::{AccessToken, ServiceAccount};

/// A token is not used in its last minutes: a call takes its time, and clocks differ.
const RESERVE: Duration = Duration::from_secs(300);

/// A token is kept for this long at most, however long Google says that it is good. It gives them for an hour.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long nobody asks again after there was no token, or none that was taken.
const PAUSE: Duration = Duration::from_secs(5);

/// Accounts that are remembered. Protects memory.
const CAPACITY: u64 = 10_000;

/// The tokens of every account. Cheap to clone.
#[derive(Clone)]
pub(super) struct AccessTokens(Cache<[u8; 32], Arc<Mutex<Slot>>>);

/// A token, and which of its account's it is.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) secret: SecretString,
    serial: u64,
}

#[derive(Default)]
struct Slot {
    held: Option<(Token, Timestamp)>,
    serial: u64,
    /// When there was none, and why.
    failed: Option<(Timestamp, Unavailable)>,
    /// When the interface last refused one.
    refused_at: Option<Timestamp>,
}

impl Google {
    /// The account's token, or a new one.
    pub(super) async fn token(&self, account: &ServiceAccount) -> Result<Token, Unavailable> {
        let slot = self.tokens.slot(account);
        let mut slot = slot.lock().await;
        let now = self.clock.now();
        if let Some((token, _)) = slot.held.as_ref().filter(|(_, usable_until)| now < *usable_until) {
            return Ok(token.clone());
        }
        if let Some((_, why)) = slot.failed.as_ref().filter(|(at, _)| now < *at + PAUSE) {
            return Err(why.clone());
        }
        match self.mint(account, now).await {
            Ok(AccessToken { secret, lifetime }) => {
                // Of a short one the first half.
                let usable = lifetime.min(LONGEST);
                let usable = usable.saturating_sub(RESERVE).max(usable / 2);
                slot.serial += 1;
                let token = Token { secret, serial: slot.serial };
                (slot.held, slot.failed) = (Some((token.clone(), now + usable)), None);
                Ok(token)
            }
            Err(why) => {
                slot.failed = Some((now, why.clone()));
                Err(why)
            }
        }
    }

    /// The interface does not take this token: nobody uses it any more.
    pub(super) async fn refused(&self, account: &ServiceAccount, token: &Token) {
        let slot = self.tokens.slot(account);
        let mut slot = slot.lock().await;
        let now = self.clock.now();
        if slot.held.as_ref().is_none_or(|(held, _)| held.serial != token.serial) {
            return;
        }
        slot.held = None;
        if slot.refused_at.is_some_and(|at| now < at + PAUSE) {
            slot.failed = Some((now, Unavailable::new("the interface takes no access token of this account")));
        }
        slot.refused_at = Some(now);
    }

    async fn mint(&self, account: &ServiceAccount, now: Timestamp) -> Result<AccessToken, Unavailable> {
        let form = account.token_request(now).ok_or_else(|| Unavailable::new("the account's key can't sign"))?;
        let request = Request::post(account.token_url())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form))
            .map_err(|_| Unavailable::new("no URL of access tokens"))?;
        let answer = self.exchange(Call::Token, request).await?;
        AccessToken::read(answer.status().as_u16(), answer.body()).map_err(Unavailable::new)
    }
}

impl AccessTokens {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_idle(LONGEST).build())
    }

    fn slot(&self, account: &ServiceAccount) -> Arc<Mutex<Slot>> {
        self.0.get_with(account.fingerprint(), Arc::default)
    }
}

impl fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessTokens").field(&self.0.entry_count()).finish()
    }
}

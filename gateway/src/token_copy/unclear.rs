//! Whom a revocation concerns that this version does not understand.
//!
//! An account of a later version may tell of things that this gateway has no word for. What became of those they name
//! can't be told here: to take it for nothing would call a token good that account calls bad.

use std::sync::atomic::{AtomicI64, Ordering};

use common::{
    clock::Timestamp,
    token::{
        access_token::Claims,
        ids::{AccountId, SessionId},
    },
};

/// Those whose tokens can't be judged, and until when.
#[derive(Debug)]
pub(super) struct Unclear {
    sessions: papaya::HashMap<SessionId, Timestamp>,
    accounts: papaya::HashMap<AccountId, Timestamp>,
    /// Unix ms: until then nobody's can be, because something named nobody that is known here.
    everybody_until: AtomicI64,
}

impl Default for Unclear {
    fn default() -> Self {
        Self { sessions: papaya::HashMap::new(), accounts: papaya::HashMap::new(), everybody_until: AtomicI64::new(0) }
    }
}

impl Unclear {
    /// Adds what is named, until `expires_at`; everybody when nothing is named.
    pub(super) fn add(&self, session: Option<SessionId>, account: Option<AccountId>, expires_at: Timestamp) {
        if let Some(session) = session {
            self.sessions.pin().update_or_insert(session, |known| (*known).max(expires_at), expires_at);
        }
        if let Some(account) = account {
            self.accounts.pin().update_or_insert(account, |known| (*known).max(expires_at), expires_at);
        }
        if session.is_none() && account.is_none() {
            self.everybody_until.fetch_max(expires_at.as_millis(), Ordering::AcqRel);
        }
    }

    /// Can't this token be judged?
    pub(super) fn concerns(&self, claims: &Claims<'_>, now: Timestamp) -> bool {
        now.as_millis() < self.everybody_until.load(Ordering::Acquire)
            || self.sessions.pin().contains_key(&claims.session_id)
            || self.accounts.pin().contains_key(&claims.account_id)
    }

    pub(super) fn forget_expired(&self, now: Timestamp) {
        self.sessions.pin().retain(|_, expires_at| *expires_at > now);
        self.accounts.pin().retain(|_, expires_at| *expires_at > now);
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.accounts.len()
    }
}

//! Which tokens no longer count, in memory.
//!
//! Every instance holds the whole set, so that verifying needs no I/O. An entry lives as long as the longest access
//! token: what it would refuse after that has expired anyway.

use super::{
    access_token::Claims,
    ids::{AccountId, SessionId},
};
use crate::clock::Timestamp;

/// What was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// One session.
    Session(SessionId),
    /// Every token of an account that was issued in an earlier epoch.
    Account {
        /// Whose tokens.
        account_id: AccountId,
        /// The first epoch that is good.
        epoch: u32,
    },
}

/// The revocations that can still matter. Reading takes no lock.
///
/// Entries are never dropped for room: forgetting one would make a revoked token good. What bounds the set is the rate of
/// revocations times the longest access token; an entry takes about 50 bytes.
#[derive(Debug, Default)]
pub struct RevocationIndex {
    sessions: papaya::HashMap<SessionId, Timestamp>,
    accounts: papaya::HashMap<AccountId, Epoch>,
}

/// Tokens of an epoch before `first_good` are revoked.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    first_good: u32,
    expires_at: Timestamp,
}

impl RevocationIndex {
    /// Adds a revocation that matters until `expires_at`. Adding it again, or in another order, changes nothing.
    pub fn apply(&self, revocation: Revocation, expires_at: Timestamp) {
        match revocation {
            Revocation::Session(session_id) => {
                self.sessions.pin().update_or_insert(session_id, |known| (*known).max(expires_at), expires_at);
            }
            Revocation::Account { account_id, epoch } => {
                let entry = Epoch { first_good: epoch, expires_at };
                let later_of_both = |known: &Epoch| Epoch {
                    first_good: known.first_good.max(epoch),
                    expires_at: known.expires_at.max(expires_at),
                };
                self.accounts.pin().update_or_insert(account_id, later_of_both, entry);
            }
        }
    }

    /// Does a revocation cover this token?
    pub fn covers(&self, claims: &Claims<'_>) -> bool {
        self.sessions.pin().contains_key(&claims.session_id)
            || self.accounts.pin().get(&claims.account_id).is_some_and(|known| claims.epoch < known.first_good)
    }

    /// Drops the entries that no living token can need. An entry that becomes needed again meanwhile is kept.
    pub fn forget_expired(&self, now: Timestamp) {
        self.sessions.pin().retain(|_, expires_at| *expires_at > now);
        self.accounts.pin().retain(|_, known| known.expires_at > now);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.accounts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::access_token::tests::claims;

    const LATER: Timestamp = Timestamp::from_millis(1000);

    #[test]
    fn a_revoked_session_covers_its_tokens_and_no_others() {
        let index = RevocationIndex::default();
        index.apply(Revocation::Session(claims().session_id), LATER);
        assert!(index.covers(&claims()));
        assert!(!index.covers(&Claims { session_id: SessionId::from_bytes([1; 16]), ..claims() }));
    }

    #[test]
    fn an_epoch_covers_the_tokens_issued_before_it_in_whatever_order_epochs_arrive() {
        let index = RevocationIndex::default();
        let account_id = claims().account_id;
        for epoch in [5, 4] {
            index.apply(Revocation::Account { account_id, epoch }, LATER);
        }
        assert!(index.covers(&Claims { epoch: 4, ..claims() }));
        assert!(!index.covers(&Claims { epoch: 5, ..claims() }));
    }

    #[test]
    fn an_entry_is_forgotten_when_it_expires_and_not_before() {
        let index = RevocationIndex::default();
        index.apply(Revocation::Session(claims().session_id), LATER);
        index.apply(Revocation::Account { account_id: claims().account_id, epoch: 9 }, LATER);
        index.forget_expired(Timestamp::from_millis(999));
        assert_eq!(index.len(), 2);
        index.forget_expired(LATER);
        assert_eq!(index.len(), 0);
        assert!(!index.covers(&claims()));
    }
}

//! Which tokens no longer count, in memory.
//!
//! Every instance holds the whole set, so that verifying needs no I/O. An entry lives as long as the longest access
//! token: what it would refuse after that has expired anyway.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use common::clock::Timestamp;

use super::{
    access_token::Claims,
    ids::{AccountId, SessionId},
};

/// What was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revocation {
    /// One session.
    Session(SessionId),
    /// Every token of an account that was issued in an earlier epoch.
    Account { account_id: AccountId, epoch: u32 },
}

/// The revocations that can still matter. Reading takes no lock.
///
/// Entries are never dropped for room: forgetting one would make a revoked token good. What bounds the set is the rate of
/// revocations times the longest access token; an entry takes about 50 bytes.
#[derive(Debug, Default)]
pub(crate) struct RevocationIndex {
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
    pub(crate) fn apply(&self, revocation: Revocation, expires_at: Timestamp) {
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
    pub(crate) fn covers(&self, claims: &Claims<'_>) -> bool {
        self.sessions.pin().contains_key(&claims.session_id)
            || self.accounts.pin().get(&claims.account_id).is_some_and(|known| claims.epoch < known.first_good)
    }

    /// Drops the entries that no living token can need. An entry that becomes needed again meanwhile is kept.
    pub(crate) fn forget_expired(&self, now: Timestamp) {
        self.sessions.pin().retain(|_, expires_at| *expires_at > now);
        self.accounts.pin().retain(|_, known| known.expires_at > now);
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len() + self.accounts.len()
    }
}

/// From where the revocation table is read on.
///
/// A row gets its sequence number when it is inserted but is seen when its transaction commits, so a lower number can
/// appear after a higher one. Each read therefore starts where the table stood one overlap ago.
#[derive(Debug)]
pub(crate) struct FeedCursor {
    overlap: Duration,
    /// The newest number known at each moment, oldest first. The front is where reading starts.
    marks: VecDeque<(Instant, i64)>,
}

impl FeedCursor {
    /// Starts after `settled`: a number so old that nothing below it can still appear.
    pub(crate) fn new(overlap: Duration, settled: i64, now: Instant) -> Self {
        Self { overlap, marks: VecDeque::from([(now, settled)]) }
    }

    /// Everything up to and including this number is known for certain.
    pub(crate) fn after(&mut self, now: Instant) -> i64 {
        while self.marks.get(1).is_some_and(|(seen, _)| now.saturating_duration_since(*seen) >= self.overlap) {
            self.marks.pop_front();
        }
        self.marks.front().map_or(0, |(_, sequence)| *sequence)
    }

    /// Notes the newest number a read found. Reads that find nothing new leave no mark.
    pub(crate) fn observe(&mut self, newest: i64, now: Instant) {
        if self.marks.back().is_none_or(|(_, known)| newest > *known) {
            self.marks.push_back((now, newest));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::access_token::tests::claims;

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

    proptest! {
        /// Rows get their numbers in order and commit up to an overlap later, in any order. Nothing is missed.
        #[test]
        fn a_row_that_commits_within_the_overlap_is_never_skipped(
            delays in prop::collection::vec(0..10_u64, 1..40), poll_every in 1..5_u64,
        ) {
            let start = Instant::now();
            let at = |seconds: u64| start + Duration::from_secs(seconds);
            let mut cursor = FeedCursor::new(Duration::from_secs(10), 0, start);
            // Row n is inserted in second n and becomes visible `delay` seconds later.
            let rows: Vec<(i64, u64)> = (1_i64..).zip(&delays).map(|(n, delay)| (n, n.cast_unsigned() + delay)).collect();
            let mut seen = std::collections::BTreeSet::new();
            let end = 100 / poll_every * poll_every + poll_every;
            for second in (0..=end).step_by(usize::try_from(poll_every).expect("small")) {
                let after = cursor.after(at(second));
                let found = rows.iter().filter(|(n, visible)| *n > after && *visible <= second).map(|(n, _)| *n);
                let found: Vec<i64> = found.collect();
                if let Some(newest) = found.iter().max() {
                    cursor.observe(*newest, at(second));
                }
                seen.extend(found);
            }
            prop_assert_eq!(seen.len(), rows.len());
            let newest = i64::try_from(rows.len()).expect("small");
            prop_assert_eq!(cursor.after(at(end + 10)), newest);
        }
    }
}

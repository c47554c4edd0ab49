//! Which tokens do not count, in memory: revoked for good, or banned for a time.
//!
//! Every instance holds the whole set, so that verifying needs no I/O. An entry lives as long as the longest access
//! token: what it would refuse after that has expired anyway. That is true of a ban however long it lasts, because a
//! banned account gets no new tokens.

use super::{
    access_token::Claims,
    ids::{AccountId, SessionId},
};
use crate::clock::Timestamp;

use pilota::FastStr;

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// An account was banned, or its ban was lifted.
    Ban {
        /// Whose tokens.
        account_id: AccountId,
        /// Counts the changes of this account's ban: of two the higher one counts, in whatever order they are heard of.
        revision: u32,
        /// `None`: there is none any more.
        ban: Option<Ban>,
    },
}

/// Why an account may not play, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Shown to the player.
    pub reason: FastStr,
    /// From then on it is over, without anybody doing anything; `None`: for good.
    pub until: Option<Timestamp>,
}

impl Ban {
    /// Is it in effect?
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// The revocations that can still matter. Reading takes no lock.
///
/// Entries are never dropped for room: forgetting one would make a revoked token good. What bounds the set is the rate of
/// revocations times the longest access token; an entry takes about 50 bytes, one of a ban 100 and its reason.
#[derive(Debug, Default)]
pub struct RevocationIndex {
    sessions: papaya::HashMap<SessionId, Timestamp>,
    accounts: papaya::HashMap<AccountId, Epoch>,
    bans: papaya::HashMap<AccountId, KnownBan>,
}

/// The latest that is known about an account's ban.
#[derive(Clone, Debug)]
struct KnownBan {
    revision: u32,
    ban: Option<Ban>,
    expires_at: Timestamp,
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
            Revocation::Ban { account_id, revision, ban } => {
                let entry = KnownBan { revision, ban, expires_at };
                let later_of_both = |known: &KnownBan| {
                    let later = if known.revision > revision { known } else { &entry };
                    KnownBan { expires_at: known.expires_at.max(expires_at), ..later.clone() }
                };
                self.bans.pin().update_or_insert_with(account_id, later_of_both, || entry.clone());
            }
        }
    }

    /// Does a revocation cover this token?
    pub fn covers(&self, claims: &Claims<'_>) -> bool {
        self.sessions.pin().contains_key(&claims.session_id)
            || self.accounts.pin().get(&claims.account_id).is_some_and(|known| claims.epoch < known.first_good)
    }

    /// The ban of the account at `now`.
    pub fn ban_of(&self, account_id: AccountId, now: Timestamp) -> Option<Ban> {
        let bans = self.bans.pin();
        bans.get(&account_id)?.ban.as_ref().filter(|ban| ban.holds_at(now)).cloned()
    }

    /// Drops the entries that no living token can need. An entry that becomes needed again meanwhile is kept.
    pub fn forget_expired(&self, now: Timestamp) {
        self.sessions.pin().retain(|_, expires_at| *expires_at > now);
        self.accounts.pin().retain(|_, known| known.expires_at > now);
        self.bans.pin().retain(|_, known| known.expires_at > now);
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.sessions.len() + self.accounts.len() + self.bans.len()
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
    fn of_the_changes_of_a_ban_the_latest_counts_in_whatever_order_they_arrive() {
        let account_id = claims().account_id;
        let change = |revision, reason: Option<&'static str>| Revocation::Ban {
            account_id,
            revision,
            ban: reason.map(|reason| Ban { reason: reason.into(), until: None }),
        };
        let told = |changes: [Revocation; 3]| {
            let index = RevocationIndex::default();
            changes.into_iter().for_each(|change| index.apply(change, LATER));
            index.ban_of(account_id, LATER).map(|ban| ban.reason.to_string())
        };
        let (first, lifted, again) = (change(1, Some("first")), change(2, None), change(3, Some("again")));
        assert_eq!(told([first.clone(), lifted.clone(), again.clone()]).as_deref(), Some("again"));
        assert_eq!(told([again, lifted.clone(), first.clone()]).as_deref(), Some("again"));
        assert_eq!(told([lifted, first.clone(), first]), None, "hearing of a ban again does not bring it back");
    }

    #[test]
    fn a_ban_is_over_at_its_end_and_forgotten_with_the_last_token_it_concerned() {
        let (index, account_id) = (RevocationIndex::default(), claims().account_id);
        let until = Timestamp::from_millis(500);
        let ban = Ban { reason: "cheating".into(), until: Some(until) };
        index.apply(Revocation::Ban { account_id, revision: 1, ban: Some(ban.clone()) }, LATER);
        assert_eq!(index.ban_of(account_id, Timestamp::from_millis(499)), Some(ban));
        assert_eq!(index.ban_of(account_id, until), None);
        assert_eq!(index.ban_of(AccountId::parse(77).expect("in range"), Timestamp::default()), None);
        index.forget_expired(until);
        assert_eq!(index.len(), 1);
        index.forget_expired(LATER);
        assert_eq!(index.len(), 0);
    }

    /// Three threads meet at every entry: one makes the revocation, one reads the same of an earlier time from the feed, and
    /// one forgets what has expired, which the entry had until then.
    #[test]
    fn what_is_revoked_while_others_are_read_and_forgotten_stays_revoked() {
        const ENTRIES: i64 = 20_000;
        let (expired, now) = (Timestamp::from_millis(400), Timestamp::from_millis(500));
        let session = |number: i64| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_be_bytes());
            SessionId::from_bytes(id)
        };
        let account = |number: i64| AccountId::parse(number).expect("in range");
        let of = |number, epoch, revision| {
            let ban = Some(Ban { reason: "cheating".into(), until: None });
            [
                Revocation::Session(session(number)),
                Revocation::Account { account_id: account(number), epoch },
                Revocation::Ban { account_id: account(number), revision, ban },
            ]
        };
        let index = RevocationIndex::default();
        let apply = |revocations: [Revocation; 3], expires_at| {
            revocations.into_iter().for_each(|revocation| index.apply(revocation, expires_at));
        };
        (1..=ENTRIES).for_each(|number| apply(of(number, 1, 1), expired));
        let writing = std::sync::atomic::AtomicBool::new(true);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                (1..=ENTRIES).for_each(|number| apply(of(number, 2, 2), LATER));
                writing.store(false, std::sync::atomic::Ordering::Release);
            });
            threads.spawn(|| (1..=ENTRIES).for_each(|number| apply(of(number, 1, 1), expired)));
            threads.spawn(|| {
                while writing.load(std::sync::atomic::Ordering::Acquire) {
                    index.forget_expired(now);
                }
            });
        });
        index.forget_expired(now);
        for number in 1..=ENTRIES {
            let account_id = account(number);
            let elsewhere = SessionId::from_bytes([0xff; 16]);
            assert!(
                index.covers(&Claims { account_id, session_id: session(number), epoch: 9, ..claims() }),
                "{number}"
            );
            assert!(index.covers(&Claims { account_id, session_id: elsewhere, epoch: 1, ..claims() }), "{number}");
            assert!(index.ban_of(account_id, now).is_some(), "{number}");
        }
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

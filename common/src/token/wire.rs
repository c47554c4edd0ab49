//! Verdicts and revocations as they cross RPC.

use std::time::Duration;

use idl::account::{self, RevocationEntry, RevocationKind, TokenStatus, TokenVerdict};
use pilota::{Bytes, FastStr};

use super::{
    access_token::Claims,
    ids::{AccountId, SessionId},
    revocation::{Ban, Revocation},
    verdict::Verdict,
};
use crate::{clock::Timestamp, error_code::DEFAULT_RETRY_AFTER};

/// An entry of the feed as this version understands it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Something was revoked.
    Revoked(Revocation),
    /// A kind of a later version, or one that makes no sense. What became of those it names can't be told.
    Unclear {
        /// The session it names.
        session: Option<SessionId>,
        /// The account it names.
        account: Option<AccountId>,
    },
}

/// The answer about a token that opened.
pub fn describe(verdict: Verdict, claims: &Claims<'_>) -> TokenVerdict {
    let (status, ban) = match verdict {
        Verdict::Valid => (TokenStatus::VALID, None),
        Verdict::Expired => (TokenStatus::EXPIRED, None),
        Verdict::Banned(ban) => (TokenStatus::BANNED, Some(ban_on_wire(ban))),
        Verdict::Revoked => (TokenStatus::REVOKED, None),
        Verdict::Foreign => return invalid(),
    };
    TokenVerdict {
        status,
        account_id: Some(claims.account_id.get()),
        session_id: Some(FastStr::new(claims.session_id.encode(&mut [0; 36]))),
        app_id: Some(claims.app_id.get()),
        issued_at: Some(claims.issued_at.as_millis()),
        expires_at: Some(claims.expires_at().as_millis()),
        channel: claims.channel.map(FastStr::new),
        device_id: claims.device_id.map(FastStr::new),
        ban,
        retry_after_ms: None,
    }
}

fn ban_on_wire(Ban { reason, until }: Ban) -> account::Ban {
    account::Ban { reason, until: until.map(Timestamp::as_millis) }
}

/// The answer about what is no token of the app that asks. It tells nothing else.
pub fn invalid() -> TokenVerdict {
    TokenVerdict { status: TokenStatus::INVALID, ..TokenVerdict::default() }
}

/// What stands among the answers about many tokens for one that could not be judged: no answer, and when to ask again.
pub fn open(retry_after: Duration) -> TokenVerdict {
    let retry_after_ms = i64::try_from(retry_after.as_millis()).unwrap_or(i64::MAX);
    TokenVerdict { status: TokenStatus::OPEN, retry_after_ms: Some(retry_after_ms), ..TokenVerdict::default() }
}

/// When to ask again about a token whose answer says nothing: it is open, or of a later version.
pub fn open_for(verdict: &TokenVerdict) -> Option<Duration> {
    match verdict.status {
        TokenStatus::VALID
        | TokenStatus::EXPIRED
        | TokenStatus::REVOKED
        | TokenStatus::BANNED
        | TokenStatus::INVALID => None,
        _ => {
            let told = verdict.retry_after_ms.and_then(|millis| u64::try_from(millis).ok());
            Some(told.map_or(DEFAULT_RETRY_AFTER, Duration::from_millis))
        }
    }
}

/// A revocation, and until when it matters.
pub fn entry(revocation: Revocation, expires_at: Timestamp) -> RevocationEntry {
    let expires_at = expires_at.as_millis();
    match revocation {
        Revocation::Session(id) => RevocationEntry {
            kind: RevocationKind::SESSION,
            expires_at,
            session_id: Some(Bytes::copy_from_slice(id.as_bytes())),
            ..RevocationEntry::default()
        },
        Revocation::Account { account_id, epoch } => RevocationEntry {
            kind: RevocationKind::ACCOUNT_EPOCH,
            expires_at,
            account_id: Some(account_id.get()),
            epoch: Some(i64::from(epoch)),
            ..RevocationEntry::default()
        },
        Revocation::Ban { account_id, revision, ban } => RevocationEntry {
            kind: RevocationKind::ACCOUNT_BAN,
            expires_at,
            account_id: Some(account_id.get()),
            ban_revision: Some(i64::from(revision)),
            ban: ban.map(ban_on_wire),
            ..RevocationEntry::default()
        },
    }
}

/// Reads an entry that may be of a later version.
pub fn read_entry(entry: &RevocationEntry) -> (Entry, Timestamp) {
    let expires_at = Timestamp::from_millis(entry.expires_at);
    let session = entry.session_id.as_deref().and_then(|id| Some(SessionId::from_bytes(id.try_into().ok()?)));
    let account = entry.account_id.and_then(|id| AccountId::parse(id).ok());
    let epoch = entry.epoch.and_then(|epoch| u32::try_from(epoch).ok());
    let revision = entry.ban_revision.and_then(|revision| u32::try_from(revision).ok());
    let understood = match (entry.kind, session, account, epoch, revision) {
        (RevocationKind::SESSION, Some(id), ..) => Entry::Revoked(Revocation::Session(id)),
        (RevocationKind::ACCOUNT_EPOCH, _, Some(account_id), Some(epoch), _) => {
            Entry::Revoked(Revocation::Account { account_id, epoch })
        }
        (RevocationKind::ACCOUNT_BAN, _, Some(account_id), _, Some(revision)) => {
            let ban = entry.ban.as_ref().map(|account::Ban { reason, until, .. }| Ban {
                reason: reason.clone(),
                until: until.map(Timestamp::from_millis),
            });
            Entry::Revoked(Revocation::Ban { account_id, revision, ban })
        }
        _ => Entry::Unclear { session, account },
    };
    (understood, expires_at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::token::{access_token::tests::claims, ids::AppId, revocation::RevocationIndex, verdict::judge};

    fn revocation() -> impl Strategy<Value = Revocation> {
        // Few of each, so that tokens and revocations meet.
        let session = (0..4_u8).prop_map(|byte| Revocation::Session(SessionId::from_bytes([byte; 16])));
        let account = (1..4_i64, 0..4_u32)
            .prop_map(|(id, epoch)| Revocation::Account { account_id: AccountId::parse(id).expect("in range"), epoch });
        // What a revision says is fixed, as it is where they are written.
        let ban = (1..4_i64, 0..4_u32).prop_map(|(id, revision)| Revocation::Ban {
            account_id: AccountId::parse(id).expect("in range"),
            revision,
            ban: (revision % 2 == 1).then(|| Ban {
                reason: format!("ban {revision}").into(),
                until: (revision == 3).then(|| Timestamp::from_millis(50)),
            }),
        });
        prop_oneof![session, account, ban]
    }

    #[test]
    fn an_entry_of_a_later_kind_is_unclear_for_whom_it_names() {
        let session = SessionId::from_bytes([7; 16]);
        let known = entry(Revocation::Session(session), Timestamp::from_millis(5));
        let later = RevocationEntry { kind: RevocationKind::from(99), account_id: Some(3), ..known.clone() };
        let account = AccountId::parse(3).ok();
        let expected = Entry::Unclear { session: Some(session), account };
        assert_eq!(read_entry(&later), (expected, Timestamp::from_millis(5)));
        let senseless = RevocationEntry { session_id: Some(Bytes::from_static(b"short")), ..known };
        assert_eq!(read_entry(&senseless).0, Entry::Unclear { session: None, account: None });
    }

    #[test]
    fn only_what_is_no_verdict_is_open() {
        let verdict = |status| TokenVerdict { status, ..TokenVerdict::default() };
        for status in 1..=5 {
            assert_eq!(open_for(&verdict(TokenStatus::from(status))), None, "{status}");
        }
        for status in [0, 99] {
            assert_eq!(open_for(&verdict(TokenStatus::from(status))), Some(DEFAULT_RETRY_AFTER), "{status}");
        }
        assert_eq!(open_for(&open(Duration::from_millis(1500))), Some(Duration::from_millis(1500)));
    }

    proptest! {
        #[test]
        fn who_follows_the_feed_judges_any_token_as_who_wrote_it(
            revocations in prop::collection::vec((revocation(), 0..100_i64), 0..12),
            order in any::<prop::sample::Index>(),
            session in 0..4_u8, account in 1..4_i64, epoch in 0..4_u32, app in 7..9_i64, now in 0..200_i64,
        ) {
            let (writer, follower) = (RevocationIndex::default(), RevocationIndex::default());
            for (revocation, expires_at) in &revocations {
                writer.apply(revocation.clone(), Timestamp::from_millis(*expires_at));
            }
            let mut entries: Vec<_> =
                revocations.iter().map(|(what, until)| entry(what.clone(), Timestamp::from_millis(*until))).collect();
            // In another order, and some of them twice.
            let turn = order.index(entries.len().max(1)).min(entries.len());
            entries.rotate_left(turn);
            let again: Vec<_> = entries.iter().take(turn).cloned().collect();
            for entry in entries.iter().chain(&again) {
                let (Entry::Revoked(revocation), expires_at) = read_entry(entry) else { panic!("{entry:?}") };
                follower.apply(revocation, expires_at);
            }
            let claims = Claims {
                session_id: SessionId::from_bytes([session; 16]),
                account_id: AccountId::parse(account).expect("in range"),
                issued_at: Timestamp::from_millis(0),
                lifetime: std::time::Duration::from_millis(100),
                epoch,
                ..claims()
            };
            let (app, now) = (AppId::parse(app).expect("in range"), Timestamp::from_millis(now));
            let by_follower = describe(judge(&claims, app, &follower, now), &claims);
            prop_assert_eq!(describe(judge(&claims, app, &writer, now), &claims), by_follower);
        }
    }
}

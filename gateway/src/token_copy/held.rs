//! What the gateway holds, and the verdict on a token that follows from it.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use common::{
    clock::Timestamp,
    token::{
        access_token::Buffer,
        ids::AppId,
        read_ring::ReadRing,
        revocation::RevocationIndex,
        verdict::{self, Verdict},
        wire::{self, Entry},
    },
};
use idl::account::{RevocationEntry, TokenVerdict};
use tokio::time::Instant;

use super::unclear::Unclear;

/// The copy. Empty until it has been loaded; read without waiting.
#[derive(Debug)]
pub(super) struct TokenCopy {
    max_staleness: Duration,
    ring: ArcSwapOption<ReadRing>,
    feed: ArcSwapOption<Feed>,
}

/// The feed as far as it was followed.
#[derive(Debug)]
struct Feed {
    known: Arc<Known>,
    /// Every revocation that could be seen in the database at this moment is known.
    as_of: Instant,
}

/// The revocations that can still matter.
#[derive(Debug, Default)]
pub(super) struct Known {
    revocations: RevocationIndex,
    unclear: Unclear,
}

/// Why the copy has no verdict. None of these says anything about the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoVerdict {
    /// Nothing has been loaded yet, or nothing could be.
    Absent,
    /// The copy is too old.
    Stale,
    /// The copy does not say: a key it may be missing, or something of a later version.
    Unclear,
}

impl TokenCopy {
    /// An empty copy that may become `max_staleness` old.
    pub(super) fn new(max_staleness: Duration) -> Self {
        Self { max_staleness, ring: ArcSwapOption::empty(), feed: ArcSwapOption::empty() }
    }

    /// The verdict account would give. What is bad here is bad for certain.
    pub(super) fn judge(
        &self,
        app_id: i64,
        token: &str,
        now: Timestamp,
        at: Instant,
    ) -> Result<TokenVerdict, NoVerdict> {
        let (ring, feed) = (self.ring.load(), self.feed.load());
        let (Some(ring), Some(feed)) = (&*ring, &*feed) else { return Err(NoVerdict::Absent) };
        if at.saturating_duration_since(feed.as_of) > self.max_staleness {
            return Err(NoVerdict::Stale);
        }
        let app_id = AppId::parse(app_id).map_err(|_| NoVerdict::Unclear)?;
        let mut buffer = Buffer::default();
        let Some(claims) = ring.open(token, &mut buffer, now).map_err(|_| NoVerdict::Unclear)? else {
            return Ok(wire::invalid());
        };
        match verdict::judge(&claims, app_id, &feed.known.revocations, now) {
            // Expired, revoked, another app's: facts, whatever else there is about the token.
            Verdict::Valid if feed.known.unclear.concerns(&claims, now) => Err(NoVerdict::Unclear),
            verdict => Ok(wire::describe(verdict, &claims)),
        }
    }

    /// Whose a genuine token is, whether it is still good or not. `None` where that can't be told.
    pub(super) fn account(&self, token: &str, now: Timestamp) -> Option<i64> {
        let ring = self.ring.load();
        let mut buffer = Buffer::default();
        let claims = ring.as_ref()?.open(token, &mut buffer, now).ok()??;
        Some(claims.account_id.get())
    }

    /// Whose token it is, if it is good for certain. Says nothing about tokens of which that can't be said.
    pub(super) fn account_of(&self, token: &str, now: Timestamp, at: Instant) -> Option<i64> {
        let (ring, feed) = (self.ring.load(), self.feed.load());
        let (ring, feed) = (ring.as_ref()?, feed.as_ref()?);
        if at.saturating_duration_since(feed.as_of) > self.max_staleness {
            return None;
        }
        let mut buffer = Buffer::default();
        let claims = ring.open(token, &mut buffer, now).ok()??;
        let verdict = verdict::judge(&claims, claims.app_id, &feed.known.revocations, now);
        let is_good = verdict == Verdict::Valid && !feed.known.unclear.concerns(&claims, now);
        is_good.then(|| claims.account_id.get())
    }

    pub(super) fn replace_ring(&self, ring: ReadRing) {
        self.ring.store(Some(Arc::new(ring)));
    }

    pub(super) fn replace_feed(&self, known: Arc<Known>, as_of: Instant) {
        self.feed.store(Some(Arc::new(Feed { known, as_of })));
    }

    /// Forgets the revocations, and with them every verdict.
    pub(super) fn drop_feed(&self) {
        self.feed.store(None);
    }
}

impl Known {
    /// Adds an entry of the feed. Adding it again changes nothing.
    pub(super) fn apply(&self, entry: &RevocationEntry) {
        match wire::read_entry(entry) {
            (Entry::Revoked(revocation), expires_at) => self.revocations.apply(revocation, expires_at),
            (Entry::Unclear { session, account }, expires_at) => self.unclear.add(session, account, expires_at),
        }
    }

    pub(super) fn forget_expired(&self, now: Timestamp) {
        self.revocations.forget_expired(now);
        self.unclear.forget_expired(now);
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.revocations.len() + self.unclear.len()
    }
}

#[cfg(test)]
mod tests {
    use common::token::{
        key_ring::KeyId,
        revocation::{Ban, Revocation},
    };
    use idl::account::{RevocationKind, TokenStatus};

    use super::*;
    use crate::token_copy::testing::{APP, LIFETIME, NOW, ring, session, token, token_of_key};

    const MAX_STALENESS: Duration = Duration::from_secs(60);

    fn copy(entries: &[RevocationEntry]) -> (TokenCopy, Instant) {
        let (copy, known, at) = (TokenCopy::new(MAX_STALENESS), Known::default(), Instant::now());
        entries.iter().for_each(|entry| known.apply(entry));
        copy.replace_ring(ring());
        copy.replace_feed(Arc::new(known), at);
        (copy, at)
    }

    fn status(verdict: Result<TokenVerdict, NoVerdict>) -> Result<TokenStatus, NoVerdict> {
        verdict.map(|verdict| verdict.status)
    }

    fn revoked(number: u8) -> RevocationEntry {
        wire::entry(Revocation::Session(session(number)), NOW + LIFETIME)
    }

    #[test]
    fn a_copy_that_was_never_loaded_and_one_that_is_too_old_say_nothing() {
        let (empty, at) = (TokenCopy::new(MAX_STALENESS), Instant::now());
        for token in [&*token(1), "garbage"] {
            assert_eq!(empty.judge(APP, token, NOW, at), Err(NoVerdict::Absent));
        }
        let (copy, at) = copy(&[revoked(2)]);
        for token in [&*token(1), &token(2), "garbage"] {
            assert!(copy.judge(APP, token, NOW, at + MAX_STALENESS).is_ok());
            let too_old = at + MAX_STALENESS + Duration::from_millis(1);
            assert_eq!(copy.judge(APP, token, NOW, too_old), Err(NoVerdict::Stale));
        }
    }

    #[test]
    fn what_the_copy_knows_is_said_as_account_says_it() {
        let (copy, at) = copy(&[revoked(2)]);
        let status_at = |app, token: &str, now| status(copy.judge(app, token, now, at));
        assert_eq!(status_at(APP, &token(1), NOW), Ok(TokenStatus::VALID));
        assert_eq!(status_at(APP, &token(2), NOW), Ok(TokenStatus::REVOKED));
        assert_eq!(status_at(APP, &token(1), NOW + LIFETIME), Ok(TokenStatus::EXPIRED));
        assert_eq!(copy.judge(APP + 1, &token(1), NOW, at), Ok(wire::invalid()));
        assert_eq!(copy.judge(APP, "garbage", NOW, at), Ok(wire::invalid()));
        let valid = copy.judge(APP, &token(1), NOW, at).expect("a verdict");
        assert_eq!((valid.channel.as_deref(), valid.device_id.as_deref()), (Some("taptap"), Some("device-1")));
    }

    #[test]
    fn whose_token_it_is_is_said_only_of_tokens_that_are_good_for_certain() {
        let unclear = RevocationEntry { kind: RevocationKind::from(99), ..revoked(3) };
        let (copy, at) = copy(&[revoked(2), unclear]);
        assert_eq!(copy.account_of(&token(1), NOW, at), Some(1));
        assert_eq!(copy.account_of(&token(1), NOW + LIFETIME, at), None, "expired");
        assert_eq!(copy.account_of(&token(2), NOW, at), None, "revoked");
        assert_eq!(copy.account_of(&token(3), NOW, at), None, "perhaps revoked");
        assert_eq!(copy.account_of("garbage", NOW, at), None);
        assert_eq!(copy.account_of(&token(1), NOW, at + 2 * MAX_STALENESS), None, "the copy is too old to know");
    }

    #[test]
    fn the_copy_says_a_ban_until_it_ends_or_is_heard_to_be_lifted() {
        let account_id = common::token::ids::AccountId::parse(1).expect("in range");
        let change = |revision, ban| wire::entry(Revocation::Ban { account_id, revision, ban }, NOW + LIFETIME);
        let until = NOW + Duration::from_secs(60);
        let banned = change(1, Some(Ban { reason: "cheating".into(), until: Some(until) }));
        let (copy_of_ban, at) = copy(std::slice::from_ref(&banned));
        let told = copy_of_ban.judge(APP, &token(1), NOW, at).expect("a verdict");
        assert_eq!((told.status, told.ban), (TokenStatus::BANNED, banned.ban.clone()));
        assert_eq!(status(copy_of_ban.judge(APP, &token(1), until, at)), Ok(TokenStatus::VALID));
        assert_eq!(status(copy_of_ban.judge(APP, &token(2), NOW, at)), Ok(TokenStatus::VALID));
        let (copy_of_lifting, at) = copy(&[change(2, None), banned]);
        assert_eq!(status(copy_of_lifting.judge(APP, &token(1), NOW, at)), Ok(TokenStatus::VALID));
    }

    #[test]
    fn a_key_that_may_have_been_added_since_is_an_open_question_and_no_forgery() {
        let (copy, at) = copy(&[]);
        let newer = token_of_key(KeyId::new(9), 1);
        let complete_until = ring().complete_until();
        let before = complete_until.minus(Duration::from_millis(1));
        assert_eq!(copy.judge(APP, &newer, before, at), Ok(wire::invalid()));
        assert_eq!(copy.judge(APP, &newer, complete_until, at), Err(NoVerdict::Unclear));
        assert_eq!(status(copy.judge(APP, &token(1), complete_until, at)), Ok(TokenStatus::VALID));
    }

    #[test]
    fn a_kind_of_a_later_version_leaves_those_it_names_open_and_nobody_else() {
        let later = RevocationKind::from(99);
        let named = RevocationEntry { kind: later, ..revoked(2) };
        let account = RevocationEntry { session_id: None, account_id: Some(3), ..named.clone() };
        let (copy, at) = copy(&[named, account, revoked(4)]);
        assert_eq!(copy.judge(APP, &token(2), NOW, at), Err(NoVerdict::Unclear));
        assert_eq!(copy.judge(APP, &token(3), NOW, at), Err(NoVerdict::Unclear));
        assert_eq!(status(copy.judge(APP, &token(1), NOW, at)), Ok(TokenStatus::VALID));
        assert_eq!(status(copy.judge(APP, &token(4), NOW, at)), Ok(TokenStatus::REVOKED));
        assert_eq!(status(copy.judge(APP, &token(2), NOW + LIFETIME, at)), Ok(TokenStatus::EXPIRED));
    }

    #[test]
    fn a_kind_of_a_later_version_that_names_nobody_leaves_everybody_open_until_it_has_expired() {
        let nobody = RevocationEntry { kind: RevocationKind::from(99), session_id: None, ..revoked(2) };
        let until = Duration::from_secs(10);
        let (copy, at) = copy(&[RevocationEntry { expires_at: (NOW + until).as_millis(), ..nobody }, revoked(4)]);
        assert_eq!(copy.judge(APP, &token(1), NOW, at), Err(NoVerdict::Unclear));
        assert_eq!(status(copy.judge(APP, &token(4), NOW, at)), Ok(TokenStatus::REVOKED));
        assert_eq!(status(copy.judge(APP, &token(1), NOW + until, at)), Ok(TokenStatus::VALID));
    }
}

//! What happens when a refresh token is presented.
//!
//! A session has one current token. Using it makes a successor; for a short grace the token that was used still leads there,
//! so that an answer lost on the way costs nobody a session. If the successor has been used meanwhile, it leads on to the
//! *current* token, as the successor itself would: whoever is behind catches up in one step, instead of holding a token
//! whose own grace runs out. A token that comes after its grace was copied or replayed: the whole session ends.

use std::time::Duration;

use common::clock::Timestamp;

use super::{
    ids::AppId,
    refresh_token::{RefreshToken, TokenDigest},
};

/// A session as far as rotation is concerned.
#[derive(Clone, Debug)]
pub(crate) struct SessionState {
    pub(crate) app_id: AppId,
    /// The account's epoch when the session was made, and now.
    pub(crate) epoch: u32,
    pub(crate) account_epoch: u32,
    /// Generation and digest of the current token.
    pub(crate) generation: u32,
    pub(crate) current: TokenDigest,
    /// The rotation that made the current token, and before it those that are kept; the newest first.
    pub(crate) rotations: Vec<PastRotation>,
    /// When the session ends unless it is used before.
    pub(crate) refresh_expires_at: Timestamp,
    /// When it ends in any case.
    pub(crate) absolute_expires_at: Timestamp,
    pub(crate) revoked: bool,
}

/// So many rotations are kept of a session. Bounds its row; a session that rotates more often within the grace does not know
/// the tokens before them any more, and refuses them without ending.
pub(crate) const MOST_KEPT: usize = 4;

/// Enough to repeat the answer of a rotation, for whoever holds the token that was used.
#[derive(Clone, Debug)]
pub(crate) struct PastRotation {
    /// Of the token that was used.
    pub(crate) generation: u32,
    pub(crate) predecessor: TokenDigest,
    pub(crate) sealed_successor: Vec<u8>,
    pub(crate) rotated_at: Timestamp,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// The token is current: make a successor.
    Advance,
    /// A token within its grace: answer the current one.
    Repeat(RefreshToken),
    /// A token that may be within its grace, but what it led to is not kept any more: refused, and nobody is signed out for it.
    Unproven,
    /// Not a token of this session or app.
    Unknown,
    /// The session's time is over.
    Expired,
    /// The session was ended before.
    Revoked,
    /// An old token: the session has to be revoked now.
    Reused,
}

/// Decides for a token whose mac was checked.
pub(crate) fn decide(
    session: &SessionState,
    presented: &RefreshToken,
    app_id: AppId,
    now: Timestamp,
    grace: Duration,
) -> Rotation {
    // Another app's token tells nothing and changes nothing. A generation that was never stored means that the store
    // went back in time (a restored backup): no proof of reuse, so nobody is signed out for it.
    if session.app_id != app_id || presented.generation() > session.generation {
        return Rotation::Unknown;
    }
    if session.revoked || session.epoch < session.account_epoch {
        return Rotation::Revoked;
    }
    if now >= session.refresh_expires_at.min(session.absolute_expires_at) {
        return Rotation::Expired;
    }
    if presented.digest().matches(&session.current) {
        return Rotation::Advance;
    }
    decide_on_old(session, presented, now, grace)
}

/// Decides for a token that was used before.
fn decide_on_old(session: &SessionState, presented: &RefreshToken, now: Timestamp, grace: Duration) -> Rotation {
    let in_grace = |rotation: &PastRotation| now.since(rotation.rotated_at) < grace;
    let Some(used) = session.rotation_of(presented) else {
        // It was used before the next token that is known to have been used: not after its grace for certain, unless that
        // one's is over.
        let later = session.rotations.iter().filter(|rotation| rotation.generation > presented.generation());
        let next = later.min_by_key(|rotation| rotation.generation);
        return if next.is_some_and(in_grace) { Rotation::Unproven } else { Rotation::Reused };
    };
    if !in_grace(used) {
        return Rotation::Reused;
    }
    match session.current_from(presented) {
        Some(current) => Rotation::Repeat(current),
        None => Rotation::Unproven,
    }
}

impl SessionState {
    /// The rotations to keep once another has been made.
    pub(crate) fn earlier_rotations(&self) -> &[PastRotation] {
        &self.rotations[..self.rotations.len().min(MOST_KEPT - 1)]
    }

    fn rotation_of(&self, token: &RefreshToken) -> Option<&PastRotation> {
        let digest = token.digest();
        self.rotations.iter().find(|rotation| digest.matches(&rotation.predecessor))
    }

    /// The current token, for who holds one that was used before: each opens the next. `None` when one of the rotations
    /// between them is not kept.
    fn current_from(&self, old: &RefreshToken) -> Option<RefreshToken> {
        let mut token = old.clone();
        for _ in 0..self.rotations.len() {
            token = token.open_successor(&self.rotation_of(&token)?.sealed_successor)?;
            if token.digest().matches(&self.current) {
                return Some(token);
            }
        }
        None
    }
}

/// When a session that is used at `now` ends: `sliding` from now, but never after the absolute end.
pub(crate) fn refresh_expiry(now: Timestamp, sliding: Duration, absolute_expires_at: Timestamp) -> Timestamp {
    (now + sliding).min(absolute_expires_at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::SessionId;

    const GRACE: Duration = Duration::from_secs(30);
    const SLIDING: Duration = Duration::from_secs(1000);
    const START: Timestamp = Timestamp::from_millis(1_000_000);

    fn app(id: i64) -> AppId {
        AppId::parse(id).expect("in range")
    }

    fn first_token() -> RefreshToken {
        RefreshToken::first(SessionId::from_bytes([1; 16]), [0; 32])
    }

    fn fresh_session() -> SessionState {
        SessionState {
            app_id: app(1),
            epoch: 0,
            account_epoch: 0,
            generation: 0,
            current: first_token().digest(),
            rotations: Vec::new(),
            refresh_expires_at: START + SLIDING,
            absolute_expires_at: START + SLIDING * 5,
            revoked: false,
        }
    }

    /// What the store does on `Advance`.
    fn advance(session: &mut SessionState, presented: &RefreshToken, successor: &RefreshToken, now: Timestamp) {
        let last = PastRotation {
            generation: presented.generation(),
            predecessor: presented.digest(),
            sealed_successor: presented.seal_successor(successor),
            rotated_at: now,
        };
        session.rotations = [&[last], session.earlier_rotations()].concat();
        session.generation = successor.generation();
        session.current = successor.digest();
        session.refresh_expires_at = refresh_expiry(now, SLIDING, session.absolute_expires_at);
    }

    fn rotated_once() -> (SessionState, RefreshToken) {
        let (mut session, successor) = (fresh_session(), first_token().successor([1; 32]));
        advance(&mut session, &first_token(), &successor, START);
        (session, successor)
    }

    #[test]
    fn within_the_grace_the_predecessor_yields_the_same_successor_and_after_it_is_reuse() {
        let (session, successor) = rotated_once();
        let last_moment = START + GRACE.checked_sub(Duration::from_millis(1)).expect("longer");
        for now in [START, last_moment] {
            assert_eq!(decide(&session, &first_token(), app(1), now, GRACE), Rotation::Repeat(successor.clone()));
        }
        assert_eq!(decide(&session, &first_token(), app(1), START + GRACE, GRACE), Rotation::Reused);
        assert_eq!(decide(&session, &successor, app(1), START + GRACE, GRACE), Rotation::Advance);
    }

    /// A session that was rotated in each of these seconds, and every token it ever had.
    fn rotated_at_seconds(seconds: &[u64]) -> (SessionState, Vec<RefreshToken>) {
        let (mut session, mut tokens) = (fresh_session(), vec![first_token()]);
        for (step, second) in (1_u8..).zip(seconds) {
            let presented = tokens.last().expect("the first").clone();
            let successor = presented.successor([step; 32]);
            advance(&mut session, &presented, &successor, START + Duration::from_secs(*second));
            tokens.push(successor);
        }
        (session, tokens)
    }

    fn decide_at(session: &SessionState, token: &RefreshToken, second: u64) -> Rotation {
        decide(session, token, app(1), START + Duration::from_secs(second), GRACE)
    }

    #[test]
    fn each_token_leads_to_the_current_one_for_its_own_grace() {
        let (session, tokens) = rotated_at_seconds(&[0, 5]);
        for (old, last_second) in [(0, 29), (1, 34)] {
            for second in [5, 10, last_second] {
                assert_eq!(decide_at(&session, &tokens[old], second), Rotation::Repeat(tokens[2].clone()), "{old}");
            }
            assert_eq!(decide_at(&session, &tokens[old], last_second + 1), Rotation::Reused, "{old}");
        }
    }

    #[test]
    fn a_token_whose_rotation_is_not_kept_is_refused_and_ends_the_session_only_when_its_grace_is_over_for_certain() {
        let (session, tokens) = rotated_at_seconds(&[0, 1, 2, 3, 4, 5]);
        assert_eq!(session.rotations.len(), MOST_KEPT);
        for (old, token) in tokens.iter().enumerate().take(6) {
            let expected = if old < 2 { Rotation::Unproven } else { Rotation::Repeat(tokens[6].clone()) };
            assert_eq!(decide_at(&session, token, 31), expected, "{old}");
        }
        assert_eq!(decide_at(&session, &tokens[1], 32), Rotation::Reused, "the next one's grace is over");
        let (session, tokens) = rotated_at_seconds(&[0, 100]);
        assert_eq!(
            decide_at(&session, &tokens[0], 101),
            Rotation::Reused,
            "what is long over is kept, and known to be"
        );
    }

    #[test]
    fn rotations_that_a_version_without_memory_made_leave_gaps_and_sign_nobody_out() {
        let (mut session, tokens) = rotated_at_seconds(&[0, 1, 2]);
        // As if the middle one was made by who knows only the last.
        session.rotations.remove(1);
        assert_eq!(decide_at(&session, &tokens[0], 3), Rotation::Unproven);
        assert_eq!(decide_at(&session, &tokens[1], 3), Rotation::Unproven);
        assert_eq!(decide_at(&session, &tokens[2], 3), Rotation::Repeat(tokens[3].clone()));
        for old in &tokens[..3] {
            assert_eq!(decide_at(&session, old, 32), Rotation::Reused);
        }
    }

    #[test]
    fn another_apps_token_and_a_generation_never_stored_change_nothing() {
        let (session, successor) = rotated_once();
        assert_eq!(decide(&session, &successor, app(2), START, GRACE), Rotation::Unknown);
        assert_eq!(decide(&fresh_session(), &successor, app(1), START, GRACE), Rotation::Unknown);
    }

    #[test]
    fn a_session_that_ended_says_how() {
        let token = first_token();
        let revoked = SessionState { revoked: true, ..fresh_session() };
        assert_eq!(decide(&revoked, &token, app(1), START, GRACE), Rotation::Revoked);
        let superseded = SessionState { account_epoch: 1, ..fresh_session() };
        assert_eq!(decide(&superseded, &token, app(1), START, GRACE), Rotation::Revoked);
        assert_eq!(decide(&fresh_session(), &token, app(1), START + SLIDING, GRACE), Rotation::Expired);
        let absolute = SessionState { absolute_expires_at: START, ..fresh_session() };
        assert_eq!(decide(&absolute, &token, app(1), START, GRACE), Rotation::Expired);
    }

    #[test]
    fn use_prolongs_a_session_but_never_beyond_its_absolute_end() {
        let end = START + SLIDING * 2;
        assert_eq!(refresh_expiry(START, SLIDING, end), START + SLIDING);
        assert_eq!(refresh_expiry(START + SLIDING + SLIDING, SLIDING, end), end);
    }

    /// The rules in the words of the contract: a list of every token ever answered, and when each was made.
    struct Model {
        answered: Vec<RefreshToken>,
        made_at: Vec<Timestamp>,
        expires_at: Timestamp,
        ended: bool,
    }

    impl Model {
        fn expects(&self, index: usize, now: Timestamp) -> Rotation {
            let newest = self.answered.len() - 1;
            if self.ended {
                Rotation::Revoked
            } else if now >= self.expires_at {
                Rotation::Expired
            } else if index == newest {
                Rotation::Advance
            } else if newest - index > MOST_KEPT {
                let oldest_kept = self.made_at[newest - MOST_KEPT + 1];
                if now < oldest_kept + GRACE { Rotation::Unproven } else { Rotation::Reused }
            } else if now < self.made_at[index + 1] + GRACE {
                Rotation::Repeat(self.answered[newest].clone())
            } else {
                Rotation::Reused
            }
        }
    }

    proptest! {
        #[test]
        fn any_sequence_of_uses_is_decided_as_the_rules_say(
            steps in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![0..8_u64, 0..60_u64]), 1..60)
        ) {
            let mut session = fresh_session();
            let mut model = Model {
                answered: vec![first_token()], made_at: vec![START], expires_at: START + SLIDING, ended: false,
            };
            let mut now = START;
            for (step, (which, seconds)) in (1_u8..).zip(steps) {
                now = now + Duration::from_secs(seconds);
                let index = which.index(model.answered.len());
                let presented = model.answered[index].clone();
                let decision = decide(&session, &presented, app(1), now, GRACE);
                prop_assert_eq!(&decision, &model.expects(index, now));
                match decision {
                    Rotation::Advance => {
                        let successor = presented.successor([step; 32]);
                        advance(&mut session, &presented, &successor, now);
                        model.answered.push(successor);
                        model.made_at.push(now);
                        model.expires_at = (now + SLIDING).min(START + SLIDING * 5);
                    }
                    Rotation::Reused => (session.revoked, model.ended) = (true, true),
                    Rotation::Repeat(_)
                    | Rotation::Unproven
                    | Rotation::Unknown
                    | Rotation::Expired
                    | Rotation::Revoked => {}
                }
            }
        }
    }
}

//! What happens when a refresh token is presented.
//!
//! A session has one current token. Using it makes a successor; for a short grace its predecessor still yields that *same*
//! successor, so that an answer lost on the way costs nobody a session. An older token, or the predecessor after the
//! grace, was copied or replayed: the whole session ends.

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
    /// The rotation that made the current token; `None` before the first.
    pub(crate) last_rotation: Option<LastRotation>,
    /// When the session ends unless it is used before.
    pub(crate) refresh_expires_at: Timestamp,
    /// When it ends in any case.
    pub(crate) absolute_expires_at: Timestamp,
    pub(crate) revoked: bool,
}

/// Enough to repeat the answer of the last rotation, for whoever holds the predecessor.
#[derive(Clone, Debug)]
pub(crate) struct LastRotation {
    pub(crate) predecessor: TokenDigest,
    pub(crate) sealed_successor: Vec<u8>,
    pub(crate) rotated_at: Timestamp,
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Rotation {
    /// The token is current: make a successor.
    Advance,
    /// The predecessor within its grace: answer the same successor again.
    Repeat(RefreshToken),
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
    let repeated = session
        .last_rotation
        .as_ref()
        .filter(|last| presented.digest().matches(&last.predecessor) && now.since(last.rotated_at) < grace);
    match repeated.and_then(|last| presented.open_successor(&last.sealed_successor)) {
        Some(successor) => Rotation::Repeat(successor),
        None => Rotation::Reused,
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
            last_rotation: None,
            refresh_expires_at: START + SLIDING,
            absolute_expires_at: START + SLIDING * 5,
            revoked: false,
        }
    }

    /// What the store does on `Advance`.
    fn advance(session: &mut SessionState, presented: &RefreshToken, successor: &RefreshToken, now: Timestamp) {
        session.last_rotation = Some(LastRotation {
            predecessor: presented.digest(),
            sealed_successor: presented.seal_successor(successor),
            rotated_at: now,
        });
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

    /// The rules in the words of the contract: a list of every token ever answered, and when the last was made.
    struct Model {
        answered: Vec<RefreshToken>,
        rotated_at: Timestamp,
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
            } else if index + 1 == newest && now < self.rotated_at + GRACE {
                Rotation::Repeat(self.answered[newest].clone())
            } else {
                Rotation::Reused
            }
        }
    }

    proptest! {
        #[test]
        fn any_sequence_of_uses_is_decided_as_the_rules_say(
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0..60_u64), 1..60)
        ) {
            let mut session = fresh_session();
            let mut model = Model {
                answered: vec![first_token()], rotated_at: START, expires_at: START + SLIDING, ended: false,
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
                        model.rotated_at = now;
                        model.expires_at = (now + SLIDING).min(START + SLIDING * 5);
                    }
                    Rotation::Reused => (session.revoked, model.ended) = (true, true),
                    Rotation::Repeat(_) | Rotation::Unknown | Rotation::Expired | Rotation::Revoked => {}
                }
            }
        }
    }
}

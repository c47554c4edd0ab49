//! What an opened token is worth to the app that asks.

use super::{
    access_token::Claims,
    ids::AppId,
    revocation::{Ban, RevocationIndex},
};
use crate::clock::Timestamp;

/// The authoritative answers about a token that opened. There is no value for "could not tell".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The player is who they say.
    Valid,
    /// It was good.
    Expired,
    /// Its account may not play now.
    Banned(Ban),
    /// Its session was ended, or every session of its account.
    Revoked,
    /// Another app's token: the asking app learns nothing else about it.
    Foreign,
}

/// Judges `claims` for `app_id` at `now`.
///
/// Expiry comes before revocation: a revocation is forgotten once every token it concerns has expired, and an answer
/// must not change from one to the other then. The same goes for a ban. A ban comes before a revocation: it concerns
/// every session the player could begin instead, and has a reason that can be shown.
pub fn judge(claims: &Claims<'_>, app_id: AppId, revocations: &RevocationIndex, now: Timestamp) -> Verdict {
    if claims.app_id != app_id {
        return Verdict::Foreign;
    }
    if now >= claims.expires_at() {
        return Verdict::Expired;
    }
    if let Some(ban) = revocations.ban_of(claims.account_id, now) {
        return Verdict::Banned(ban);
    }
    if revocations.covers(claims) {
        return Verdict::Revoked;
    }
    Verdict::Valid
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::token::{access_token::tests::claims, revocation::Revocation};

    #[test]
    fn a_token_is_good_until_the_moment_it_expires_and_only_for_its_app() {
        let (claims, none) = (claims(), RevocationIndex::default());
        let last_moment = claims.expires_at().minus(Duration::from_millis(1));
        assert_eq!(judge(&claims, claims.app_id, &none, last_moment), Verdict::Valid);
        assert_eq!(judge(&claims, claims.app_id, &none, claims.expires_at()), Verdict::Expired);
        let other = AppId::parse(8).expect("in range");
        for now in [last_moment, claims.expires_at()] {
            assert_eq!(judge(&claims, other, &none, now), Verdict::Foreign);
        }
    }

    proptest! {
        #[test]
        fn another_apps_comes_before_expired_before_banned_before_revoked(
            foreign: bool, expired: bool, banned: bool, revoked: bool,
        ) {
            let (claims, index) = (claims(), RevocationIndex::default());
            let ban = Ban { reason: "cheating".into(), until: None };
            if banned {
                let ban = Revocation::Ban { account_id: claims.account_id, revision: 1, ban: Some(ban.clone()) };
                index.apply(ban, claims.expires_at());
            }
            if revoked {
                index.apply(Revocation::Session(claims.session_id), claims.expires_at());
            }
            let app = if foreign { AppId::parse(8).expect("in range") } else { claims.app_id };
            let now = if expired { claims.expires_at() } else { claims.issued_at };
            let expected = match (foreign, expired, banned, revoked) {
                (true, ..) => Verdict::Foreign,
                (_, true, ..) => Verdict::Expired,
                (_, _, true, _) => Verdict::Banned(ban),
                (.., true) => Verdict::Revoked,
                _ => Verdict::Valid,
            };
            prop_assert_eq!(judge(&claims, app, &index, now), expected);
        }
    }

    #[test]
    fn a_revoked_token_is_revoked_until_it_expires_anyway() {
        let (claims, index) = (claims(), RevocationIndex::default());
        index.apply(Revocation::Session(claims.session_id), claims.expires_at());
        assert_eq!(judge(&claims, claims.app_id, &index, claims.issued_at), Verdict::Revoked);
        assert_eq!(judge(&claims, claims.app_id, &index, claims.expires_at()), Verdict::Expired);
    }
}

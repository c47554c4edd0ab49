//! `Refresh`: a session goes on with new tokens.
//!
//! Within its grace a token that was used leads to the current one, so a repeat is safe. Reuse after it ends the session,
//! unless nobody waits for the answer any more. A banned account gets no new tokens; its session goes on when the ban is
//! over. Nor does whoever an operator keeps out.

use common::{
    clock::{Timestamp, random_bytes},
    context::RequestContext,
};
use idl::account::{RefreshRequest, RefreshResponse};
use prometheus::{IntCounter, Registry};

use super::client;
use crate::{
    domain::{
        app::App,
        device::DeviceId,
        end_reason::EndReason,
        history::{EventKind, Happening},
        refresh_token::RefreshToken,
        rotation::{self, Rotation},
    },
    error::AccountError,
    service::Parts,
    sign_in::{self, Holder},
    store::sessions::{NextToken, StoredSession},
};

/// A lost race is decided anew from what the winner wrote: the token is not current any more then, so a second look
/// always decides.
const LOOKS: usize = 2;

pub(crate) async fn refresh(parts: &Parts, request: RefreshRequest) -> Result<RefreshResponse, AccountError> {
    // Garbage ends here, before anything is asked.
    let presented = RefreshToken::parse(&request.refresh_token, parts.vault.refresh_token_key());
    let presented = presented.ok_or(AccountError::TokenInvalid)?;
    let app = parts.apps.enabled(request.app_id).await?;
    let grace = parts.config.tokens.refresh_grace;
    for _ in 0..LOOKS {
        // The mac says that the session existed; its row is gone because it ended long ago.
        let found = parts.sessions.find(presented.session_id()).await?;
        let session = found.ok_or(AccountError::TokenExpired)?;
        // Before anything is decided: who is kept out is told so, and keeps the session for when they no longer are.
        let device_id = session.device_id.as_deref().and_then(|device_id| DeviceId::parse(device_id).ok());
        parts.guard().admit(&client::on_device(request.client.as_ref(), device_id)?)?;
        let decided = rotation::decide(&session.state, &presented, app.app_id, parts.clock.now(), grace);
        if matches!(decided, Rotation::Advance | Rotation::Repeat(_)) {
            parts.bans.refuse_banned(session.account_id, parts.clock.now()).await?;
        }
        match decided {
            Rotation::Advance => {
                if let Some(response) = advance(parts, &app, &session, &presented).await? {
                    return Ok(response);
                }
            }
            Rotation::Repeat(successor) => {
                return Ok(respond(parts, &app, &session, &successor, session.state.refresh_expires_at));
            }
            Rotation::Unknown | Rotation::Unproven => return Err(AccountError::TokenInvalid),
            Rotation::Expired => return Err(AccountError::TokenExpired),
            Rotation::Revoked => {
                let reason = session.revoke_reason.as_deref().map(EndReason::told);
                return Err(AccountError::TokenRevoked { reason });
            }
            // A process that hung decides on a token that was good when it came: whoever sent it has long asked elsewhere.
            Rotation::Reused if RequestContext::nobody_waits() => return Err(AccountError::TooLate),
            Rotation::Reused => return Err(end_reused(parts, &session, &presented).await),
        }
    }
    Err(AccountError::Damaged("a session that changed and did not change"))
}

/// Makes the successor the current token. `None`: another request was first.
async fn advance(
    parts: &Parts,
    app: &App,
    session: &StoredSession,
    presented: &RefreshToken,
) -> Result<Option<RefreshResponse>, AccountError> {
    let (now, state) = (parts.clock.now(), &session.state);
    let successor = presented.successor(random_bytes(&*parts.random));
    let next = NextToken {
        digest: successor.digest(),
        predecessor: presented.digest(),
        sealed_successor: presented.seal_successor(&successor),
        rotated_at: now,
        refresh_expires_at: rotation::refresh_expiry(now, sign_in::refresh_ttl(parts, app), state.absolute_expires_at),
    };
    let advanced = parts.sessions.rotate(presented.session_id(), state, &next).await?;
    Ok(advanced.then(|| respond(parts, app, session, &successor, next.refresh_expires_at)))
}

/// Ends the session whose old token came back; whoever has the current one is signed out with it.
async fn end_reused(parts: &Parts, session: &StoredSession, presented: &RefreshToken) -> AccountError {
    let ending = parts.ending(EndReason::RefreshTokenReused.as_str());
    match parts.sessions.end_one(presented.session_id(), session.state.app_id, ending).await {
        Ok(ended) => {
            parts.ended(&ended, ending);
            let happening = Happening::of(session.account_id, EventKind::RefreshTokenReused);
            parts.note(happening.in_app(session.state.app_id).in_session(presented.session_id()));
        }
        Err(error) => return error,
    }
    parts.refreshes.reused.inc();
    tracing::warn!(
        account_id = %session.account_id,
        app_id = %session.state.app_id,
        session_id = %presented.session_id(),
        generation = presented.generation(),
        current_generation = session.state.generation,
        "a refresh token was used again after its grace; its session was revoked"
    );
    AccountError::RefreshTokenReused
}

fn respond(
    parts: &Parts,
    app: &App,
    session: &StoredSession,
    refresh_token: &RefreshToken,
    refresh_expires_at: Timestamp,
) -> RefreshResponse {
    let holder = Holder {
        account_id: session.account_id,
        app_id: session.state.app_id,
        session_id: refresh_token.session_id(),
        epoch: session.state.epoch,
        signed_in_at: session.created_at,
        device_class: session.device_class,
        channel: session.channel.as_deref(),
        device_id: session.device_id.as_deref(),
    };
    RefreshResponse { tokens: sign_in::token_set(parts, app, holder, refresh_token, refresh_expires_at) }
}

/// What is counted about refreshes.
#[derive(Debug)]
pub(crate) struct RefreshMetrics {
    reused: IntCounter,
}

impl RefreshMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let help = "Refresh tokens that were used again after their grace, which ended their sessions.";
        let reused = IntCounter::new("playgate_account_refresh_reuse_total", help)?;
        registry.register(Box::new(reused.clone()))?;
        Ok(Self { reused })
    }
}

#[cfg(test)]
mod model;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::{clock::SystemRandom, context::RequestContext, error_code::ErrorCode};
    use idl::account::TokenStatus;

    use crate::testing::{GRACE, Service, code, refresh_on, status_on};

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    common::on_each_database! {
        async fn a_refresh_gives_new_tokens_of_the_same_session(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.register("ann").await.expect("registered").tokens;
            service.clock.advance(SECOND);
            let second = service.refresh(&first.refresh_token).await.expect("refreshed").tokens;
            assert_eq!((second.account_id, &second.session_id), (first.account_id, &first.session_id));
            assert_ne!(second.refresh_token, first.refresh_token);
            assert!(second.refresh_expires_at > first.refresh_expires_at);
            let verdict = service.verify(&second.access_token).await.expect("a verdict");
            assert_eq!(verdict.status, TokenStatus::VALID);
            assert_eq!((verdict.channel.as_deref(), verdict.device_id.as_deref()), (Some("taptap"), Some("device-1")));
        }

        async fn within_the_grace_every_instance_answers_the_same_successor(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.register("ann").await.expect("registered").tokens.refresh_token;
            let successor = service.refresh(&first).await.expect("refreshed").tokens;
            service.clock.advance(GRACE - SECOND);
            let replica = service.replica().await;
            let repeated = refresh_on(&replica, service.app_id(), &first).await.expect("repeated").tokens;
            assert_eq!(repeated.refresh_token, successor.refresh_token);
            assert_eq!(repeated.refresh_expires_at, successor.refresh_expires_at);
            assert_eq!(service.status(&repeated.access_token).await, TokenStatus::VALID);
        }

        async fn a_process_that_is_two_refreshes_behind_catches_up_within_its_grace_and_the_session_goes_on(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.register("ann").await.expect("registered").tokens.refresh_token;
            let second = service.refresh(&first).await.expect("refreshed").tokens.refresh_token;
            service.clock.advance(SECOND * 5);
            let third = service.refresh(&second).await.expect("refreshed").tokens.refresh_token;
            service.clock.advance(SECOND * 5);
            let replica = service.replica().await;
            for behind in [&first, &second] {
                let caught_up = refresh_on(&replica, service.app_id(), behind).await.expect("repeated").tokens;
                assert_eq!(caught_up.refresh_token, third);
                assert_eq!(service.status(&caught_up.access_token).await, TokenStatus::VALID);
            }
            service.clock.advance(DAY);
            assert!(service.refresh(&third).await.is_ok());
        }

        async fn a_version_that_remembers_one_rotation_can_rotate_in_between(database: TestDatabase) {
            let service = Service::start(database).await;
            let mut tokens = vec![service.register("ann").await.expect("registered").tokens.refresh_token];
            for _ in 0..3 {
                let next = service.refresh(&tokens[tokens.len() - 1]).await.expect("refreshed").tokens.refresh_token;
                tokens.push(next);
            }
            // What such a version leaves behind: it writes the last rotation and does not touch the ones before.
            let forgets = "UPDATE account_sessions SET earlier_rotations = NULL";
            service.database.write(forgets).execute().await.expect("written");
            assert_eq!(service.refresh(&tokens[2]).await.expect("repeated").tokens.refresh_token, tokens[3]);
            assert_eq!(code(service.refresh(&tokens[0]).await), ErrorCode::TOKEN_INVALID);
            assert!(service.refresh(&tokens[3]).await.is_ok(), "nobody is signed out");
        }

        async fn one_token_used_on_many_instances_at_once_yields_one_successor(database: TestDatabase) {
            let service = Service::start(database).await;
            let (one, other) = (service.replica().await, service.replica().await);
            let first = service.register("ann").await.expect("registered").tokens.refresh_token;
            let uses = (0..12).map(|n| refresh_on(if n % 2 == 0 { &one } else { &other }, service.app_id(), &first));
            let mut successors: Vec<_> = futures_util::future::join_all(uses)
                .await
                .into_iter()
                .map(|answer| answer.expect("refreshed").tokens.refresh_token)
                .collect();
            successors.dedup();
            assert_eq!(successors.len(), 1);
        }

        async fn reuse_after_the_grace_signs_the_whole_session_out(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.register("ann").await.expect("registered").tokens.refresh_token;
            let second = service.refresh(&first).await.expect("refreshed").tokens;
            service.clock.advance(GRACE + SECOND);
            assert_eq!(code(service.refresh(&first).await), ErrorCode::REFRESH_TOKEN_REUSED);
            assert_eq!(service.account.parts().refreshes.reused.get(), 1);
            assert_eq!(service.status(&second.access_token).await, TokenStatus::REVOKED);
            assert_eq!(code(service.refresh(&second.refresh_token).await), ErrorCode::TOKEN_REVOKED);
            let replica = service.replica().await;
            assert_eq!(status_on(&replica, service.app_id(), &second.access_token).await, TokenStatus::REVOKED);
        }

        async fn a_reuse_that_is_noticed_when_nobody_waits_any_more_ends_nothing(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.register("ann").await.expect("registered").tokens.refresh_token;
            let second = service.refresh(&first).await.expect("refreshed").tokens;
            service.clock.advance(GRACE + SECOND);
            let now = tokio::time::Instant::now();
            let late = RequestContext { deadline: Some(now), ..RequestContext::root(&SystemRandom) };
            assert_eq!(code(late.scope(service.refresh(&first)).await), ErrorCode::DEADLINE_EXCEEDED);
            assert!(service.refresh(&second.refresh_token).await.is_ok());
        }

        async fn garbage_and_another_apps_token_are_invalid_and_end_nothing(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            let other = service.admin().create_app("Other", None).await.expect("made").app_id;
            for garbage in ["", "pgr1.", "x", &"A".repeat(1 << 20), &tokens.access_token, &tokens.refresh_token[..95]] {
                assert_eq!(code(service.refresh(garbage).await), ErrorCode::TOKEN_INVALID);
            }
            let foreign = refresh_on(&service.account, other, &tokens.refresh_token).await;
            assert_eq!(code(foreign), ErrorCode::TOKEN_INVALID);
            assert!(service.refresh(&tokens.refresh_token).await.is_ok());
        }

        async fn a_session_ends_unused_after_30_days_and_in_any_case_after_180(database: TestDatabase) {
            let service = Service::start(database).await;
            let unused = service.register("ann").await.expect("registered").tokens.refresh_token;
            let mut used = service.register("bob").await.expect("registered").tokens.refresh_token;
            for _ in 0..7 {
                service.clock.advance(DAY * 25);
                used = service.refresh(&used).await.expect("refreshed").tokens.refresh_token;
            }
            service.clock.advance(DAY * 5);
            assert_eq!(code(service.refresh(&used).await), ErrorCode::TOKEN_EXPIRED);
            assert_eq!(code(service.refresh(&unused).await), ErrorCode::TOKEN_EXPIRED);
        }
    }
}

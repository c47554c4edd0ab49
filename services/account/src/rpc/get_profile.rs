//! `GetProfile`: a player's own view of the account: credentials and live sessions, as far as the token's app goes.

use idl::account::{GetProfileRequest, GetProfileResponse, SessionInfo};

use super::{bearer::Bearer, credentials, request_deletion};
use crate::{domain::ids::SessionId, error::AccountError, service::Parts, store::sessions::ListedSession};

pub(crate) async fn get_profile(parts: &Parts, request: GetProfileRequest) -> Result<GetProfileResponse, AccountError> {
    let bearer = Bearer::open(parts, &request.access_token)?;
    let Bearer { account_id, app_id, session_id, .. } = bearer.valid_or_why(parts).await?;
    let limit = parts.config.profile_sessions;
    let (created_at, credentials, sessions, executes_at) = tokio::try_join!(
        parts.accounts.created_at(account_id),
        credentials::listed(parts, account_id, app_id),
        parts.sessions.live(account_id, app_id, parts.clock.now(), limit),
        parts.deletions.executes_at(account_id),
    )?;
    Ok(GetProfileResponse {
        account_id: account_id.get(),
        created_at: created_at.ok_or(AccountError::NoSuchAccount)?.as_millis(),
        credentials,
        sessions: sessions.into_iter().map(|session| session_info(session, session_id)).collect(),
        deletion: executes_at.map(request_deletion::requested),
    })
}

fn session_info(session: ListedSession, current: SessionId) -> SessionInfo {
    SessionInfo {
        session_id: session.session_id.to_string().into(),
        device_id: session.device_id.map(Into::into),
        channel: session.channel.map(Into::into),
        created_at: session.created_at.as_millis(),
        last_seen_at: session.last_seen_at.as_millis(),
        current: session.session_id == current,
        device_class: Some(session.device_class.as_str().into()),
    }
}

#[cfg(test)]
mod tests {
    use common::{clock::Clock, error_code::ErrorCode};

    use crate::testing::{PASSWORD, Service, code};

    common::on_each_database! {
        async fn a_player_sees_masked_credentials_and_the_live_sessions(database: TestDatabase) {
            let service = Service::start(database).await;
            let registered_at = service.clock.now().as_millis();
            let ended = service.register("Annabel").await.expect("registered").tokens;
            service.clock.advance(std::time::Duration::from_secs(1));
            let here = service.login("annabel", PASSWORD).await.expect("signed in").tokens;
            service.clock.advance(std::time::Duration::from_secs(1));
            let there = service.login("annabel", PASSWORD).await.expect("signed in").tokens;
            service.logout(&ended.access_token, false).await.expect("ended");

            let profile = service.profile(&here.access_token).await.expect("a profile");
            assert_eq!((profile.account_id, profile.created_at), (here.account_id, registered_at));
            let credentials: Vec<_> = profile.credentials.iter().map(|c| (&*c.kind, &*c.masked_name)).collect();
            assert_eq!(credentials, [("password", "A***l")]);
            let sessions: Vec<_> = profile.sessions.iter().map(|s| (&s.session_id, s.current)).collect();
            assert_eq!(sessions, [(&there.session_id, false), (&here.session_id, true)]);
            assert_eq!(profile.sessions[0].channel.as_deref(), Some("taptap"));
        }

        async fn only_a_token_that_is_good_now_shows_a_profile(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            assert_eq!(code(service.profile("garbage").await), ErrorCode::TOKEN_INVALID);
            service.logout(&tokens.access_token, false).await.expect("ended");
            assert_eq!(code(service.profile(&tokens.access_token).await), ErrorCode::TOKEN_REVOKED);
            service.clock.advance(crate::Config::default().tokens.access_ttl);
            assert_eq!(code(service.profile(&tokens.access_token).await), ErrorCode::TOKEN_EXPIRED);
        }
    }
}

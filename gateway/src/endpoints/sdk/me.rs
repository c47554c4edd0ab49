//! `GET /v1/sdk/me`: what the platform knows of the player who asks.

use std::sync::Arc;

use common::http::{ApiError, Envelope};
use idl::account::{CredentialInfo, GetProfileRequest, GetProfileResponse, SessionInfo};
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::{deletion::Deletion, player::Player};
use crate::{endpoints::channel_or_official, state::Gateway, upstream::could_not_tell};

/// The player's own view. Times are Unix milliseconds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Profile {
    account_id: i64,
    created_at: i64,
    /// The ways this player can sign in.
    credentials: Vec<Credential>,
    /// Where the player is signed in.
    sessions: Vec<Session>,
    /// While the account is to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion: Option<Deletion>,
}

/// A way to sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Credential {
    /// `password`, `device`, `phone` or `channel`.
    #[schema(value_type = String)]
    kind: FastStr,
    /// Enough to recognise it, never enough to use it.
    #[schema(value_type = String, example = "a*n")]
    name: FastStr,
}

/// A signed-in device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    #[schema(value_type = String)]
    session_id: FastStr,
    /// The device id the client gave at login.
    #[schema(value_type = Option<String>)]
    device: Option<FastStr>,
    /// `mobile`, `desktop`, `console` or `web`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    device_class: Option<FastStr>,
    /// The channel the build came from.
    #[schema(value_type = String)]
    channel: FastStr,
    created_at: i64,
    /// The last login or refresh.
    last_seen_at: i64,
    /// This is the session that asks.
    current: bool,
}

/// The player's account, credentials and sessions.
#[utoipa::path(get, path = "/v1/sdk/me", tag = "Players", security(("player" = [])), responses((status = 200, body = Profile)))]
pub(crate) async fn me(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
) -> Result<Envelope<Profile>, ApiError> {
    let call = gateway
        .upstream
        .account
        .get_profile(GetProfileRequest { access_token: access_token.expose_secret().to_owned().into() });
    Ok(Envelope(call.await.map_err(could_not_tell)?.into()))
}

impl From<GetProfileResponse> for Profile {
    fn from(profile: GetProfileResponse) -> Self {
        Self {
            account_id: profile.account_id,
            created_at: profile.created_at,
            credentials: profile.credentials.into_iter().map(Credential::from).collect(),
            sessions: profile.sessions.into_iter().map(Session::from).collect(),
            deletion: profile.deletion.map(Deletion::from),
        }
    }
}

impl From<CredentialInfo> for Credential {
    fn from(credential: CredentialInfo) -> Self {
        Self { kind: credential.kind, name: credential.masked_name }
    }
}

impl From<SessionInfo> for Session {
    fn from(session: SessionInfo) -> Self {
        Self {
            session_id: session.session_id,
            device: session.device_id,
            device_class: session.device_class,
            channel: channel_or_official(session.channel),
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            current: session.current,
        }
    }
}

//! `DELETE /v1/sdk/sessions/{session_id}`: signs one device of the player out.

use std::sync::Arc;

use common::http::{ApiError, Envelope, Path};
use idl::account::EndSessionRequest;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::{fields::checked_text, player::Player};
use crate::{state::Gateway, upstream::could_not_tell};

/// A UUID has 36 bytes; what is longer is no session, and what is not one is for account to judge.
const LONGEST_SESSION_ID: usize = 64;

/// Which session, in the path.
#[derive(Debug, Deserialize)]
pub(crate) struct SessionPath {
    session_id: FastStr,
}

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndSessionAnswer)]
pub(crate) struct Answer {
    /// 1, or 0 if it had ended already or is not a session of this player in this app.
    revoked: i64,
}

/// Signs one device of the player out, in this app.
///
/// The session ids are in `/v1/sdk/me`. The device is told the reason `signed_out_elsewhere`.
#[utoipa::path(delete, path = "/v1/sdk/sessions/{session_id}", tag = "Players", security(("player" = [])), params(("session_id" = String, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn end_session(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
    Path(SessionPath { session_id }): Path<SessionPath>,
) -> Result<Envelope<Answer>, ApiError> {
    let call = gateway.upstream.account.end_session(EndSessionRequest {
        access_token: access_token.expose_secret().to_owned().into(),
        session_id: checked_text("session_id", session_id, LONGEST_SESSION_ID)?,
    });
    let answer = call.await.map_err(could_not_tell)?;
    Ok(Envelope(Answer { revoked: answer.revoked }))
}

//! `DELETE /v1/sdk/sessions`: signs every other device of the player out.

use std::sync::Arc;

use common::http::{ApiError, Envelope};
use idl::account::EndOtherSessionsRequest;
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;
use volo_http::utils::Extension;

use super::player::Player;
use crate::{state::Gateway, upstream::could_not_tell};

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EndOtherSessionsAnswer)]
pub(crate) struct Answer {
    /// Sessions that were live and no longer are.
    revoked: i64,
}

/// Signs every other device of the player out, in every app. This session stays.
#[utoipa::path(delete, path = "/v1/sdk/sessions", tag = "Players", security(("player" = [])), responses((status = 200, body = Answer)))]
pub(crate) async fn end_other_sessions(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
) -> Result<Envelope<Answer>, ApiError> {
    let request = EndOtherSessionsRequest { access_token: access_token.expose_secret().to_owned().into() };
    let answer = gateway.upstream.account.end_other_sessions(request).await.map_err(could_not_tell)?;
    Ok(Envelope(Answer { revoked: answer.revoked }))
}

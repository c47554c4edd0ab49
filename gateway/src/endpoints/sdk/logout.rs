//! `POST /v1/sdk/logout`: signs this session, or every session of the account, out.

use std::sync::Arc;

use common::http::{ApiError, Envelope, OptionalJson};
use idl::account::LogoutRequest;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo_http::utils::Extension;

use super::player::Player;
use crate::{state::Gateway, upstream::could_not_tell};

/// A logout. The body may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = LogoutRequest)]
pub(crate) struct Request {
    /// Sign out on every device, not only here.
    everywhere: Option<bool>,
}

/// Nothing to say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogoutAnswer)]
pub(crate) struct Answer {}

/// Signs out.
#[utoipa::path(post, path = "/v1/sdk/logout", tag = "Players", security(("player" = [])), request_body = Option<Request>, responses((status = 200, body = Answer)))]
pub(crate) async fn logout(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
    OptionalJson(request): OptionalJson<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let everywhere = request.unwrap_or_default().everywhere.unwrap_or_default();
    let call = gateway
        .upstream
        .account
        .logout(LogoutRequest { access_token: access_token.expose_secret().to_owned().into(), everywhere });
    call.await.map_err(could_not_tell)?;
    Ok(Envelope(Answer {}))
}

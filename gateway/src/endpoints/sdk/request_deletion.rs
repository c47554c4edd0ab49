//! `POST /v1/sdk/deletion`: the account is to be deleted.

use std::sync::Arc;

use common::http::{ApiError, Envelope};
use idl::account::RequestDeletionRequest;
use secrecy::ExposeSecret;
use volo_http::utils::Extension;

use super::{deletion::Deletion, player::Player};
use crate::{state::Gateway, upstream::could_not_tell};

/// Asks for the account to be deleted, in every app.
///
/// It happens at `executes_at` and can be called off until then. Every other session is signed out; this one stays. A
/// repeat changes nothing.
#[utoipa::path(post, path = "/v1/sdk/deletion", tag = "Players", security(("player" = [])), responses((status = 200, body = Deletion)))]
pub(crate) async fn request_deletion(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
) -> Result<Envelope<Deletion>, ApiError> {
    let request = RequestDeletionRequest { access_token: access_token.expose_secret().to_owned().into() };
    let call = gateway.upstream.account.request_deletion(request);
    Ok(Envelope(call.await.map_err(could_not_tell)?.into()))
}

//! `DELETE /v1/sdk/deletion`: the account is kept after all.

use std::sync::Arc;

use common::http::{ApiError, Envelope};
use idl::account::CancelDeletionRequest;
use secrecy::ExposeSecret;
use volo_http::utils::Extension;

use super::{deletion::Deletion, player::Player};
use crate::{state::Gateway, upstream::could_not_tell};

/// Calls a deletion off.
///
/// A repeat, and a call without a deletion, change nothing. Who is signed out calls it off with `cancel_deletion` at a
/// login.
#[utoipa::path(delete, path = "/v1/sdk/deletion", tag = "Players", security(("player" = [])), responses((status = 200, body = Deletion)))]
pub(crate) async fn cancel_deletion(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
) -> Result<Envelope<Deletion>, ApiError> {
    let request = CancelDeletionRequest { access_token: access_token.expose_secret().to_owned().into() };
    let call = gateway.upstream.account.cancel_deletion(request);
    Ok(Envelope(call.await.map_err(could_not_tell)?.into()))
}

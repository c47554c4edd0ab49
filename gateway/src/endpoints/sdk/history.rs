//! `GET /v1/sdk/history`: what happened to the account of the player who asks.

use std::sync::Arc;

use common::http::{ApiError, Envelope, Query};
use idl::account::GetHistoryRequest;
use secrecy::ExposeSecret;
use volo_http::utils::Extension;

use super::player::Player;
use crate::{
    endpoints::{
        history::{History, HistoryPage},
        page,
    },
    state::Gateway,
    upstream::could_not_tell,
};

/// Sign-ins, failed ones included, and every change of the account, newest first, in pages.
#[utoipa::path(get, path = "/v1/sdk/history", tag = "Players", security(("player" = [])), params(HistoryPage), responses((status = 200, body = History)))]
pub(crate) async fn history(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
    Query(HistoryPage { before, limit }): Query<HistoryPage>,
) -> Result<Envelope<History>, ApiError> {
    let call = gateway.upstream.account.get_history(GetHistoryRequest {
        access_token: access_token.expose_secret().to_owned().into(),
        before,
        limit: page::limit(limit)?,
    });
    Ok(Envelope(call.await.map_err(could_not_tell)?.into()))
}

//! `GET /v1/server/wallet?account_id=`: what a player has in the app of the game server.

use std::sync::Arc;

use common::http::{ApiError, Envelope, Query, Signed};
use idl::pay::GetWalletRequest;
use serde::Deserialize;
use utoipa::IntoParams;
use volo_http::utils::Extension;

use crate::{endpoints::wallet::Wallet, state::Gateway, upstream::could_not_tell};

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The player.
    #[param(example = 100_001)]
    account_id: i64,
}

/// A player's wallet in your app.
///
/// A player who never had anything has an empty one.
#[utoipa::path(get, path = "/v1/server/wallet", operation_id = "get_wallet_of_app", tag = "Game servers", security(("app" = [])), params(Request), responses((status = 200, body = Wallet)))]
pub(crate) async fn wallet(
    Extension(gateway): Extension<Arc<Gateway>>,
    Query(Request { account_id }): Query<Request>,
    Signed { app, body: () }: Signed<()>,
) -> Result<Envelope<Wallet>, ApiError> {
    let request = GetWalletRequest { app_id: app.app_id, account_id };
    let wallet = gateway.upstream.pay.get_wallet(request).await.map_err(could_not_tell)?;
    Ok(Envelope(Wallet::new(account_id, wallet)))
}

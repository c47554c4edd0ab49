//! `GET /v1/sdk/wallet`: what the player who asks has.

use std::sync::Arc;

use common::http::{ApiError, Envelope};
use idl::{account::AuthenticateRequest, pay::GetWalletRequest};
use secrecy::ExposeSecret;
use volo_http::utils::Extension;

use super::player::Player;
use crate::{endpoints::wallet::Wallet, state::Gateway, upstream::could_not_tell};

/// The player's wallet in the token's app.
#[utoipa::path(get, path = "/v1/sdk/wallet", operation_id = "get_wallet_of_player", tag = "Players", security(("player" = [])), responses((status = 200, body = Wallet)))]
pub(crate) async fn wallet(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
) -> Result<Envelope<Wallet>, ApiError> {
    let access_token = access_token.expose_secret().to_owned().into();
    let player = gateway.upstream.account.authenticate(AuthenticateRequest { access_token }).await;
    let player = player.map_err(could_not_tell)?;
    let request = GetWalletRequest { app_id: player.app_id, account_id: player.account_id };
    let wallet = gateway.upstream.pay.get_wallet(request).await.map_err(could_not_tell)?;
    Ok(Envelope(Wallet::new(player.account_id, wallet)))
}

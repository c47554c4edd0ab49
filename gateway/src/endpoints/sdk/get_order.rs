//! `GET /v1/sdk/orders/{order_id}`: what became of an order of the player who asks.

use std::sync::Arc;

use common::http::{ApiError, Envelope, Path};
use idl::{account::AuthenticateRequest, pay::GetOrderRequest};
use secrecy::ExposeSecret;
use volo_http::utils::Extension;

use super::{fields::checked_text, player::Player};
use crate::{
    endpoints::order::{LONGEST_ORDER_ID, Order, OrderPath},
    state::Gateway,
    upstream::could_not_tell,
};

/// An order of the player.
///
/// 4040301 when there is none, or it is not theirs.
#[utoipa::path(get, path = "/v1/sdk/orders/{order_id}", tag = "Players", security(("player" = [])), params(("order_id" = String, Path)), responses((status = 200, body = Order)))]
pub(crate) async fn get_order(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
    Path(OrderPath { order_id }): Path<OrderPath>,
) -> Result<Envelope<Order>, ApiError> {
    let order_id = checked_text("order_id", order_id, LONGEST_ORDER_ID)?;
    let access_token = access_token.expose_secret().to_owned().into();
    let player = gateway.upstream.account.authenticate(AuthenticateRequest { access_token }).await;
    let player = player.map_err(could_not_tell)?;
    let request = GetOrderRequest { app_id: player.app_id, order_id, account_id: Some(player.account_id) };
    Ok(Envelope(gateway.upstream.pay.get_order(request).await.map_err(could_not_tell)?.order.into()))
}

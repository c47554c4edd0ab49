//! `POST /v1/sdk/orders`: a player wants to buy something.

use std::{collections::BTreeMap, sync::Arc};

use common::http::{ApiError, Envelope, Json};
use idl::{
    account::AuthenticateRequest,
    pay::{CreateOrderRequest, CreateOrderResponse},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::{fields::checked_channel, player::Player};
use crate::{endpoints::idempotency_key::IdempotencyKey, state::Gateway, upstream::could_not_tell};

/// What is bought, and for whom. What it costs is in the catalogue; the client says what it has shown the player.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreateOrderRequest)]
pub(crate) struct Request {
    #[schema(value_type = String, max_length = 64, example = "gems60")]
    product_id: FastStr,
    /// Minor units. Has to be the catalogue's price.
    #[schema(example = 600)]
    amount: i64,
    /// ISO 4217.
    #[schema(value_type = String, example = "CNY")]
    currency: FastStr,
    /// Passed on to the game server, as are the next two. May be empty.
    #[schema(value_type = String, max_length = 64)]
    role_id: FastStr,
    #[schema(value_type = String, max_length = 64)]
    server_id: FastStr,
    #[schema(value_type = String, max_length = 1024)]
    extension: FastStr,
    /// The channel it is to be paid through: a payment through another one is refused. Absent: any.
    #[schema(value_type = Option<String>)]
    channel: Option<FastStr>,
}

/// The order. A repeated request is answered the same, whatever has become of the order since.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreateOrderAnswer)]
pub(crate) struct Answer {
    #[schema(value_type = String, example = "01JXT21Q00C5Z0E8T3Y6A9B2DK")]
    order_id: FastStr,
    /// `created`; `paying` with a channel.
    #[schema(value_type = String, example = "created")]
    state: FastStr,
    /// Nobody is expected to pay after it, in Unix milliseconds.
    expires_at: i64,
    /// What the client hands to the channel it named: `out_trade_no` and `callback_path`. Empty without one.
    #[schema(value_type = Object)]
    pay_params: BTreeMap<FastStr, FastStr>,
}

/// Makes an order, once for each `Idempotency-Key` of the player.
///
/// Repeat a request whose answer was lost with the same key and the same body. The same key with another body is 4090301.
/// The price has to be the catalogue's. See docs/orders.md.
#[utoipa::path(post, path = "/v1/sdk/orders", tag = "Players", security(("player" = [])), params(("Idempotency-Key" = String, Header, description = "1-64 visible ASCII characters.")), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn create_order(
    Extension(gateway): Extension<Arc<Gateway>>,
    Player(access_token): Player,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Json(request): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let access_token = access_token.expose_secret().to_owned().into();
    let player = gateway.upstream.account.authenticate(AuthenticateRequest { access_token }).await;
    let player = player.map_err(could_not_tell)?;
    let order = CreateOrderRequest {
        app_id: player.app_id,
        account_id: player.account_id,
        idempotency_key,
        product_id: request.product_id,
        amount: request.amount,
        currency: request.currency,
        role_id: request.role_id,
        server_id: request.server_id,
        extension: request.extension,
        channel: checked_channel(request.channel)?,
    };
    Ok(Envelope(gateway.upstream.pay.create_order(order).await.map_err(could_not_tell)?.into()))
}

impl From<CreateOrderResponse> for Answer {
    fn from(order: CreateOrderResponse) -> Self {
        let CreateOrderResponse { order_id, state, expires_at, pay_params } = order;
        Self { order_id, state, expires_at, pay_params: pay_params.into_iter().collect() }
    }
}

//! `GET /v1/server/orders/{order_id}`: what became of an order, for the app's game server.

use std::sync::Arc;

use common::http::{ApiError, Envelope, Path, Signed};
use idl::pay::GetOrderRequest;
use volo_http::utils::Extension;

use crate::{
    endpoints::order::{Order, OrderPath},
    state::Gateway,
    upstream::could_not_tell,
};

/// An order of your app.
///
/// 4040301 when there is none, or it is another app's.
#[utoipa::path(get, path = "/v1/server/orders/{order_id}", operation_id = "get_order_of_app", tag = "Game servers", security(("app" = [])), params(("order_id" = String, Path)), responses((status = 200, body = Order)))]
pub(crate) async fn get_order(
    Extension(gateway): Extension<Arc<Gateway>>,
    Path(OrderPath { order_id }): Path<OrderPath>,
    Signed { app, body: () }: Signed<()>,
) -> Result<Envelope<Order>, ApiError> {
    let request = GetOrderRequest { app_id: app.app_id, order_id, account_id: None };
    Ok(Envelope(gateway.upstream.pay.get_order(request).await.map_err(could_not_tell)?.order.into()))
}

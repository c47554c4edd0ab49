//! `POST /v1/server/orders/{order_id}/redeliver`: the game server wants to be told of an order again.

use std::sync::Arc;

use common::http::{ApiError, Envelope, Path, SignedOnce};
use idl::pay::RedeliverOrderRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo_http::utils::Extension;

use crate::{endpoints::order::OrderPath, state::Gateway, upstream::could_not_tell};

/// Nothing, and there need not be a body.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Request {}

/// Nothing: the delivery is on its way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RedeliverOrderAnswer)]
pub(crate) struct Answer {}

/// Has a paid order sent to the app's `delivery_url` again, at once and then by the schedule.
///
/// 4220301 when it is not paid, or is refunded. Without a body.
#[utoipa::path(post, path = "/v1/server/orders/{order_id}/redeliver", tag = "Game servers", security(("app" = [])), params(("order_id" = String, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn redeliver_order(
    Extension(gateway): Extension<Arc<Gateway>>,
    Path(OrderPath { order_id }): Path<OrderPath>,
    SignedOnce { app, body: _ }: SignedOnce<Option<Request>>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = RedeliverOrderRequest { app_id: app.app_id, order_id };
    gateway.upstream.pay.redeliver_order(request).await.map_err(could_not_tell)?;
    Ok(Envelope(Answer {}))
}

//! `PUT /admin/v1/apps/{app_id}/products/{product_id}`: what an app sells, and for how much.

use std::collections::BTreeMap;

use common::{
    http::{ApiError, Envelope, Json, Path},
    rpc::CallError,
};
use idl::{account_admin::DescribeAppRequest, pay_admin::PutProductRequest};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use volo::FastStr;

use super::{
    pay_operator::PayOperator,
    product::ProductPath,
    record::{Change, record},
};

/// The whole product: what is not in it is no longer there.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PutProductRequest)]
pub(crate) struct Request {
    /// Shown to players: 1-128 bytes.
    #[schema(value_type = String, example = "60 Gems")]
    name: FastStr,
    /// Currency (ISO 4217) → minor units; 1-32 of them.
    #[schema(value_type = Object, example = json!({"CNY": 600, "USD": 99}))]
    prices: BTreeMap<FastStr, i64>,
    /// Channel → what the channel calls the product, for channels with a catalogue of their own.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({"apple": "com.studio.game.gems60"}))]
    channel_products: BTreeMap<FastStr, FastStr>,
}

/// Nothing: it is in the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PutProductAnswer)]
pub(crate) struct Answer {}

/// Puts a product into an app's catalogue, in place of the one there may be.
///
/// In force at once. Orders that are made already keep what they were made for.
#[utoipa::path(put, path = "/admin/v1/apps/{app_id}/products/{product_id}", tag = "Orders", security(("operator" = [])), params(("app_id" = i64, Path), ("product_id" = String, Path)), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn put_product(
    operator: PayOperator,
    Path(ProductPath { app_id, product_id }): Path<ProductPath>,
    Json(Request { name, prices, channel_products }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let PayOperator { actor, account, pay } = &operator;
    account.admin_describe_app(DescribeAppRequest { app_id }).await.map_err(CallError::from)?;
    let details =
        json!({ "product_id": product_id, "name": name, "prices": prices, "channel_products": channel_products });
    let request = PutProductRequest {
        actor: actor.clone(),
        app_id,
        product_id,
        name,
        prices: prices.into_iter().collect(),
        channel_products: channel_products.into_iter().collect(),
    };
    pay.admin_put_product(request).await.map_err(CallError::from)?;
    let change = Change { action: "app.put_product", target_kind: "app", target_id: app_id.to_string(), details };
    record(&operator, change).await;
    Ok(Envelope(Answer {}))
}

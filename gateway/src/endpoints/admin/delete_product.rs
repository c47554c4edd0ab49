//! `DELETE /admin/v1/apps/{app_id}/products/{product_id}`: an app no longer sells something.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::pay_admin::DeleteProductRequest;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    pay_operator::PayOperator,
    product::ProductPath,
    record::{Change, record},
};

/// Nothing: it is no longer in the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeleteProductAnswer)]
pub(crate) struct Answer {}

/// Takes a product out of an app's catalogue.
///
/// In force at once. Orders that are made already keep what they were made for: they can be paid, and are delivered.
/// 4040303 when the app has none of this id.
#[utoipa::path(delete, path = "/admin/v1/apps/{app_id}/products/{product_id}", tag = "Orders", security(("operator" = [])), params(("app_id" = i64, Path), ("product_id" = String, Path)), responses((status = 200, body = Answer)))]
pub(crate) async fn delete_product(
    operator: PayOperator,
    Path(ProductPath { app_id, product_id }): Path<ProductPath>,
) -> Result<Envelope<Answer>, ApiError> {
    let details = json!({ "product_id": product_id });
    let request = DeleteProductRequest { actor: operator.actor.clone(), app_id, product_id };
    operator.pay.admin_delete_product(request).await.map_err(CallError::from)?;
    let target_id = app_id.to_string();
    record(&operator, Change { action: "app.delete_product", target_kind: "app", target_id, details }).await;
    Ok(Envelope(Answer {}))
}

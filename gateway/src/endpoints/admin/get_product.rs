//! `GET /admin/v1/apps/{app_id}/products/{product_id}`: one product of an app.

use common::{
    http::{ApiError, Envelope, Path},
    rpc::CallError,
};
use idl::pay_admin::GetProductRequest;

use super::{
    pay_operator::PayOperator,
    product::{Product, ProductPath},
};

/// One product of an app.
///
/// 4040303 when the app has none of this id.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/products/{product_id}", tag = "Orders", security(("operator" = [])), params(("app_id" = i64, Path), ("product_id" = String, Path)), responses((status = 200, body = Product)))]
pub(crate) async fn get_product(
    PayOperator { pay, .. }: PayOperator,
    Path(ProductPath { app_id, product_id }): Path<ProductPath>,
) -> Result<Envelope<Product>, ApiError> {
    let found = pay.admin_get_product(GetProductRequest { app_id, product_id }).await.map_err(CallError::from)?;
    Ok(Envelope(found.product.into()))
}

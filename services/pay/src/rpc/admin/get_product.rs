//! `AdminGetProduct`: one product of an app.

use idl::pay_admin::{GetProductRequest, GetProductResponse};

use super::list_products::shown;
use crate::{domain::ProductId, error::OrderError, rpc::wire, service::Parts};

pub(crate) async fn get_product(parts: &Parts, request: GetProductRequest) -> Result<GetProductResponse, OrderError> {
    let app_id = wire::app_id(request.app_id)?;
    // What is no id is the id of no product.
    let product_id = ProductId::parse(&request.product_id).map_err(|_| OrderError::NoSuchProduct)?;
    let found = parts.products.listed(app_id, &product_id).await?.ok_or(OrderError::NoSuchProduct)?;
    Ok(GetProductResponse { product: shown(found) })
}

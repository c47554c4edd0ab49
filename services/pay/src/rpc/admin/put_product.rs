//! `AdminPutProduct`: puts a product into the catalogue of an app.

use idl::pay_admin::{PutProductRequest, PutProductResponse};

use crate::{
    domain::{Product, ProductId},
    error::OrderError,
    rpc::wire,
    service::Parts,
};

pub(crate) async fn put_product(parts: &Parts, request: PutProductRequest) -> Result<PutProductResponse, OrderError> {
    let app_id = wire::app_id(request.app_id)?;
    let product_id = ProductId::parse(&request.product_id)?;
    let prices = request.prices.into_iter().map(|(currency, amount)| (currency.to_string(), amount));
    let channels =
        request.channel_products.into_iter().map(|(channel, product)| (channel.to_string(), product.to_string()));
    let product = Product::new(&request.name, prices, channels)?;
    parts.products.put(app_id, &product_id, &product, parts.clock.now()).await?;
    Ok(PutProductResponse {})
}

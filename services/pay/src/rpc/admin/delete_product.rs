//! `AdminDeleteProduct`: takes a product out of the catalogue of an app.

use idl::pay_admin::{DeleteProductRequest, DeleteProductResponse};

use crate::{domain::ProductId, error::OrderError, rpc::wire, service::Parts};

pub(crate) async fn delete_product(
    parts: &Parts,
    request: DeleteProductRequest,
) -> Result<DeleteProductResponse, OrderError> {
    let app_id = wire::app_id(request.app_id)?;
    let product_id = ProductId::parse(&request.product_id).map_err(|_| OrderError::NoSuchProduct)?;
    match parts.products.delete(app_id, &product_id).await? {
        true => Ok(DeleteProductResponse {}),
        false => Err(OrderError::NoSuchProduct),
    }
}

#[cfg(test)]
mod tests {
    use common::error_code::{ErrorCode, PublicError};
    use idl::{
        pay::PayService,
        pay_admin::{DeleteProductRequest, GetProductRequest, Product},
    };

    use crate::testing::{APP, OTHER_APP, Service, payment, public, refusal};

    async fn delete(service: &Service, product_id: &'static str) -> Result<(), PublicError> {
        let request = DeleteProductRequest { actor: "operator".into(), app_id: APP, product_id: product_id.into() };
        public(service.pay.admin_delete_product(request).await).map(drop)
    }

    async fn get(service: &Service, app_id: i64, product_id: &'static str) -> Result<Product, PublicError> {
        let request = GetProductRequest { app_id, product_id: product_id.into() };
        public(service.pay.admin_get_product(request).await).map(|answer| answer.product)
    }

    common::on_each_database! {
        async fn a_deleted_product_is_not_sold_and_orders_for_it_go_on(database: TestDatabase) {
            let service = Service::start(database).await;
            let order_id = service.order("k-1").await;
            let product = get(&service, APP, "gems60").await.expect("there");
            assert_eq!((&*product.name, product.prices["CNY"], product.prices["USD"]), ("60 Gems", 600, 99));
            assert_eq!(&*product.channel_products["store"], "com.studio.gems60");

            delete(&service, "gems60").await.expect("deleted");
            assert_eq!(refusal(get(&service, APP, "gems60").await).0, ErrorCode::NO_SUCH_PRODUCT);
            assert_eq!(refusal(service.create("k-2").await).1, "product_id");
            assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS");
            assert_eq!(service.state(&order_id).await, "paid");
            get(&service, OTHER_APP, "gems60").await.expect("another app still sells its own");

            for product_id in ["gems60", "no id", ""] {
                assert_eq!(refusal(delete(&service, product_id).await).0, ErrorCode::NO_SUCH_PRODUCT, "{product_id}");
            }
        }
    }
}

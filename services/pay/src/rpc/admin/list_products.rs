//! `AdminListProducts`: what an app sells, page by page.

use idl::pay_admin::{self as idl_admin, ListProductsRequest, ListProductsResponse};

use crate::{error::OrderError, rpc::wire, service::Parts, store::products::Listed};

/// Products on a page.
const MOST: u32 = 200;

pub(crate) async fn list_products(
    parts: &Parts,
    request: ListProductsRequest,
) -> Result<ListProductsResponse, OrderError> {
    let app_id = wire::app_id(request.app_id)?;
    let limit = wire::limit(request.limit, MOST)?;
    let found = parts.products.page(app_id, request.after.as_deref().unwrap_or_default(), limit + 1).await?;
    let (page, more) = wire::page(found, limit);
    Ok(ListProductsResponse { products: page.into_iter().map(shown).collect(), more })
}

pub(super) fn shown(listed: Listed) -> idl_admin::Product {
    let Listed { product_id, product, updated_at } = listed;
    let channels = product.channel_products().iter();
    idl_admin::Product {
        product_id: product_id.as_str().to_owned().into(),
        name: product.name().to_owned().into(),
        prices: product.prices().map(|price| (price.currency().to_string().into(), price.amount())).collect(),
        channel_products: channels.map(|(channel, name)| (channel.clone().into(), name.clone().into())).collect(),
        updated_at: updated_at.as_millis(),
    }
}

#[cfg(test)]
mod tests {
    use idl::{pay::PayService, pay_admin::ListProductsRequest};

    use crate::testing::{APP, Service, public};

    async fn page(service: &Service, after: Option<&'static str>, limit: i32) -> (Vec<String>, bool) {
        let request = ListProductsRequest { app_id: APP, after: after.map(Into::into), limit };
        let answer = public(service.pay.admin_list_products(request).await).expect("a page");
        (answer.products.into_iter().map(|product| product.product_id.to_string()).collect(), answer.more)
    }

    common::on_each_database! {
        async fn the_catalogue_is_listed_by_id_in_pages(database: TestDatabase) {
            let service = Service::start(database).await;
            for product_id in ["b", "a", "Z"] {
                service.put_product(APP, product_id, &[("CNY", 100)]).await.expect("put");
            }
            assert_eq!(page(&service, None, 2).await, (vec!["Z".to_owned(), "a".to_owned()], true));
            assert_eq!(page(&service, Some("a"), 2).await, (vec!["b".to_owned(), "gems60".to_owned()], false));
            assert_eq!(page(&service, Some("gems60"), 2).await, (vec![], false));
        }
    }
}

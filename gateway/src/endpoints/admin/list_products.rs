//! `GET /admin/v1/apps/{app_id}/products`: what an app sells, by id, in pages.

use common::{
    http::{ApiError, Envelope, Path, Query},
    rpc::CallError,
};
use idl::pay_admin::ListProductsRequest;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;

use super::{app::AppPath, pay_operator::PayOperator, product::Product};
use crate::endpoints::page;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<FastStr>,
    /// 1-200; absent: 50.
    limit: Option<i64>,
}

/// A page of products.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListProductsAnswer)]
pub(crate) struct Answer {
    products: Vec<Product>,
    /// There is another page: ask with `after` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<FastStr>,
}

/// What an app sells, by id.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/products", tag = "Orders", security(("operator" = [])), params(("app_id" = i64, Path), Request), responses((status = 200, body = Answer)))]
pub(crate) async fn list_products(
    PayOperator { pay, .. }: PayOperator,
    Path(AppPath { app_id }): Path<AppPath>,
    Query(Request { after, limit }): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = ListProductsRequest { app_id, after, limit: page::limit(limit)? };
    let found = pay.admin_list_products(request).await.map_err(CallError::from)?;
    let next = found.products.last().filter(|_| found.more).map(|last| last.product_id.clone());
    Ok(Envelope(Answer { products: found.products.into_iter().map(Product::from).collect(), next }))
}

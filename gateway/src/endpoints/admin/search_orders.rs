//! `GET /admin/v1/apps/{app_id}/orders`: orders of an app by state, player and time, in pages.

use common::{
    http::{ApiError, Envelope, Path, Query},
    rpc::CallError,
};
use idl::pay_admin::SearchOrdersRequest;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;

use super::{app::AppPath, pay_operator::PayOperator};
use crate::endpoints::{order::Order, page};

/// Which orders, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    /// `created`, `paying`, `paid`, `delivering`, `delivered`, `expired`, `closed`, `refunding` or `refunded`.
    #[param(value_type = Option<String>, example = "delivering")]
    state: Option<FastStr>,
    /// Whose.
    account_id: Option<i64>,
    /// Made at this moment or later, Unix milliseconds.
    from: Option<i64>,
    /// Made before this moment, Unix milliseconds.
    until: Option<i64>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<FastStr>,
    /// 1-200; absent: 50.
    limit: Option<i64>,
}

/// A page of orders.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchOrdersAnswer)]
pub(crate) struct Answer {
    /// Newest first.
    orders: Vec<Order>,
    /// There are older ones: ask with `cursor` set to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    next: Option<FastStr>,
}

/// Orders of an app, newest first.
#[utoipa::path(get, path = "/admin/v1/apps/{app_id}/orders", tag = "Orders", security(("operator" = [])), params(("app_id" = i64, Path), Request), responses((status = 200, body = Answer)))]
pub(crate) async fn search_orders(
    PayOperator { pay, .. }: PayOperator,
    Path(AppPath { app_id }): Path<AppPath>,
    Query(Request { state, account_id, from, until, cursor, limit }): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let limit = page::limit(limit)?;
    let request = SearchOrdersRequest { app_id, state, account_id, from, until, cursor, limit };
    let found = pay.admin_search_orders(request).await.map_err(CallError::from)?;
    let next = found.orders.last().filter(|_| found.more).map(|last| last.order_id.clone());
    Ok(Envelope(Answer { orders: found.orders.into_iter().map(Order::from).collect(), next }))
}

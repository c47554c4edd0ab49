//! `AdminSearchOrders`: orders of an app by state, player and time, newest first.

use common::clock::Timestamp;
use idl::pay_admin::{SearchOrdersRequest, SearchOrdersResponse};

use crate::{
    domain::{FieldError, OrderId, OrderState, is_id},
    error::OrderError,
    rpc::wire,
    service::Parts,
    store::search::{self, Search},
};

/// Orders on a page.
const MOST: u32 = 200;

pub(crate) async fn search_orders(
    parts: &Parts,
    request: SearchOrdersRequest,
) -> Result<SearchOrdersResponse, OrderError> {
    let limit = wire::limit(request.limit, MOST)?;
    let found = search::find(&parts.database, parse(&request)?, limit + 1).await?;
    let (page, more) = wire::page(found, limit);
    Ok(SearchOrdersResponse { orders: page.into_iter().map(wire::order).collect(), more })
}

fn parse(request: &SearchOrdersRequest) -> Result<Search, FieldError> {
    let state = |name: &str| {
        let found = OrderState::ALL.into_iter().find(|state| state.as_str() == name);
        found.ok_or_else(|| FieldError::new("state", "must be a state of orders"))
    };
    let cursor =
        |cursor: &str| OrderId::parse(cursor).map_err(|_| FieldError::new("cursor", "must be the `next` of a page"));
    if request.account_id.is_some_and(|account_id| !is_id(account_id)) {
        return Err(FieldError::new("account_id", "must be a positive integer below 2^53"));
    }
    Ok(Search {
        app_id: wire::app_id(request.app_id)?,
        state: request.state.as_deref().map(state).transpose()?,
        account_id: request.account_id,
        from: request.from.map(Timestamp::from_millis),
        until: request.until.map(Timestamp::from_millis),
        before: request.cursor.as_deref().map(cursor).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use common::error_code::{ErrorCode, PublicError};
    use idl::{
        pay::PayService,
        pay_admin::{SearchOrdersRequest, SearchOrdersResponse},
    };

    use crate::testing::{APP, PLAYER, Service, public, refusal};

    fn everything(limit: i32) -> SearchOrdersRequest {
        SearchOrdersRequest { app_id: APP, limit, ..SearchOrdersRequest::default() }
    }

    async fn search(service: &Service, request: SearchOrdersRequest) -> Result<SearchOrdersResponse, PublicError> {
        public(service.pay.admin_search_orders(request).await)
    }

    common::on_each_database! {
        async fn every_order_is_on_one_page(database: TestDatabase) {
            let service = Service::start(database).await;
            let mut made = Vec::new();
            for number in 0..5 {
                made.push(service.order(&format!("k-{number}")).await);
                service.clock.advance(std::time::Duration::from_millis(1));
            }
            made.reverse();
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let request = SearchOrdersRequest { cursor, account_id: Some(PLAYER), ..everything(2) };
                let answer = search(&service, request).await.expect("a page");
                found.extend(answer.orders.iter().map(|order| order.order_id.to_string()));
                cursor = found.last().map(|last| last.clone().into());
                if !answer.more {
                    break;
                }
            }
            assert_eq!(found, made);
        }

        async fn what_can_not_be_looked_for_is_named(database: TestDatabase) {
            let service = Service::start(database).await;
            for (request, field) in [
                (SearchOrdersRequest { state: Some("lost".into()), ..everything(1) }, "state"),
                (SearchOrdersRequest { account_id: Some(0), ..everything(1) }, "account_id"),
                (SearchOrdersRequest { cursor: Some("2".into()), ..everything(1) }, "cursor"),
                (SearchOrdersRequest { app_id: 0, ..everything(1) }, "app_id"),
                (everything(201), "limit"),
            ] {
                assert_eq!(refusal(search(&service, request).await), (ErrorCode::INVALID_ARGUMENT, field.to_owned()));
            }
        }
    }
}

//! Orders as an operator looks for them: newest first, by what there is an index of.

use common::{clock::Timestamp, sql::Database};

use super::{StoreError, orders::row};
use crate::domain::{Order, OrderId, OrderState};

/// An order's number begins with when it was made: a span of time is a span of numbers.
macro_rules! page {
    ($narrowed:literal) => {
        concat!(
            "SELECT * FROM pay_orders WHERE app_id = ? ",
            $narrowed,
            "AND order_id >= ? AND order_id < ? ORDER BY order_id DESC LIMIT ?"
        )
    };
}

/// Above every number.
const END: &str = "~";

/// Which orders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search {
    pub(crate) app_id: i64,
    pub(crate) state: Option<OrderState>,
    pub(crate) account_id: Option<i64>,
    /// Made at this moment or later.
    pub(crate) from: Option<Timestamp>,
    /// Made before this moment.
    pub(crate) until: Option<Timestamp>,
    /// Older than this one.
    pub(crate) before: Option<OrderId>,
}

/// Up to `most` of them, newest first.
pub(crate) async fn find(database: &Database, search: Search, most: u32) -> Result<Vec<Order>, StoreError> {
    let from = search.from.map(|from| OrderId::first_of(from).to_string()).unwrap_or_default();
    let until = search.until.map(OrderId::first_of).into_iter().chain(search.before).min();
    let until = until.map_or_else(|| END.to_owned(), |until| until.to_string());
    let text = match (search.account_id, search.state) {
        (None, None) => page!(""),
        (None, Some(_)) => page!("AND state = ? "),
        (Some(_), None) => page!("AND account_id = ? "),
        (Some(_), Some(_)) => page!("AND account_id = ? AND state = ? "),
    };
    let mut query = database.read(text).bind(search.app_id);
    if let Some(account_id) = search.account_id {
        query = query.bind(account_id);
    }
    if let Some(state) = search.state {
        query = query.bind(state.number());
    }
    row::read_all(query.bind(from).bind(until).bind(i64::from(most))).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::{APP, OTHER_APP, PLAYER, Service};

    fn everything() -> Search {
        Search { app_id: APP, state: None, account_id: None, from: None, until: None, before: None }
    }

    async fn found(service: &Service, search: Search) -> Vec<String> {
        let found = find(&service.database, search, 100).await.expect("searched");
        found.into_iter().map(|order| order.order_id.to_string()).collect()
    }

    common::on_each_database! {
        async fn orders_are_found_newest_first_by_app_state_player_and_time(database: TestDatabase) {
            let service = Service::start(database).await;
            let start = service.clock_now();
            let first = service.paid_order("k-1").await;
            service.clock.advance(Duration::from_secs(60));
            let second = service.order("k-2").await;
            service.clock.advance(Duration::from_secs(60));
            let of_other = service.create_with("k-1", |request| request.account_id = PLAYER + 1).await.expect("made");
            let third = of_other.order_id.to_string();

            assert_eq!(found(&service, everything()).await, [&*third, &*second, &*first]);
            let other_app = Search { app_id: OTHER_APP, ..everything() };
            assert!(found(&service, other_app).await.is_empty());
            let paid = Search { state: Some(OrderState::Paid), ..everything() };
            assert_eq!(found(&service, paid).await, [&*first]);
            let players = Search { account_id: Some(PLAYER), ..everything() };
            assert_eq!(found(&service, players).await, [&*second, &*first]);
            let both = Search { state: Some(OrderState::Created), ..players };
            assert_eq!(found(&service, both).await, [&*second]);

            let minute = start + Duration::from_secs(60);
            assert_eq!(found(&service, Search { from: Some(minute), ..everything() }).await, [&*third, &*second]);
            assert_eq!(found(&service, Search { until: Some(minute), ..everything() }).await, [&*first]);
            let before = Some(OrderId::parse(&third).expect("a number"));
            assert_eq!(found(&service, Search { before, ..everything() }).await, [&*second, &*first]);
            let page = find(&service.database, everything(), 2).await.expect("searched");
            assert_eq!(page.len(), 2);
        }

        async fn every_search_goes_by_an_index(database: TestDatabase) {
            let service = Service::start(database).await;
            if service.database.dialect() != common::sql::Dialect::Sqlite {
                // What MariaDB chooses depends on how much there is.
                return;
            }
            for text in [page!(""), page!("AND state = 1 "), page!("AND account_id = 1 ")] {
                let text: &'static str = text;
                let explained = common::sql::Sql::Same(Box::leak(format!("EXPLAIN QUERY PLAN {text}").into_boxed_str()));
                let query = service.database.read(explained).bind(APP).bind("").bind(END).bind(1_i64);
                let plan: Vec<(i64, i64, i64, String)> = query.all().await.expect("explained");
                let plan: String = plan.into_iter().map(|(_, _, _, line)| line).collect();
                assert!(plan.contains("USING INDEX ix_pay_orders") && !plan.contains("TEMP B-TREE"), "{text}: {plan}");
            }
        }
    }
}

//! `AdminRedeliverMany`: has many orders of an app sent to its game server again, by an operator's hand.

use idl::pay_admin::{RedeliverManyRequest, RedeliverManyResponse};

use super::change;
use crate::{domain::FieldError, error::OrderError, rpc::wire, service::Parts, store::dead_letters::Undelivered};

/// Orders of one request. Protects the caller's deadline, and the database.
const MOST: u32 = 500;

pub(crate) async fn redeliver_many(
    parts: &Parts,
    request: RedeliverManyRequest,
) -> Result<RedeliverManyResponse, OrderError> {
    let app_id = wire::app_id(request.app_id)?;
    let which = match &*request.state {
        "dead" => Undelivered::Dead,
        "all-undelivered" => Undelivered::All,
        _ => return Err(FieldError::new("state", "must be `dead` or `all-undelivered`").into()),
    };
    let limit = wire::limit(request.limit, MOST)?;
    let hand = change::hand(&request.actor, &request.reason)?;
    let redelivered = parts.orders.redeliver_many(app_id, which, limit, hand).await?;
    Ok(RedeliverManyResponse { redelivered: i32::try_from(redelivered).unwrap_or(i32::MAX) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::error_code::{ErrorCode, PublicError};
    use idl::{pay::PayService, pay_admin::RedeliverManyRequest};

    use crate::testing::{APP, Answering, GameServer, OTHER_APP, Service, impatient, public, refusal};

    async fn again(service: &Service, app_id: i64, state: &'static str, limit: i32) -> Result<i32, PublicError> {
        let request = RedeliverManyRequest {
            actor: "operator".into(),
            app_id,
            state: state.into(),
            limit,
            reason: "the game is back".into(),
        };
        public(service.pay.admin_redeliver_many(request).await).map(|answer| answer.redelivered)
    }

    common::on_each_database! {
        async fn dead_letters_are_sent_again_and_what_is_delivered_or_refunded_is_not(database: TestDatabase) {
            let (service, game) = (Service::start_with(database, impatient()).await, GameServer::start().await);
            service.deliver_to(APP, &game.url());
            let mut hands = service.hands();
            let delivered = service.paid_order("delivered").await;
            hands.deliver().await;
            game.answer(Answering::With(500, "no".to_owned()));
            let mut dead = Vec::new();
            for number in 0..3 {
                dead.push(service.paid_order(&format!("dead-{number}")).await);
            }
            hands.deliver().await;
            service.clock.advance(Duration::from_secs(60));
            hands.deliver().await;
            assert_eq!(service.count("SELECT COUNT(*) FROM pay_outbox WHERE dead = 1").await, 3);
            let waiting = service.paid_order("waiting").await;
            hands.deliver().await;
            service.refund(&dead[0]).await.expect("refunded");

            assert_eq!(again(&service, OTHER_APP, "dead", 500).await, Ok(0));
            assert_eq!(again(&service, APP, "dead", 1).await, Ok(1));
            assert_eq!(again(&service, APP, "dead", 500).await, Ok(1));
            assert_eq!(again(&service, APP, "dead", 500).await, Ok(0), "nothing is left to be done");
            assert_eq!(again(&service, APP, "all-undelivered", 500).await, Ok(1), "the one that waits");
            assert_eq!(again(&service, APP, "all-undelivered", 500).await, Ok(0), "all of them are due");

            game.answer(Answering::With(200, "SUCCESS".to_owned()));
            // And the refund, which the app has nowhere to hear of.
            assert_eq!(hands.deliver().await, 4);
            for order_id in [&delivered, &dead[1], &dead[2], &waiting] {
                assert_eq!(service.state(order_id).await, "delivered");
            }
            let events = service.events(&dead[1]).await;
            assert!(events.contains(&"redelivery_requested".to_owned()), "{events:?}");
            let line = service.describe(&dead[1]).await.journal.into_iter().find(|line| line.actor == "operator");
            assert_eq!(line.map(|line| line.reason.to_string()).as_deref(), Some("the game is back"));
        }

        async fn what_is_asked_for_wrongly_is_named(database: TestDatabase) {
            let service = Service::start(database).await;
            for (app_id, state, limit, field) in
                [(0, "dead", 1, "app_id"), (APP, "alive", 1, "state"), (APP, "dead", 0, "limit"), (APP, "dead", 501, "limit")]
            {
                let refused = refusal(again(&service, app_id, state, limit).await);
                assert_eq!(refused, (ErrorCode::INVALID_ARGUMENT, field.to_owned()));
            }
        }
    }
}

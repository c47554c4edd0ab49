//! Events of orders, on both databases.

use common::sql::{Database, Text};
use serde_json::{Value, json};

use crate::{
    Config,
    testing::{APP, GameServer, PLAYER, Service, payment},
};

fn publishing() -> Config {
    let mut config = Config::default();
    config.events.publish = true;
    config
}

/// The events that wait, oldest first, without their ids, which have to be unique, and times.
async fn told(database: &Database) -> Vec<Value> {
    let rows: Vec<(Text,)> = database.read("SELECT body FROM pay_events ORDER BY id").all().await.expect("read");
    let mut ids = std::collections::BTreeSet::new();
    let event = |(body,): (Text,)| {
        let mut event: Value = serde_json::from_str(&body).expect("JSON");
        let fields = event.as_object_mut().expect("an object");
        let id = fields.remove("event_id").expect("an id");
        assert!(ids.insert(id.as_str().expect("text").to_owned()), "an id of its own");
        for time in ["at", "paid_at"] {
            assert!(fields.remove(time).is_some_and(|at| at.is_i64()), "{time}");
        }
        event
    };
    rows.into_iter().map(event).collect()
}

async fn kinds(database: &Database) -> Vec<String> {
    told(database).await.into_iter().map(|event| event["kind"].as_str().expect("text").to_owned()).collect()
}

common::on_each_database! {
    async fn an_order_is_told_of_once_for_each_thing_that_happens_to_it(database: TestDatabase) {
        let (service, game) = (Service::start_with(database, publishing()).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let order_id = service.order("k-1").await;
        assert!(told(&service.database).await.is_empty(), "nobody has paid");
        for _ in 0..3 {
            assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        }
        let mut hands = service.hands();
        hands.deliver().await;
        hands.deliver().await;
        assert_eq!(service.state(&order_id).await, "delivered");
        for _ in 0..2 {
            service.refund(&order_id).await.expect("given back");
        }
        let event = |kind: &str| {
            json!({ "kind": kind, "app_id": APP, "account_id": PLAYER, "order_id": order_id, "product_id": "gems60",
                "amount": 600, "currency": "CNY", "channel": "sandbox", "role_id": "role-1", "server_id": "server-1" })
        };
        let events = told(&service.database).await;
        let mut refund = events[2].clone();
        assert!(refund.as_object_mut().expect("an object").remove("refunded_at").is_some());
        let mut expected = event("order.refund");
        (expected["refund_seq"], expected["refund_amount"], expected["in_books"]) = (json!(1), json!(600), json!(true));
        assert_eq!(refund, expected);
        assert_eq!([&events[0], &events[1], &events[3]], [&event("order.paid"), &event("order.delivered"), &event("order.refunded")]);
        assert_eq!(events.len(), 4);
        let all = serde_json::to_string(&events).expect("text");
        assert!(!all.contains("shop") && !all.contains("sandbox-"), "{all}");
    }

    async fn each_part_that_goes_back_is_told_and_the_end_once(database: TestDatabase) {
        let service = Service::start_with(database, publishing()).await;
        let order_id = service.paid_order("k-1").await;
        for (refund_id, amount) in [("r-1", 200), ("r-1", 200), ("r-2", 400)] {
            service.give_back(&order_id, Some(refund_id), amount).await;
        }
        assert_eq!(service.state(&order_id).await, "refunded");
        assert_eq!(kinds(&service.database).await, ["order.paid", "order.refund", "order.refund", "order.refunded"]);
        let amounts = |event: Value| event.get("refund_amount").cloned();
        let amounts: Vec<Value> = told(&service.database).await.into_iter().filter_map(amounts).collect();
        assert_eq!(amounts, [json!(200), json!(400)]);
    }

    async fn a_payment_that_can_not_be_told_of_is_not_taken_and_one_that_is_not_taken_is_not_told(database: TestDatabase) {
        let service = Service::start_with(database, publishing()).await;
        let order_id = service.order("k-1").await;
        service.database.write("ALTER TABLE pay_events RENAME TO elsewhere").execute().await.expect("gone");
        assert_ne!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        assert_ne!(service.state(&order_id).await, "paid");
        service.database.write("ALTER TABLE elsewhere RENAME TO pay_events").execute().await.expect("back");
        service.database.write("ALTER TABLE pay_outbox RENAME TO elsewhere").execute().await.expect("gone");
        assert_ne!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        service.database.write("ALTER TABLE elsewhere RENAME TO pay_outbox").execute().await.expect("back");
        let mut short = payment(&order_id);
        short["amount"] = json!(599);
        service.call_back(&short).await;
        assert!(told(&service.database).await.is_empty());
        assert_eq!(service.call_back(&payment(&order_id)).await, "SUCCESS");
        assert_eq!(kinds(&service.database).await, ["order.paid"]);
    }

    async fn unless_they_are_wanted_there_are_no_events(database: TestDatabase) {
        let service = Service::start(database).await;
        service.paid_order("k-1").await;
        assert!(told(&service.database).await.is_empty());
    }
}

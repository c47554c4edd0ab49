//! Channels that say the same again and again, in any order, to every instance at once. For tests only.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    Pay,
    testing::{APP, GameServer, Service, call_back_on, hands, payment},
};

const ORDERS: usize = 10;

/// Of each order; a thousand in all.
const CALLBACKS: usize = 100;

/// So many are under way at once.
const AT_ONCE: usize = 64;

/// What a channel says of an order for the `number`th time: mostly that it was paid, and now and then with too little
/// money, or that it was paid for a second time.
fn said(order_id: &str, number: usize) -> Value {
    let mut said = payment(order_id);
    match number % 10 {
        3 | 7 => said["amount"] = json!(599),
        5 => said["channel_order_id"] = json!(format!("second-{order_id}")),
        _ => {}
    }
    said
}

/// Calls until somebody could look into it, as a channel does; whether it was told that all is well.
async fn call(pay: &Pay, said: &Value) -> bool {
    loop {
        match call_back_on(pay, APP, said).await.expect("a channel").status {
            200 => return true,
            400 => return false,
            503 => tokio::time::sleep(Duration::from_millis(5)).await,
            other => panic!("{other}"),
        }
    }
}

common::on_each_database! {
    async fn a_thousand_callbacks_in_any_order_to_three_instances_move_each_order_once(database: TestDatabase) {
        let (service, game) = (Service::start(database).await, GameServer::start().await);
        service.deliver_to(APP, &game.url());
        let instances = [service.pay.clone(), service.replica().await, service.replica().await];
        let mut orders = Vec::new();
        for number in 0..ORDERS {
            orders.push(service.order(&format!("k-{number}")).await);
        }
        // Every instance delivers meanwhile: an order may be told before the last callback for it has come.
        let mut workers = JoinSet::new();
        for instance in &instances {
            let mut hands = hands(instance);
            workers.spawn(async move {
                loop {
                    hands.deliver().await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
        let (mut calls, at_once) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
        for place in 0..ORDERS * CALLBACKS {
            // 387 and 1000 have no divisor in common: each comes once, and far from where it was.
            let number = place * 387 % (ORDERS * CALLBACKS);
            let order_id = orders[number % ORDERS].clone();
            let (said, instance) = (said(&order_id, number / ORDERS), instances[place % instances.len()].clone());
            let at_once = Arc::clone(&at_once);
            calls.spawn(async move {
                let _one = at_once.acquire_owned().await.expect("open");
                let channel_order_id = said["channel_order_id"].as_str().expect("a text").to_owned();
                call(&instance, &said).await.then_some((order_id, channel_order_id))
            });
        }
        let believed: HashSet<(String, String)> = calls.join_all().await.into_iter().flatten().collect();
        // Of each order one payment counts, the one that came first, and whoever brought it was told so each time.
        assert_eq!(believed.len(), ORDERS, "{believed:?}");
        for (order_id, channel_order_id) in &believed {
            while service.state(order_id).await != "delivered" {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let order = service.describe(order_id).await;
            assert_eq!(order.order.channel_order_id.as_deref(), Some(&**channel_order_id));
            let mut state = "created".to_owned();
            for line in &order.journal {
                assert_eq!(line.from_state, state, "{:?}", order.journal);
                state = line.to_state.to_string();
            }
            let moves: Vec<_> = order.journal.iter().map(|line| &*line.event).filter(|e| *e != "refused_payment").collect();
            assert_eq!(moves, ["created", "paid", "delivery_started", "acknowledged"]);
            // The payment that came second is noted once; so is too little money, unless the order was paid by then: about
            // a payment that has counted the channel only repeats itself.
            let noted = order.journal.len() - moves.len();
            assert!((1..=2).contains(&noted), "{:?}", order.journal);
        }
        workers.shutdown().await;
        assert_eq!(service.wallet().await, 600 * i64::try_from(ORDERS).expect("few"));
        for (question, expected) in [
            ("SELECT COUNT(*) FROM pay_order_journal WHERE event = 'paid'", ORDERS),
            ("SELECT COUNT(*) FROM pay_ledger_transactions", ORDERS),
            ("SELECT COUNT(*) FROM pay_ledger_entries", 2 * ORDERS),
            ("SELECT COUNT(*) FROM pay_outbox", 0),
            ("SELECT COUNT(*) FROM pay_deliveries", ORDERS),
        ] {
            assert_eq!(service.count(question).await, i64::try_from(expected).expect("few"), "{question}");
        }
        assert_eq!(game.received().len(), ORDERS);
    }
}

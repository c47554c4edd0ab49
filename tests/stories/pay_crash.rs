//! Pay is killed in the middle of its work, again and again: no paid order is lost, and none counts twice.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Platform, Player, Role, Shape, Shop, Studio, eventually, in_four_roles};

in_four_roles!(
    every_acknowledged_payment_is_delivered_however_often_pay_is_killed,
    while_pay_is_away_no_channel_is_told_that_all_is_well,
    a_worker_that_ends_gives_back_what_it_had,
);

const BUYERS: usize = 4;
const KILLS: usize = 4;

/// How far along an order is: it never goes back.
fn progress(state: &str) -> usize {
    let states = ["created", "paid", "delivering", "delivered"];
    states.iter().position(|known| *known == state).unwrap_or_else(|| panic!("{state}"))
}

async fn every_acknowledged_payment_is_delivered_however_often_pay_is_killed(shape: Shape) {
    let builder = Platform::build(shape).set("pay.delivery.lease", "2s").set("pay.delivery.timeout", "1s");
    let builder = builder.set("pay.delivery.schedule", r#"["100ms","100ms","100ms","100ms","100ms","1s","1s","1s"]"#);
    let (mut platform, studio) = (builder.start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let paid: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let (shop, ann, stop, paid) = (shop.clone(), ann.clone(), Arc::clone(&stop), Arc::clone(&paid));
        let acknowledged = Arc::clone(&acknowledged);
        buyers.spawn(async move {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let Some(order_id) = create(&shop, &ann, &format!("{buyer}-{number}")).await else { continue };
                // As a channel does: until it is told that all is well, and sometimes once more.
                while shop.call_back(&Shop::payment(&order_id)).await != Some((200, "SUCCESS".to_owned())) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                paid.lock().unwrap().push(order_id.clone());
                acknowledged.fetch_add(1, Ordering::Relaxed);
                if number % 3 == 0 {
                    shop.call_back(&Shop::payment(&order_id)).await;
                }
            }
        });
    }
    for _ in 0..KILLS {
        let before = acknowledged.load(Ordering::Relaxed);
        eventually("payments go on", || async { (acknowledged.load(Ordering::Relaxed) > before + 30).then_some(()) })
            .await;
        platform.kill(Role::Pay);
        platform.restart(Role::Pay).await;
    }
    stop.store(true, Ordering::Relaxed);
    buyers.join_all().await;

    let paid = paid.lock().unwrap().clone();
    assert!(paid.len() > 30 * KILLS, "{}", paid.len());
    for order_id in &paid {
        shop.is(order_id, "delivered").await;
        let order = shop.describe(order_id).await;
        let journal = order["journal"].as_array().unwrap().clone();
        let mut moves: HashMap<String, usize> = HashMap::new();
        let mut at = 0;
        for line in &journal {
            let (from, to) = (progress(line["from"].as_str().unwrap()), progress(line["to"].as_str().unwrap()));
            assert!(from == at && to >= from, "{order_id} went back: {journal:?}");
            at = to;
            *moves.entry(line["event"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert!(moves.values().all(|times| *times == 1), "{order_id}: {moves:?}");
        assert!(!studio.deliveries_of(order_id).is_empty(), "{order_id} was delivered to somebody");
    }
    // Whatever was paid is in the wallet once: those whose buyer was still told so, and not one more.
    let wallet = ann.login().await.welcome["wallet"].clone();
    assert_eq!(wallet, json!({ "CNY": 600 * paid.len() }));
}

/// An order, once pay is there to make one.
async fn create(shop: &Shop, ann: &Player, key: &str) -> Option<String> {
    for _ in 0..500 {
        let answer = shop.try_create(ann, key, &Shop::wish()).await;
        if answer.status == 200 {
            return Some(answer.ok()["order_id"].as_str()?.to_owned());
        }
        assert!([503, 504].contains(&answer.status), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    None
}

async fn while_pay_is_away_no_channel_is_told_that_all_is_well(shape: Shape) {
    let (mut platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let order_id = shop.create(&ann, "k-1").await;
    platform.kill(Role::Pay);
    let (status, body) = shop.call_back(&Shop::payment(&order_id)).await.expect("an answer");
    assert_eq!(status, 503, "{body}");
    assert!(!body.to_uppercase().contains("SUCCESS"), "{body}");
    platform.restart(Role::Pay).await;
    eventually("pay is asked again", || async {
        (shop.call_back(&Shop::payment(&order_id)).await? == (200, "SUCCESS".to_owned())).then_some(())
    })
    .await;
    studio.is_told_of(&order_id).await;
    platform.kill(Role::Account);
    let second = Shop::payment("01JXT21Q00C5Z0E8T3Y6A9B2DK");
    let (status, _) = shop.call_back(&second).await.expect("an answer");
    assert!([400, 503].contains(&status), "{status}");
}

async fn a_worker_that_ends_gives_back_what_it_had(shape: Shape) {
    let builder = Platform::build(shape).set("pay.delivery.lease", "10m").set("pay.delivery.timeout", "1s");
    let builder = builder.set("pay.delivery.schedule", r#"["100ms","100ms","100ms"]"#);
    let (mut platform, studio) = (builder.start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let order_id = shop.create(&ann, "k-1").await;
    studio.hang();
    shop.pay(&order_id).await;
    studio.is_told_of(&order_id).await;
    platform.terminate(Role::Pay);
    assert!(platform.ends_within(Role::Pay, Duration::from_secs(20)).await.is_some_and(|status| status.success()));
    studio.answer(200, "SUCCESS");
    platform.restart(Role::Pay).await;
    shop.is(&order_id, "delivered").await;
}

//! A game server that is slow, wrong or gone is told again until it acknowledges, and is nobody else's trouble.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::support::{Platform, Player, Role, Shape, Shop, Studio, eventually, in_both_shapes};

in_both_shapes!(
    whatever_is_no_acknowledgement_is_told_again,
    a_dead_letter_is_sent_again_by_hand,
    a_game_that_hangs_delays_no_other_game,
    a_paid_order_leaves_at_once,
);

async fn whatever_is_no_acknowledgement_is_told_again(shape: Shape) {
    let builder = Platform::build(shape).set("pay.delivery.schedule", r#"["100ms","100ms","100ms","100ms","1h"]"#);
    let (platform, studio) = (builder.set("pay.delivery.look_every", "20ms").start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let order_id = shop.create(&ann, "k-1").await;
    studio.answer(500, "SUCCESS");
    shop.pay(&order_id).await;
    studio.is_told_of(&order_id).await;
    for (times, status, body) in [(1, 200, "success"), (2, 200, r#"{"code":1}"#), (3, 200, r#"{"code":0}"#)] {
        eventually("it is told again", || async { (studio.deliveries_of(&order_id).len() >= times).then_some(()) })
            .await;
        studio.answer(status, body);
    }
    shop.is(&order_id, "delivered").await;
    let attempts: Vec<_> =
        studio.deliveries_of(&order_id).iter().map(|told| told["attempt"].as_i64().unwrap()).collect();
    assert!(attempts.len() >= 4, "{attempts:?}");
    assert_eq!(attempts, (1..=attempts.len() as i64).collect::<Vec<_>>());
    let described = shop.describe(&order_id).await;
    assert_eq!(described["deliveries"][0]["status"], 500);
    assert_eq!(described["deliveries"].as_array().unwrap().last().unwrap()["outcome"], "acknowledged");
}

async fn a_dead_letter_is_sent_again_by_hand(shape: Shape) {
    let builder = Platform::build(shape).set("pay.delivery.schedule", r#"["20ms"]"#);
    let (platform, studio) = (builder.set("pay.delivery.look_every", "20ms").start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let (first, second) = (shop.create(&ann, "k-1").await, shop.create(&ann, "k-2").await);
    studio.answer(404, "nobody here");
    for order_id in [&first, &second] {
        shop.pay(order_id).await;
        eventually("it is given up", || async {
            (shop.events(order_id).await.last()? == "delivery_given_up").then_some(())
        })
        .await;
    }
    let pay = if platform.front() == Role::All { Role::All } else { Role::Pay };
    assert!(platform.metrics(pay).await.contains("playgate_pay_dead_letters_total 2"));

    studio.answer(200, "SUCCESS");
    let by_operator = format!("/admin/v1/orders/{first}/redeliver");
    shop.admin().post(&by_operator, &json!({ "reason": "the game is back" })).await.ok();
    let server = platform.game_server();
    let by_game = format!("/v1/server/orders/{second}/redeliver");
    server.send(&server.signed(Method::POST, &by_game, "", "")).await.ok();
    for order_id in [&first, &second] {
        shop.is(order_id, "delivered").await;
        assert_eq!(studio.deliveries_of(order_id).len(), 3);
    }
}

async fn a_game_that_hangs_delays_no_other_game(shape: Shape) {
    let (platform, hanging, well) = (Platform::start(shape).await, Studio::start().await, Studio::start().await);
    let dead = Shop::open(&platform, &hanging).await;
    let ann = platform.register("ann").await;
    hanging.hang();
    for number in 0..30 {
        let order_id = dead.create(&ann, &format!("k-{number}")).await;
        dead.pay(&order_id).await;
    }
    let app = platform.create_app("other").await;
    let shop = Shop::open_for(&platform, app.clone(), &well).await;
    let bob = Player::register(platform.client(), app.app_id, "bob").await;
    for number in 0..10 {
        let order_id = shop.create(&bob, &format!("k-{number}")).await;
        let paid_at = Instant::now();
        shop.pay(&order_id).await;
        well.is_told_of(&order_id).await;
        assert!(paid_at.elapsed() < Duration::from_secs(2), "{:?}", paid_at.elapsed());
    }
    assert!(hanging.deliveries().len() <= 8, "of one app only so many are under way");
}

async fn a_paid_order_leaves_at_once(shape: Shape) {
    // Nothing looks into the outbox: only the payment itself wakes the worker.
    let (platform, studio) =
        (Platform::build(shape).set("pay.delivery.look_every", "1h").start().await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let mut waited_ms = Vec::new();
    for number in 0..8 {
        let order_id = shop.create(&ann, &format!("k-{number}")).await;
        shop.pay(&order_id).await;
        studio.is_told_of(&order_id).await;
        shop.is(&order_id, "delivered").await;
        let order = shop.describe(&order_id).await;
        let paid = order["journal"].as_array().unwrap().iter().find(|line| line["event"] == "paid").unwrap();
        waited_ms.push(order["deliveries"][0]["at"].as_i64().unwrap() - paid["at"].as_i64().unwrap());
    }
    // The best of them: other tests use this machine too.
    assert!(waited_ms.iter().min().unwrap() < &50, "{waited_ms:?}");
}

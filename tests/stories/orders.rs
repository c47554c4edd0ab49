//! A player buys something: the order is made once, costs what the catalogue says, is paid once, and is the player's own.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Platform, Shape, Shop, Studio, in_every_shape};

in_every_shape!(
    a_purchase_from_the_order_to_the_delivery,
    a_repeated_request_is_answered_the_same_and_another_body_is_refused,
    what_the_client_says_it_costs_has_to_be_the_price,
    an_order_is_nobody_elses_business,
    a_payment_that_does_not_fit_is_never_a_success,
    a_thousand_duplicates_make_one_transition,
    an_operator_refunds_an_order_once,
);

async fn a_purchase_from_the_order_to_the_delivery(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let made = shop.try_create(&ann, "k-1", &Shop::wish()).await.ok();
    assert_eq!((&made["state"], &made["pay_params"]), (&json!("created"), &json!({})));
    let order_id = made["order_id"].as_str().unwrap();
    let mut order = shop.look(&ann, order_id).await.ok();
    assert_eq!(order["state"], "created");

    shop.pay(order_id).await;
    let told = studio.is_told_of(order_id).await;
    let expected = json!({
        "order_id": order_id, "app_id": platform.app().app_id, "account_id": ann.tokens.account_id,
        "product_id": "gems60", "amount": 600, "currency": "CNY", "role_id": "role-7", "server_id": "s-3",
        "extension": "from=shop&夏=1", "paid_at": 1_750_000_001_000_i64, "attempt": 1,
    });
    assert_eq!(told, expected);
    shop.is(order_id, "delivered").await;
    order = shop.look(&ann, order_id).await.ok();
    assert_eq!((&order["state"], &order["channel"]), (&json!("delivered"), &json!("sandbox")));
    assert_eq!(order["channel_order_id"], format!("sandbox-{order_id}"));
    assert_eq!(shop.events(order_id).await, ["created", "paid", "delivery_started", "acknowledged"]);

    // The game server may ask, and the wallet knows.
    let server = platform.game_server();
    let asked = server.send(&server.signed(Method::GET, &format!("/v1/server/orders/{order_id}"), "", "")).await.ok();
    assert_eq!(asked, order);
    assert_eq!(ann.login().await.welcome["wallet"], json!({ "CNY": 600 }));
}

async fn a_repeated_request_is_answered_the_same_and_another_body_is_refused(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let first = shop.try_create(&ann, "k-1", &Shop::wish()).await.ok();
    shop.pay(first["order_id"].as_str().unwrap()).await;
    assert_eq!(shop.try_create(&ann, "k-1", &Shop::wish()).await.ok(), first);
    let mut other = Shop::wish();
    other["extension"] = json!("other");
    shop.try_create(&ann, "k-1", &other).await.refused(4_090_301);
    assert_ne!(shop.create(&ann, "k-2").await, first["order_id"]);
    let bob = platform.register("bob").await;
    assert_ne!(shop.create(&bob, "k-1").await, first["order_id"]);

    let request = platform.client().request(Method::POST, "/v1/sdk/orders").json(&Shop::wish());
    let without_key = platform.client().send(request.bearer_auth(&ann.tokens.access_token)).await;
    without_key.refused_field(4_000_001, "Idempotency-Key");
    shop.try_create(&ann, "with a blank", &Shop::wish()).await.refused_field(4_000_001, "Idempotency-Key");
    platform.client().post("/v1/sdk/orders", &Shop::wish()).await.refused(4_010_001);
}

async fn what_the_client_says_it_costs_has_to_be_the_price(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    for (field, value) in [
        ("amount", json!(1)),
        ("amount", json!(0)),
        ("amount", json!("600")),
        ("currency", json!("EUR")),
        ("product_id", json!("gems6000")),
        ("role_id", json!("r".repeat(65))),
        ("extension", json!("x".repeat(1025))),
        ("server_id", Value::Null),
    ] {
        let mut wish = Shop::wish();
        wish[field] = value;
        shop.try_create(&ann, "k-1", &wish).await.refused_field(4_000_001, field);
    }
    for (path, product, field) in [
        ("gems60", json!({ "name": "60 Gems", "prices": {} }), "prices"),
        ("gems60", json!({ "name": "60 Gems", "prices": { "CNY": -1 } }), "prices"),
        ("gems60", json!({ "name": "", "prices": { "CNY": 600 } }), "name"),
        ("a%20b", json!({ "name": "60 Gems", "prices": { "CNY": 600 } }), "product_id"),
    ] {
        let path = format!("/admin/v1/apps/{}/products/{path}", platform.app().app_id);
        shop.admin().put(&path, &product).await.refused_field(4_000_001, field);
    }
    let product = json!({ "name": "60 Gems", "prices": { "CNY": 600 } });
    shop.admin().put("/admin/v1/apps/987654/products/gems60", &product).await.refused(4_040_102);
}

async fn an_order_is_nobody_elses_business(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let order_id = shop.create(&ann, "k-1").await;
    let bob = platform.register("bob").await;
    shop.look(&bob, &order_id).await.refused(4_040_301);
    shop.look(&ann, "nonsense").await.refused(4_040_301);
    let other = platform.game_server_of(platform.create_app("other").await);
    let path = format!("/v1/server/orders/{order_id}");
    other.send(&other.signed(Method::GET, &path, "", "")).await.refused(4_040_301);
    let again = format!("{path}/redeliver");
    other.send(&other.signed(Method::POST, &again, "", "")).await.refused(4_040_301);
    let server = platform.game_server();
    let unpaid = server.signed(Method::POST, &again, "", "");
    server.send(&unpaid).await.refused(4_220_301);
    server.send(&unpaid).await.refused(4_010_004);
    ann.logout().await.ok();
    platform.is_revoked(&ann.tokens.access_token).await;
    shop.look(&ann, &order_id).await.refused(4_010_104);
}

async fn a_payment_that_does_not_fit_is_never_a_success(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let (order_id, other) = (shop.create(&ann, "k-1").await, shop.create(&ann, "k-2").await);
    for (field, value) in
        [("amount", json!(1)), ("currency", json!("USD")), ("order_id", json!("01JXT21Q00C5Z0E8T3Y6A9B2DK"))]
    {
        let mut payment = Shop::payment(&order_id);
        payment[field] = value;
        assert_eq!(shop.call_back(&payment).await, Some((400, "FAIL".to_owned())), "{field}");
    }
    let forged = shop.call_back_signed(&Shop::payment(&order_id), "another secret").await;
    assert_eq!(forged, Some((400, "FAIL".to_owned())));
    let foreign = Shop::open_for(&platform, platform.create_app("other").await, &studio).await;
    assert_eq!(foreign.call_back(&Shop::payment(&order_id)).await, Some((400, "FAIL".to_owned())));
    assert_eq!(shop.look(&ann, &order_id).await.ok()["state"], "created");

    shop.pay(&order_id).await;
    let mut same_payment = Shop::payment(&other);
    same_payment["channel_order_id"] = json!(format!("sandbox-{order_id}"));
    assert_eq!(shop.call_back(&same_payment).await, Some((400, "FAIL".to_owned())));
    assert_eq!(shop.look(&ann, &other).await.ok()["state"], "created");
    assert_eq!(ann.login().await.welcome["wallet"], json!({ "CNY": 600 }));
    let path = format!("/v1/pay/callbacks/nobody/{}", platform.app().app_id);
    platform.client().post(&path, &json!({})).await.refused(4_040_302);
}

async fn a_thousand_duplicates_make_one_transition(shape: Shape) {
    const CONNECTIONS: usize = 16;
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let mut orders = Vec::new();
    for number in 0..4 {
        orders.push(shop.create(&ann, &format!("k-{number}")).await);
    }
    let mut callers = JoinSet::new();
    for caller in 0..CONNECTIONS {
        let (shop, orders) = (shop.clone(), orders.clone());
        callers.spawn(async move {
            for number in 0..1000 / CONNECTIONS {
                // Every caller in an order of its own.
                let order_id = &orders[(number * 3 + caller) % orders.len()];
                let answer = shop.call_back(&Shop::payment(order_id)).await.expect("an answer");
                assert!([200, 503].contains(&answer.0), "{answer:?}");
            }
        });
    }
    callers.join_all().await;
    for order_id in &orders {
        shop.pay(order_id).await;
        shop.is(order_id, "delivered").await;
        assert_eq!(shop.events(order_id).await, ["created", "paid", "delivery_started", "acknowledged"]);
        assert_eq!(studio.deliveries_of(order_id).len(), 1);
    }
    assert_eq!(ann.login().await.welcome["wallet"], json!({ "CNY": 2400 }));
}

async fn an_operator_refunds_an_order_once(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let order_id = shop.create(&ann, "k-1").await;
    let path = format!("/admin/v1/orders/{order_id}/refund");
    shop.admin().post(&path, &json!({})).await.refused(4_220_301);
    shop.pay(&order_id).await;
    shop.is(&order_id, "delivered").await;
    for _ in 0..2 {
        assert_eq!(shop.admin().post(&path, &json!({ "reason": "asked to" })).await.ok()["state"], "refunded");
    }
    assert_eq!(ann.login().await.welcome["wallet"], json!({ "CNY": 0 }));
    shop.pay(&order_id).await;
    let order = shop.describe(&order_id).await;
    assert_eq!(order["state"], "refunded");
    let journal = order["journal"].as_array().unwrap();
    let refunded: Vec<_> = journal.iter().filter(|line| line["event"] == "refunded").collect();
    assert_eq!(refunded.len(), 1, "{journal:?}");
    assert_eq!((&refunded[0]["actor"], &refunded[0]["reason"]), (&json!("operator"), &json!("asked to")));
    let audit = shop.admin().get("/admin/v1/audit").await.ok().to_string();
    assert!(audit.contains("order.refund") && audit.contains("app.put_product"), "{audit}");
    shop.admin().get("/admin/v1/orders/nonsense").await.refused(4_040_301);
}

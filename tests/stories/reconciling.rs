//! An operator sees to payments: what the channel's bill says, what was refused, what no game server was told, and what is
//! sold.

use serde_json::{Value, json};

use crate::support::{Platform, Shape, Shop, Studio, eventually, in_both_shapes};

in_both_shapes!(
    a_bill_is_compared_with_orders_while_the_platform_runs,
    a_kept_callback_is_judged_again,
    dead_letters_are_found_and_sent_again_from_the_shell_and_through_the_admin_api,
    the_catalogue_and_the_orders_of_an_app_are_looked_through,
);

/// The exit status, and what was printed.
async fn pay(platform: &Platform, arguments: &[&str]) -> (Option<i32>, String) {
    let output = platform.run_pay(arguments).await;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

async fn a_bill_is_compared_with_orders_while_the_platform_runs(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let (first, second) = (shop.create(&ann, "k-1").await, shop.create(&ann, "k-2").await);
    for order_id in [&first, &second] {
        shop.pay(order_id).await;
        shop.is(order_id, "delivered").await;
    }
    let header = "order_id,channel_order_id,amount,currency,kind\n";
    let line = |order_id: &str| format!("{order_id},sandbox-{order_id},6.00,CNY,payment\n");
    std::fs::write(platform.directory().join("whole.csv"), [header, &line(&first), &line(&second)].concat()).unwrap();
    let stranger = "X,another,6.00,CNY,payment\n";
    std::fs::write(platform.directory().join("other.csv"), [header, &line(&first), stranger].concat()).unwrap();

    let app_id = platform.app().app_id.to_string();
    // When the sandbox says that it was paid: `date -d @1750000001`.
    let of_day = ["reconcile", "--channel", "sandbox", "--app-id", &app_id, "--day", "2025-06-15", "--json", "--bill"];
    for _ in 0..2 {
        let (status, report) = pay(&platform, &[&of_day[..], &["whole.csv"]].concat()).await;
        let report: Value = serde_json::from_str(&report).unwrap();
        assert_eq!((status, &report["bill"]), (Some(0), &json!({ "matched": 2 })));
        assert_eq!(report["totals"]["CNY"]["paid_here"], 1200);
    }
    let (status, report) = pay(&platform, &[&of_day[..], &["other.csv"]].concat()).await;
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((status, &report["bill"]), (Some(1), &json!({ "matched": 1, "missing_here": 1 })));
    assert_eq!(report["books"], json!({ "missing_there": 1 }));
    assert_eq!(report["differences"][1]["order_id"], second);
}

async fn a_kept_callback_is_judged_again(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let order_id = shop.create(&ann, "k-1").await;
    let mut wrong = Shop::payment(&order_id);
    wrong["amount"] = json!(300);
    assert_eq!(shop.call_back(&wrong).await, Some((400, "FAIL".to_owned())));
    shop.pay(&order_id).await;
    shop.is(&order_id, "delivered").await;
    let events = shop.events(&order_id).await;
    for arguments in [&["--dry-run"][..], &[]] {
        let (status, replayed) = pay(&platform, &[&["replay", "--order", &order_id], arguments].concat()).await;
        let replayed: Value = serde_json::from_str(&replayed).unwrap();
        assert_eq!((status, replayed.as_array().unwrap().len()), (Some(0), 2));
        assert_eq!((&replayed[0]["verdict_then"], &replayed[1]["verdict_then"]), (&json!("amount"), &json!("paid")));
        assert_eq!((&replayed[1]["verdict"], &replayed[1]["outcome"]), (&json!("repeated"), &json!("accepted")));
    }
    assert_eq!(shop.events(&order_id).await, events, "nothing was counted twice");
    assert_eq!(studio.deliveries_of(&order_id).len(), 1);
}

async fn dead_letters_are_found_and_sent_again_from_the_shell_and_through_the_admin_api(shape: Shape) {
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
    let app = format!("/admin/v1/apps/{}", platform.app().app_id);
    let page = shop.admin().get(&format!("{app}/dead-letters?limit=1")).await.ok();
    assert_eq!(
        (&page["dead_letters"][0]["order_id"], &page["dead_letters"][0]["last_status"]),
        (&json!(first), &json!(404))
    );
    let rest = shop.admin().get(&format!("{app}/dead-letters?cursor={}", page["next"].as_str().unwrap())).await.ok();
    assert_eq!((&rest["dead_letters"][0]["order_id"], &rest["next"]), (&json!(second), &Value::Null));
    let (status, listed) = pay(&platform, &["dead-letters"]).await;
    assert_eq!((status, listed.lines().count()), (Some(0), 2));

    studio.answer(200, "SUCCESS");
    let app_id = platform.app().app_id.to_string();
    let (status, sent) = pay(&platform, &["redeliver", "--app-id", &app_id, "--order", &first]).await;
    assert_eq!((status, &*sent), (Some(0), "{\"redelivered\":1,\"refused\":[]}\n"));
    shop.is(&first, "delivered").await;
    let again = json!({ "state": "dead", "reason": "the game is back" });
    assert_eq!(shop.admin().post(&format!("{app}/redeliver"), &again).await.ok()["redelivered"], 1);
    shop.is(&second, "delivered").await;
    assert_eq!(shop.admin().post(&format!("{app}/redeliver"), &again).await.ok()["redelivered"], 0);
    shop.admin().post(&format!("{app}/redeliver"), &json!({ "state": "dead", "limit": 501 })).await.refused(4_000_001);
    let of_app = format!("/admin/v1/audit?target_kind=app&target_id={app_id}&limit=2");
    let audit = shop.admin().get(&of_app).await.ok();
    assert_eq!(audit["records"][1]["action"], "app.redeliver");
    assert_eq!(audit["records"][1]["details"]["redelivered"], 1);
}

async fn the_catalogue_and_the_orders_of_an_app_are_looked_through(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let (paid, unpaid) = (shop.create(&ann, "k-1").await, shop.create(&ann, "k-2").await);
    shop.pay(&paid).await;
    shop.is(&paid, "delivered").await;
    let app = format!("/admin/v1/apps/{}", platform.app().app_id);
    let orders = async |query: &str| {
        let page = shop.admin().get(&format!("{app}/orders?{query}")).await.ok();
        let orders = page["orders"].as_array().unwrap().iter().map(|order| order["order_id"].clone());
        (orders.collect::<Vec<_>>(), page["next"].clone())
    };
    assert_eq!(orders("state=delivered").await, (vec![json!(paid)], Value::Null));
    let account_id = ann.tokens.account_id;
    assert_eq!(orders(&format!("account_id={account_id}&state=created")).await, (vec![json!(unpaid)], Value::Null));
    let (newest, next) = orders("limit=1").await;
    assert_eq!((newest, &next), (vec![json!(unpaid)], &json!(unpaid)));
    assert_eq!(orders(&format!("limit=1&cursor={unpaid}")).await, (vec![json!(paid)], Value::Null));
    assert_eq!(orders("until=1").await, (vec![], Value::Null));
    shop.admin().get(&format!("{app}/orders?state=lost")).await.refused(4_000_001);

    let products = shop.admin().get(&format!("{app}/products")).await.ok();
    assert_eq!(products["products"][0]["prices"], json!({ "CNY": 600, "USD": 99 }));
    let gems = format!("{app}/products/gems60");
    assert_eq!(shop.admin().get(&gems).await.ok()["name"], "60 Gems");
    shop.admin().delete(&gems).await.ok();
    shop.admin().get(&gems).await.refused(4_040_303);
    shop.admin().delete(&gems).await.refused(4_040_303);
    shop.try_create(&ann, "k-3", &Shop::wish()).await.refused(4_000_001);
    let of_app = format!("/admin/v1/audit?target_kind=app&target_id={}&limit=1", platform.app().app_id);
    let audit = shop.admin().get(&of_app).await.ok();
    assert_eq!(
        (&audit["records"][0]["action"], &audit["records"][0]["details"]["product_id"]),
        (&json!("app.delete_product"), &json!("gems60"))
    );
    shop.pay(&unpaid).await;
    shop.is(&unpaid, "delivered").await;
}

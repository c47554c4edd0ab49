//! By which doors payments come in: not the sandbox's where there is real money, and all of them on a gateway of their own.

use aws_lc_rs::digest;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Platform, Shape, Shop, Studio, in_one_process};

in_one_process!(
    the_sandbox_is_refused_in_production,
    callbacks_can_be_served_apart,
    a_channel_that_is_described_as_data_is_paid_through_and_keeps_its_secret,
);

const KEY: &str = "a key that the store has given us";

async fn the_sandbox_is_refused_in_production(shape: Shape) {
    let builder = Platform::build(shape).set("environment", "production").set("operator.admin_token", &"t".repeat(32));
    let builder = builder.set("account.master_key", &"5a".repeat(32)).set("sql.url", "sqlite://story.db");
    let platform = builder.start().await;
    let path = format!("/v1/pay/callbacks/sandbox/{}", platform.app().app_id);
    platform.client().post(&path, &json!({})).await.refused(4_040_302);
}

async fn callbacks_can_be_served_apart(shape: Shape) {
    let platform = Platform::build(shape).set("gateway.routes", r#"["pay"]"#).start().await;
    let path = format!("/v1/pay/callbacks/sandbox/{}", platform.app().app_id);
    let request = platform.client().request(Method::POST, &path).body("{}");
    let answer = platform.client().exchange(request).await.unwrap();
    assert_eq!((answer.status, &*answer.text), (400, "FAIL"));
    platform.client().post("/v1/sdk/register", &json!({})).await.refused(4_040_001);
}

/// A store that signs the sorted parameters of its notices with a key behind them.
fn store() -> Value {
    json!({
        "kind": "manifest",
        "manifest": {
            "documentation": "the store of this story",
            "source": "query_or_form",
            "signature": {
                "at": { "parameter": "sign" }, "algorithm": "sha256", "order": "sorted", "suffix": "&key={key}",
            },
            "merchant": { "appid": "app_id" },
            "success": { "status": ["paid"] },
            "fields": {
                "order_id": "cp_order", "channel_order_id": "order",
                "amount": { "parameter": "money", "unit": "yuan" }, "currency": { "fixed": "CNY" },
            },
            "acknowledge": {
                "accepted": { "body": "ok" },
                "refused": { "status": 400, "body": "no" },
                "come_back_later": { "status": 503, "content_type": "text/plain", "body": "later" },
            },
        },
        "merchant": { "app_id": "4711" },
        "secrets": { "key": KEY },
    })
}

/// A notice of the store, as a query or form.
fn notice(order_id: &str, money: &str) -> String {
    let content = format!("appid=4711&cp_order={order_id}&money={money}&order=s-{order_id}&status=paid");
    let signed = digest::digest(&digest::SHA256, format!("{content}&key={KEY}").as_bytes());
    format!("{content}&sign={}", hex::encode(signed))
}

async fn a_channel_that_is_described_as_data_is_paid_through_and_keeps_its_secret(shape: Shape) {
    let (platform, studio) = (Platform::start(shape).await, Studio::start().await);
    let (shop, ann) = (Shop::open(&platform, &studio).await, platform.register("ann").await);
    let app_id = platform.app().app_id;
    let path = format!("/admin/v1/apps/{app_id}/channels/mystore");
    let shown = shop.admin().put(&path, &store()).await.ok();
    assert_eq!((&shown["version"], &shown["pay"]["secrets"]["key"]), (&json!(1), &json!("***")));
    // What is shown can be sent back: the secret stays.
    assert_eq!(shop.admin().put(&path, &shown["pay"]).await.ok()["version"], 2);
    let list = shop.admin().get(&format!("/admin/v1/apps/{app_id}/channels")).await.ok();
    assert_eq!(list["channels"][0]["channel"], "mystore");
    assert!(!list.to_string().contains(KEY) && !platform.logs().contains(KEY), "the secret is out");
    let mut broken = store();
    broken["manifest"]["signature"]["algorithm"] = json!("crc32");
    assert_eq!(shop.admin().put(&path, &broken).await.refused(4_000_001).status, 400);

    let mut wish = Shop::wish();
    wish["channel"] = json!("mystore");
    let order = shop.try_create(&ann, "k-1", &wish).await.ok();
    let callback = order["pay_params"]["callback_path"].as_str().unwrap().to_owned();
    let order_id = order["order_id"].as_str().unwrap();
    assert_eq!((&order["state"], &order["pay_params"]["out_trade_no"]), (&json!("paying"), &json!(order_id)));

    let post = async |form: String| {
        let request = platform.client().request(Method::POST, &callback);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        let answer = platform.client().exchange(request).await.unwrap();
        (answer.status, answer.text)
    };
    assert_eq!(post(notice(order_id, "0.01")).await, (400, "no".to_owned()));
    assert_eq!(post(notice(order_id, "6.00").replace("4711", "4712")).await, (400, "no".to_owned()));
    let by_get = platform.client().request(Method::GET, &format!("{callback}?{}", notice(order_id, "6.00")));
    let by_get = platform.client().exchange(by_get).await.unwrap();
    assert_eq!((by_get.status, &*by_get.text), (200, "ok"));
    assert_eq!(post(notice(order_id, "6.00")).await, (200, "ok".to_owned()));
    assert_eq!(studio.is_told_of(order_id).await["amount"], 600);
    shop.is(order_id, "delivered").await;
    let expected = ["created", "payment_started", "refused_payment", "paid", "delivery_started", "acknowledged"];
    assert_eq!(shop.events(order_id).await, expected);
}

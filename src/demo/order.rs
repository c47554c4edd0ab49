//! A player buys something, and a game server is told.

use anyhow::{Context, ensure};
use aws_lc_rs::hmac;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::oneshot,
};

use super::show::{Proof, Shown};
use crate::first_run::DemoApp;

/// The operator listener, and what opens it.
#[derive(Clone)]
pub(crate) struct Operator {
    pub(crate) base: String,
    pub(crate) token: String,
}

/// Puts a product on sale, buys it, pays for it in the sandbox, and waits for the delivery.
pub(super) async fn buy(
    shown: &mut Shown,
    demo: &DemoApp,
    operator: &Operator,
    access_token: &str,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/deliveries", listener.local_addr()?);
    let (told, delivery) = oneshot::channel();
    let bought = async {
        let (answer, delivered) = tokio::join!(purchase(shown, demo, operator, access_token, &url), delivery);
        let order_id = answer?;
        let delivered: String = delivered.context("the game server is told of the order")?;
        shown.title("... and the game server is told, signed with the app's secret, and answers SUCCESS");
        shown.show(&delivered);
        let body = delivered.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: Value = serde_json::from_str(body).context("a delivery is JSON")?;
        ensure!(body["order_id"] == *order_id, "the delivery should be of {order_id}");
        is_delivered(shown, access_token, &order_id).await
    };
    let serving = async {
        let delivery = take_delivery(&listener).await?;
        // Nobody waits any more only if the purchase has failed, which is told by itself.
        let _ = told.send(delivery);
        Ok::<(), anyhow::Error>(())
    };
    let (bought, served) =
        tokio::join!(bought, async { tokio::time::timeout(std::time::Duration::from_secs(20), serving).await });
    bought?;
    served.context("the game server was not told in time")?
}

async fn purchase(
    shown: &mut Shown,
    demo: &DemoApp,
    operator: &Operator,
    access_token: &str,
    url: &str,
) -> anyhow::Result<String> {
    let app = format!("/admin/v1/apps/{}", demo.app_id);
    shown.title("An operator says where orders are delivered to, and puts a product on sale");
    let public = shown.speak_to(operator.base.clone());
    let token = Proof::Bearer(&operator.token);
    shown.send(Method::PATCH, &app, token, Some(json!({ "delivery_url": url })), 200).await?;
    let product = json!({ "name": "60 Gems", "prices": { "CNY": 600 } });
    shown.send(Method::PUT, &format!("{app}/products/gems60"), token, Some(product), 200).await?;
    shown.speak_to(public);

    shown.title("The player orders it");
    let wish = json!({ "product_id": "gems60", "amount": 600, "currency": "CNY",
        "role_id": "role-7", "server_id": "s-3", "extension": "" });
    let headers =
        vec![("Content-Type", "application/json".to_owned()), ("Idempotency-Key", "demo-purchase-1".to_owned())];
    let proof = Proof::Bearer(access_token);
    let order = shown.send_raw(Method::POST, "/v1/sdk/orders", proof, headers, wish.to_string(), 200).await?;
    let order_id = order.text("order_id")?.to_owned();

    shown.title("The sandbox says that it was paid");
    let payment = json!({ "order_id": order_id, "channel_order_id": "t-1", "amount": 600, "currency": "CNY",
        "paid_at": 1_796_006_096_000_i64 })
    .to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, demo.app_secret.as_bytes());
    let signature = hex::encode(hmac::sign(&key, payment.as_bytes()));
    let headers = vec![("Content-Type", "application/json".to_owned()), ("X-Signature", signature)];
    let callback = format!("/v1/pay/callbacks/sandbox/{}", demo.app_id);
    shown.send_raw(Method::POST, &callback, Proof::None, headers, payment, 200).await?;
    Ok(order_id)
}

/// The acknowledgement is in the books a moment after it was given.
async fn is_delivered(shown: &mut Shown, access_token: &str, order_id: &str) -> anyhow::Result<()> {
    let target = format!("/v1/sdk/orders/{order_id}");
    shown.title("The player looks at the order");
    for _ in 0..50 {
        let order = shown.send(Method::GET, &target, Proof::Bearer(access_token), None, 200).await?;
        if order.expect("state", "delivered").is_ok() {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("the order should be delivered")
}

/// A game server for one request: takes it and answers as the contract wants.
async fn take_delivery(listener: &TcpListener) -> anyhow::Result<String> {
    let (mut socket, _) = listener.accept().await?;
    let mut seen = Vec::new();
    while !seen.ends_with(b"}") {
        ensure!(socket.read_buf(&mut seen).await? > 0, "the delivery breaks off");
    }
    socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nSUCCESS").await?;
    Ok(String::from_utf8(seen)?)
}

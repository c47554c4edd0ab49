//! An app that sells something: its catalogue, its orders, and the sandbox that pays for them.

use aws_lc_rs::hmac;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Admin, Answer, App, Client, Platform, Player, Studio, eventually};

/// A shop with one product, `gems60`, for 6.00 CNY or 0.99 USD.
#[derive(Clone)]
pub(crate) struct Shop {
    client: Client,
    admin: Admin,
    app: App,
}

impl Shop {
    /// Opens the shop of the platform's app; deliveries go to `studio`.
    pub(crate) async fn open(platform: &Platform, studio: &Studio) -> Self {
        Self::open_for(platform, platform.app().clone(), studio).await
    }

    /// The same for another app.
    pub(crate) async fn open_for(platform: &Platform, app: App, studio: &Studio) -> Self {
        let shop = Self { client: platform.client().clone(), admin: platform.admin(), app };
        let app_id = shop.app.app_id;
        studio.knows(app_id, &shop.app.app_secret);
        let (path, url) = (format!("/admin/v1/apps/{app_id}"), studio.url());
        shop.admin.patch(&path, &json!({ "delivery_url": url })).await.ok();
        let product = json!({ "name": "60 Gems", "prices": { "CNY": 600, "USD": 99 } });
        shop.admin.put(&format!("{path}/products/gems60"), &product).await.ok();
        shop
    }

    pub(crate) fn admin(&self) -> &Admin {
        &self.admin
    }

    /// What a player asks for who wants `gems60`.
    pub(crate) fn wish() -> Value {
        json!({
            "product_id": "gems60", "amount": 600, "currency": "CNY",
            "role_id": "role-7", "server_id": "s-3", "extension": "from=shop&夏=1",
        })
    }

    pub(crate) async fn try_create(&self, player: &Player, key: &str, wish: &Value) -> Answer {
        self.client.send(self.create_request(player, key, wish)).await
    }

    pub(crate) fn create_request(&self, player: &Player, key: &str, wish: &Value) -> RequestBuilder {
        let request = self.client.request(Method::POST, "/v1/sdk/orders").bearer_auth(&player.tokens.access_token);
        request.header("idempotency-key", key).json(wish)
    }

    /// Makes an order and expects it to be made; its number.
    pub(crate) async fn create(&self, player: &Player, key: &str) -> String {
        let order = self.try_create(player, key, &Self::wish()).await.ok();
        order["order_id"].as_str().unwrap().to_owned()
    }

    /// An order as the player sees it.
    pub(crate) async fn look(&self, player: &Player, order_id: &str) -> Answer {
        let request = self.client.request(Method::GET, &format!("/v1/sdk/orders/{order_id}"));
        self.client.send(request.bearer_auth(&player.tokens.access_token)).await
    }

    /// An order as an operator sees it.
    pub(crate) async fn describe(&self, order_id: &str) -> Value {
        self.admin.get(&format!("/admin/v1/orders/{order_id}")).await.ok()
    }

    /// Waits until the order is in this state.
    pub(crate) async fn is(&self, order_id: &str, state: &str) {
        eventually("the order comes to its state", || async {
            (self.describe(order_id).await["state"] == state).then_some(())
        })
        .await;
    }

    /// Everything that happened to an order, in order.
    pub(crate) async fn events(&self, order_id: &str) -> Vec<String> {
        let order = self.describe(order_id).await;
        order["journal"].as_array().unwrap().iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect()
    }

    /// What the sandbox says when an order was paid as it should be.
    pub(crate) fn payment(order_id: &str) -> Value {
        json!({
            "order_id": order_id, "channel_order_id": format!("sandbox-{order_id}"),
            "amount": 600, "currency": "CNY", "paid_at": 1_750_000_001_000_i64,
        })
    }

    /// The sandbox says something; `None`: nobody was there to hear it.
    pub(crate) async fn call_back(&self, payment: &Value) -> Option<(u16, String)> {
        self.call_back_signed(payment, &self.app.app_secret).await
    }

    pub(crate) async fn call_back_signed(&self, payment: &Value, secret: &str) -> Option<(u16, String)> {
        let body = payment.to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hex::encode(hmac::sign(&key, body.as_bytes()));
        let path = format!("/v1/pay/callbacks/sandbox/{}", self.app.app_id);
        let request = self.client.request(Method::POST, &path).header("content-type", "application/json");
        let request = request.header("x-signature", signature).body(body);
        let answer = self.client.exchange(request).await.ok()?;
        Some((answer.status, answer.text))
    }

    /// Pays for an order and expects the platform to have taken it.
    pub(crate) async fn pay(&self, order_id: &str) {
        let answer = self.call_back(&Self::payment(order_id)).await;
        assert_eq!(answer, Some((200, "SUCCESS".to_owned())));
    }
}

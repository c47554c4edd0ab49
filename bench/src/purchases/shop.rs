//! Players who buy, and the sandbox channel that says that they have paid.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::{closed_loop::gather, game_server::GameServer};
use crate::{
    caller::{Answer, Attempt, Caller},
    client::Request,
    platform::Platform,
    scenario,
    signing::App,
};

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open shop. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Shop(Arc<Opened>);

#[derive(Debug)]
struct Opened {
    caller: Caller,
    app: App,
    game: GameServer,
    /// Of players, who buy in turn.
    tokens: Vec<String>,
    sold: AtomicUsize,
}

impl Shop {
    /// Puts the product into the catalogue and registers the players.
    pub(super) fn open(platform: &Platform, game: GameServer) -> Result<Self> {
        let app_path = format!("/admin/v1/apps/{}", platform.app.app_id);
        let product = json!({ "name": "60 Gems", "prices": { "CNY": 600 } });
        platform.administer_with("PATCH", &app_path, &json!({ "delivery_url": game.url() }))?;
        platform.administer_with("PUT", &format!("{app_path}/products/gems60"), &product)?;
        let tokens = scenario::tokens_of_players(platform)?;
        let (caller, app) = (Caller::new(&platform.address)?, platform.app.clone());
        Ok(Self(Arc::new(Opened { caller, app, game, tokens, sold: AtomicUsize::new(0) })))
    }

    pub(super) fn game(&self) -> &GameServer {
        &self.0.game
    }

    /// Somebody orders: the order, and how long that took.
    pub(super) async fn order(self) -> Result<(String, Duration)> {
        let number = self.0.sold.fetch_add(1, Ordering::Relaxed);
        let token = &self.0.tokens[number % self.0.tokens.len()];
        let mut request = Request::post_json("/v1/sdk/orders", &wish());
        request.headers.push(("Authorization", format!("Bearer {token}")));
        request.headers.push(("Idempotency-Key", format!("bench-{number}")));
        let (answer, took) = self.ask(&request).await?;
        let answer: Value = serde_json::from_str(&answer.body)?;
        let order_id = answer["data"]["order_id"].as_str().context("an order has no number")?;
        Ok((order_id.to_owned(), took))
    }

    /// So many orders that nobody has paid for.
    pub(super) async fn orders(&self, count: usize, at_once: usize) -> Result<Vec<String>> {
        gather(count, at_once, self.clone(), Self::order).await
    }

    /// The channel says that an order is paid, and is told that all is well: how long that took.
    pub(super) async fn acknowledge(self, order_id: String) -> Result<Duration> {
        let (answer, took) = self.ask(&self.callback(&order_id)).await?;
        ensure!(answer.body == "SUCCESS", "a payment was answered {answer:?}");
        Ok(took)
    }

    /// The same, and the game server hears of it: how long it took until then.
    pub(super) async fn deliver(self, order_id: String) -> Result<Duration> {
        let (heard, began) = (self.0.game.hears_of(&order_id), Instant::now());
        self.acknowledge(order_id).await?;
        Ok(heard.await?.duration_since(began))
    }

    async fn ask(&self, request: &Request) -> Result<(Answer, Duration)> {
        let Attempt { took, outcome } = self.0.caller.send(request, PATIENCE).await;
        let answer = outcome.map_err(|failure| anyhow!("{} failed: {failure:?}", request.path))?;
        ensure!(answer.status == 200, "{} was answered {answer:?}", request.path);
        Ok((answer, took))
    }

    fn callback(&self, order_id: &str) -> Request {
        let App { app_id, app_secret } = &self.0.app;
        let payment = json!({
            "order_id": order_id, "channel_order_id": format!("sandbox-{order_id}"), "amount": 600, "currency": "CNY",
            "paid_at": 1_750_000_001_000_i64,
        });
        let mut request = Request::post_json(format!("/v1/pay/callbacks/sandbox/{app_id}"), &payment);
        let key = hmac::Key::new(hmac::HMAC_SHA256, app_secret.as_bytes());
        request.headers.push(("X-Signature", hex::encode(hmac::sign(&key, request.body.as_bytes()))));
        request
    }
}

fn wish() -> Value {
    json!({
        "product_id": "gems60", "amount": 600, "currency": "CNY", "role_id": "role-7", "server_id": "s-3",
        "extension": "from=shop",
    })
}

//! Google, as far as payments see it: published keys, access tokens, purchases and their acknowledgement, and signed pushes.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex, MutexGuard},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use common::clock::Timestamp;
use idl::pay::{HandleCallbackRequest, Header};
use serde_json::{Value, json};

use super::{APP, Asked, HttpServer};
use crate::channels::testing::RsaSigner;

const PACKAGE: &str = "com.example.game";
const AUDIENCE: &str = "https://pay.example.com/v1/pay/callbacks/google_play/1001";
const PUSHER: &str = "push@example.iam.gserviceaccount.com";

/// The key file of a service account, and what is secret in it.
static KEY_FILE: LazyLock<Value> = LazyLock::new(|| {
    let vectors = include_str!("../channels/vectors/service_account.json");
    serde_json::from_str::<Value>(vectors).expect("JSON")["key_file"].clone()
});

/// Making a key takes a while: every test has the same two.
static SIGNERS: LazyLock<[RsaSigner; 2]> = LazyLock::new(|| [RsaSigner::new(), RsaSigner::new()]);

/// A running Google; it ends with this value.
pub(crate) struct FakeGoogle {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

/// What is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    Keys,
    Token,
    Purchase,
    Acknowledge,
}

#[derive(Default)]
struct State {
    /// Which of the signers is in use and published.
    signer: usize,
    /// Answered in place of what would be; status 0 is none at all.
    instead: HashMap<Door, (u16, String)>,
    asked: HashMap<Door, usize>,
    tokens: usize,
    /// So many of them, from the first on, are good no longer.
    forgotten: usize,
    /// By purchase token.
    purchases: HashMap<String, Value>,
}

impl FakeGoogle {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let answering = Arc::clone(&state);
        let server = HttpServer::start(move |asked| lock(&answering).answer(asked)).await;
        Self { server, state }
    }

    /// A channel whose Google is this one.
    pub(crate) fn config(&self) -> Value {
        json!({
            "kind": "google_play", "package_name": PACKAGE, "push_audience": AUDIENCE,
            "push_service_account": PUSHER, "subscription": "projects/example/subscriptions/play",
            "api": self.server.url(""), "keys_url": self.server.url("/keys"), "token_url": self.server.url("/token"),
            "secrets": { "service_account": *KEY_FILE },
        })
    }

    /// What must be shown nowhere, besides access tokens and purchase tokens.
    pub(crate) fn private_key() -> String {
        KEY_FILE["private_key"].as_str().expect("a text").to_owned()
    }

    /// From now on a door answers this; `None`: what it should.
    pub(crate) fn answer(&self, door: Door, instead: Option<(u16, &str)>) {
        let mut state = lock(&self.state);
        state.instead.remove(&door);
        state.instead.extend(instead.map(|(status, body)| (door, (status, body.to_owned()))));
    }

    /// How often a door was asked.
    pub(crate) fn asked(&self, door: Door) -> usize {
        lock(&self.state).asked.get(&door).copied().unwrap_or_default()
    }

    /// For how long its keys may be kept.
    pub(crate) fn keys_may_be_kept(&self, cache_control: &str) {
        self.server.answer_with_header("cache-control", cache_control);
    }

    /// Another key from now on; the one before is no longer published.
    pub(crate) fn rotate_keys(&self) {
        let mut state = lock(&self.state);
        state.signer = 1 - state.signer;
    }

    /// Access tokens that it has given out are good no longer.
    pub(crate) fn forget_tokens(&self) {
        let mut state = lock(&self.state);
        state.forgotten = state.tokens;
    }

    /// Somebody buys `gems60` for an order of ours.
    pub(crate) fn sells(&self, purchase_token: &str, order_id: &str) {
        let purchase = json!({
            "kind": "androidpublisher#productPurchase", "purchaseTimeMillis": "1750000000000", "purchaseState": 0,
            "consumptionState": 0, "acknowledgementState": 0, "orderId": format!("GPA.{purchase_token}"),
            "obfuscatedExternalProfileId": order_id, "regionCode": "US",
        });
        lock(&self.state).purchases.insert(purchase_token.to_owned(), purchase);
    }

    /// Something about a purchase is otherwise.
    pub(crate) fn change(&self, purchase_token: &str, field: &str, value: Value) {
        lock(&self.state).purchases.get_mut(purchase_token).expect("sold")[field] = value;
    }

    pub(crate) fn is_acknowledged(&self, purchase_token: &str) -> bool {
        lock(&self.state).purchases[purchase_token]["acknowledgementState"] == json!(1)
    }

    /// The last request at a door.
    pub(crate) fn last_asked(&self, door: Door) -> Asked {
        self.server.received().into_iter().rfind(|asked| Door::of(asked) == door).expect("asked")
    }

    /// A push about a purchase of this product.
    pub(crate) fn push_sold(&self, now: Timestamp, purchase_token: &str, sku: &str) -> HandleCallbackRequest {
        let sold = json!({ "version": "1.0", "notificationType": 1, "purchaseToken": purchase_token, "sku": sku });
        self.push(now, PACKAGE, json!({ "oneTimeProductNotification": sold }))
    }

    /// A push about a purchase that was taken back.
    pub(crate) fn push_voided(&self, now: Timestamp, purchase_token: &str) -> HandleCallbackRequest {
        let voided = json!({
            "purchaseToken": purchase_token, "orderId": format!("GPA.{purchase_token}"), "productType": 2,
            "refundType": 1,
        });
        self.push(now, PACKAGE, json!({ "voidedPurchaseNotification": voided }))
    }

    /// Any push, signed with the key that is in use.
    pub(crate) fn push(&self, now: Timestamp, package: &str, mut notification: Value) -> HandleCallbackRequest {
        let seconds = now.as_millis() / 1000;
        notification["version"] = json!("1.0");
        notification["packageName"] = json!(package);
        notification["eventTimeMillis"] = json!(now.to_string());
        let claims = json!({
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "email": PUSHER, "email_verified": true,
            "iat": seconds, "exp": seconds + 3600,
        });
        let signer = lock(&self.state).signer;
        let token = SIGNERS[signer].token(&json!({ "alg": "RS256", "kid": kid(signer) }), &claims);
        let body = json!({
            "message": { "data": BASE64_STANDARD.encode(notification.to_string()), "messageId": "1" },
            "subscription": "projects/example/subscriptions/play",
        });
        HandleCallbackRequest {
            channel: "google_play".into(),
            app_id: APP,
            method: "POST".into(),
            path: "/v1/pay/callbacks/google_play/1001".into(),
            query: "".into(),
            headers: vec![Header { name: "authorization".into(), value: format!("Bearer {token}").into() }],
            body: body.to_string().into_bytes().into(),
        }
    }
}

impl Door {
    fn of(asked: &Asked) -> Self {
        let line = asked.head.lines().next().unwrap_or_default();
        match line {
            _ if line.starts_with("GET /keys ") => Self::Keys,
            _ if line.starts_with("POST /token ") => Self::Token,
            _ if line.starts_with("POST ") && line.contains(":acknowledge ") => Self::Acknowledge,
            _ if line.starts_with("GET /androidpublisher/v3/applications/com.example.game/purchases/products/") => {
                Self::Purchase
            }
            _ => panic!("Google has no such door: {line}"),
        }
    }
}

impl State {
    fn answer(&mut self, asked: &Asked) -> (u16, String) {
        let door = Door::of(asked);
        *self.asked.entry(door).or_default() += 1;
        if let Some(instead) = self.instead.get(&door) {
            return instead.clone();
        }
        match door {
            Door::Keys => (200, SIGNERS[self.signer].key_set(kid(self.signer)).to_string()),
            Door::Token => {
                assert!(asked.body.starts_with("grant_type=urn%3Aietf%3A"), "{}", asked.body);
                self.tokens += 1;
                let token = json!({ "access_token": token(self.tokens), "expires_in": 3599, "token_type": "Bearer" });
                (200, token.to_string())
            }
            Door::Purchase | Door::Acknowledge if !self.lets_in(&asked.header("authorization")) => {
                (401, r#"{"error":{"code":401}}"#.to_owned())
            }
            Door::Purchase | Door::Acknowledge => {
                let path = asked.head.split(' ').nth(1).unwrap_or_default();
                let purchase = path.rsplit('/').next().unwrap_or_default().trim_end_matches(":acknowledge");
                match self.purchases.get_mut(&purchase.replace("%2D", "-")) {
                    Some(purchase) if door == Door::Purchase => (200, purchase.to_string()),
                    Some(purchase) => {
                        purchase["acknowledgementState"] = json!(1);
                        (200, String::new())
                    }
                    None => (404, r#"{"error":{"code":404}}"#.to_owned()),
                }
            }
        }
    }

    fn lets_in(&self, authorization: &str) -> bool {
        (self.forgotten + 1..=self.tokens).any(|number| authorization == format!("Bearer {}", token(number)))
    }
}

fn token(number: usize) -> String {
    format!("ya29.s3cret-{number}")
}

fn kid(signer: usize) -> &'static str {
    ["key-0", "key-1"][signer]
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("not poisoned")
}

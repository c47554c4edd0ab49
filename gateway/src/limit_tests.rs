//! Limits by who asks, at the endpoints. The other roles are away: who is let in is told 503, who is not 429.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
};

use common::{
    clock::{SystemRandom, testing::ManualClock},
    discovery::{StaticConfig, StaticList},
    governance::{
        Governance, Rules,
        limits::{Limits, LimitsParts},
        shedding::Gates,
    },
    http::ClientAddress,
    lifecycle::RequestTasks,
    rpc::{ClientConfig, ClientMetrics, ClientParts, Transport, account_client, pay_client, setting_client},
    shared::{MemoryState, SharedConfig},
};
use motore::Service;
use prometheus::Registry;
use serde_json::Value;
use volo::{context::Context, net::Address};
use volo_http::{
    body::{Body, BodyConversion},
    context::ServerContext,
    request::Request,
};

use crate::{
    Config, Endpoints, Parts, SettingsCopy, Upstream,
    routes::endpoints,
    token_copy::testing::{APP, token, tokens},
};

const HERE: &str = "203.0.113.1";
const ELSEWHERE: &str = "198.51.100.1";

/// A gateway whose other roles are away.
fn gateway(rules: &str) -> Endpoints {
    let (registry, clock) = (Registry::new(), Arc::new(ManualClock::default()));
    let governance = Governance::new(Rules::parse(rules).expect("valid rules"));
    let parts = ClientParts {
        caller: "gateway",
        random: Arc::new(SystemRandom),
        metrics: ClientMetrics::register(&registry).expect("new"),
        governance: governance.clone(),
    };
    let (config, nobody) = (ClientConfig::default(), Arc::new(StaticList::new(&StaticConfig::default())));
    let upstream = Upstream {
        account: account_client(Transport::Wire(nobody.clone()), &config, &parts),
        setting: setting_client(Transport::Wire(nobody.clone()), &config, &parts),
        pay: pay_client(Transport::Wire(nobody), &config, &parts),
    };
    let (config, tasks) = (Config::default(), RequestTasks::default());
    let settings = SettingsCopy::new(&config, upstream.setting.clone(), clock.clone(), tasks.clone(), &registry);
    let shared = Arc::new(MemoryState::new(SharedConfig::default(), clock.clone()));
    let gates = Gates::new(governance.clone(), Arc::new(SystemRandom), &registry).expect("new");
    let gate = gates.open("gateway");
    let limits = LimitsParts {
        governance,
        shared: shared.clone(),
        replicas: NonZeroU32::MIN,
        tasks: tasks.clone(),
        random: Arc::new(SystemRandom),
        spares_loopback: false,
    };
    let limits = Limits::new(limits, &registry).expect("new");
    let settings = settings.expect("new");
    let parts = Parts { upstream, tokens: tokens(), settings, shared, limits, clock, tasks, events: None, gate };
    endpoints(&config, parts)
}

async fn ask(endpoints: &Endpoints, from: &str, request: http::request::Builder, body: String) -> (u16, Value) {
    let address: IpAddr = from.parse().expect("an address");
    let mut cx = ServerContext::new(Address::from(SocketAddr::new(address, 4711)));
    cx.extensions_mut().insert(ClientAddress(address));
    let request: Request = request.body(Body::from(body)).expect("a request");
    let answer = endpoints.call(&mut cx, request).await.expect("an answer");
    let status = answer.status().as_u16();
    let (head, body) = answer.into_parts();
    let told = ["ratelimit", "ratelimit-policy", "retry-after"].map(|name| head.headers.contains_key(name));
    assert!(status != 429 || told == [true; 3], "{:?}", head.headers);
    (status, serde_json::from_slice(&body.into_bytes().await.expect("a body")).expect("JSON"))
}

async fn me(endpoints: &Endpoints, from: &str, token: &str) -> (u16, Option<i64>) {
    let request = Request::builder().uri("/v1/sdk/me").header("authorization", format!("Bearer {token}"));
    let (status, body) = ask(endpoints, from, request, String::new()).await;
    (status, body["code"].as_i64())
}

async fn sign_in(endpoints: &Endpoints, path: &str, from: &str, device: &str) -> (u16, Option<i64>) {
    let request = Request::builder().method("POST").uri(path).header("content-type", "application/json");
    let body = serde_json::json!({
        "app_id": APP, "kind": "password", "username": "ann", "password": "correct horse", "device_id": device,
        "phone": "+8613812345678", "scene": "login",
    });
    let (status, body) = ask(endpoints, from, request, body.to_string()).await;
    (status, body["code"].as_i64())
}

const LET_IN: (u16, Option<i64>) = (503, Some(5_030_002));
const REFUSED: (u16, Option<i64>) = (429, Some(4_290_002));

#[tokio::test(start_paused = true)]
async fn an_account_is_limited_wherever_it_asks_from_and_another_is_not() {
    let gateway = gateway(r#"keys.account.rate = { limit = 2, per = "1m" }"#);
    assert_eq!(me(&gateway, HERE, &token(1)).await, LET_IN);
    assert_eq!(me(&gateway, ELSEWHERE, &token(1)).await, LET_IN);
    assert_eq!(me(&gateway, ELSEWHERE, &token(1)).await, REFUSED);
    assert_eq!(me(&gateway, ELSEWHERE, &token(2)).await, LET_IN);
    for _ in 0..2 {
        assert_eq!(me(&gateway, HERE, "pg1.forged").await, LET_IN, "what it is worth is for account to say");
    }
    assert_eq!(me(&gateway, HERE, "pg1.forged").await, REFUSED);
}

#[tokio::test(start_paused = true)]
async fn a_device_is_limited_at_all_that_signs_in_together() {
    let gateway = gateway(r#"keys.device.rate = { limit = 3, per = "1m" }"#);
    for path in ["/v1/sdk/login", "/v1/sdk/register", "/v1/sdk/phone-codes"] {
        assert_eq!(sign_in(&gateway, path, HERE, "phone").await, LET_IN, "{path}");
    }
    for path in ["/v1/sdk/login", "/v1/sdk/register", "/v1/sdk/phone-codes"] {
        assert_eq!(sign_in(&gateway, path, HERE, "phone").await, REFUSED, "{path}");
    }
    assert_eq!(sign_in(&gateway, "/v1/sdk/login", HERE, "tablet").await, LET_IN);
    assert_eq!(sign_in(&gateway, "/v1/sdk/login", ELSEWHERE, "phone").await, LET_IN, "it may not be the same phone");
}

#[tokio::test(start_paused = true)]
async fn who_only_says_which_app_it_is_of_uses_nothing_of_that_apps_quota_up() {
    let gateway = gateway(r#"keys.app.rate = { limit = 1, per = "1h" }"#);
    for _ in 0..5 {
        assert_eq!(sign_in(&gateway, "/v1/sdk/login", HERE, "phone").await, LET_IN);
    }
}

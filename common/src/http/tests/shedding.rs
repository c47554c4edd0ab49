//! What clients see of a server that has not room for all.

use std::{sync::Arc, time::Duration};

use govern::{
    codel::CodelConfig,
    gradient::GradientConfig,
    priority::PriorityConfig,
    rules::{Rules, Switches},
};
use prometheus::Registry;
use tokio::sync::Semaphore;

use super::harness::{Client, Greeting, TestEdge, get, post_json, within};
use crate::{
    clock::testing::SeededRandom,
    governance::{
        Class, Governance,
        shedding::{Gate, Gates},
    },
    http::{Envelope, Json, Routes, classed, edge::EdgeConfig},
};

/// An edge of one gate. Logins and ingests are held until the test lets them go; verifications and callbacks are not.
struct Flooded {
    edge: TestEdge,
    gate: Arc<Gate>,
    governance: Governance,
    go: Arc<Semaphore>,
}

/// Room for five, of which one is kept for callbacks; one of each class may wait, for 10 ms.
fn narrow() -> Rules {
    let queue = CodelConfig { capacity: 1, interval: Duration::from_millis(10), ..CodelConfig::default() };
    Rules {
        concurrency: GradientConfig { min: 5, initial: 5, max: 5, ..GradientConfig::default() },
        priority: PriorityConfig { pay_reserved: 1, login: 0.75, ..PriorityConfig::default() },
        queue,
        ..Rules::default()
    }
}

impl Flooded {
    fn start(rules: Rules) -> Self {
        let (governance, go) = (Governance::new(rules), Arc::new(Semaphore::new(0)));
        let random = Arc::new(SeededRandom::new(3));
        let gate = Gates::new(governance.clone(), random, &Registry::new()).unwrap().open("test");
        let held = |go: &Arc<Semaphore>| {
            let go = Arc::clone(go);
            async move || {
                let _go = go.acquire().await.unwrap();
                Envelope(())
            }
        };
        let login = held(&go);
        let routes = Routes::behind(Arc::clone(&gate))
            .post("/login", classed(Class::Login, async move |_: Json<Greeting>| login().await))
            .get("/verify", classed(Class::Verify, async || Envelope("good")))
            .post("/callback", classed(Class::PayCallback, held(&go)))
            .get("/healthz", async || Envelope("well"));
        Self { edge: TestEdge::start_with(routes, EdgeConfig::default()), gate, governance, go }
    }

    /// Logins that are let in and held.
    async fn logins(&self, count: u32) -> Vec<Client<tokio::net::TcpStream>> {
        let mut clients = Vec::new();
        for _ in 0..count {
            let mut client = self.edge.connect().await;
            client.send(login()).await.unwrap();
            clients.push(client);
        }
        self.until(|gate| gate.in_flight().general == count).await;
        clients
    }

    async fn until(&self, is_so: impl Fn(&Gate) -> bool) {
        within(async {
            while !is_so(&self.gate) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

fn login() -> Vec<u8> {
    post_json("/login", r#"{"name":"ann","count":2}"#)
}

#[tokio::test]
async fn logins_are_refused_with_a_time_to_come_back_while_verifications_go_on_and_the_connection_stays() {
    let flooded = Flooded::start(narrow());
    let mut inside = flooded.logins(3).await;
    let mut client = flooded.edge.connect().await;
    for _ in 0..3 {
        let refused = client.ask(login()).await;
        refused.enveloped(503, 5_030_001);
        assert!(!refused.says_close());
        let hint = refused.json()["retry_after_ms"].as_u64().unwrap();
        assert!(hint >= 1000, "a login is told to stay away for two seconds, or about: {hint}");
        client.ask(get("/verify")).await.enveloped(200, 2_000_000);
    }
    assert_eq!(flooded.edge.metric("playgate_http_connections_accepted_total", None), 4.0);
    flooded.go.add_permits(100);
    for client in &mut inside {
        client.answer().await.unwrap().enveloped(200, 2_000_000);
    }
    client.ask(login()).await.enveloped(200, 2_000_000);
    flooded.until(|gate| gate.in_flight().total() == 0).await;
}

#[tokio::test]
async fn a_login_is_refused_before_its_body_has_come() {
    let flooded = Flooded::start(narrow());
    let _inside = flooded.logins(3).await;
    let mut client = flooded.edge.connect().await;
    let head = "POST /login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    client.send(head).await.unwrap();
    client.answer().await.unwrap().enveloped(503, 5_030_001);
}

#[tokio::test]
async fn callbacks_have_their_room_and_health_is_never_refused() {
    let rules = Rules { priority: PriorityConfig { login: 1.0, ..narrow().priority }, ..narrow() };
    let rules = Rules { priority: PriorityConfig { refresh: 1.0, ..rules.priority }, ..rules };
    let flooded = Flooded::start(rules);
    let _inside = flooded.logins(4).await;
    flooded.edge.ask(get("/verify")).await.enveloped(503, 5_030_001);
    let mut channel = flooded.edge.connect().await;
    channel.send(post_json("/callback", "")).await.unwrap();
    flooded.until(|gate| gate.in_flight().reserved == 1).await;
    flooded.edge.ask(get("/healthz")).await.enveloped(200, 2_000_000);
    flooded.edge.ask(get("/nowhere")).await.enveloped(404, 4_040_001);
    flooded.go.add_permits(100);
    channel.answer().await.unwrap().enveloped(200, 2_000_000);
}

#[tokio::test]
async fn clients_that_vanish_take_no_room_with_them() {
    let rules = Rules { queue: CodelConfig { capacity: 50, ..CodelConfig::default() }, ..narrow() };
    let flooded = Flooded::start(rules);
    let inside = flooded.logins(3).await;
    let mut waiting = Vec::new();
    for _ in 0..5 {
        let mut client = flooded.edge.connect().await;
        client.send(login()).await.unwrap();
        waiting.push(client);
    }
    drop((inside, waiting));
    let idle = |gate: &Gate| gate.in_flight().total() == 0 && gate.waiting(Class::Login) == 0;
    flooded.until(idle).await;
}

#[tokio::test]
async fn turning_shedding_off_while_it_runs_lets_everybody_in() {
    let flooded = Flooded::start(narrow());
    let _inside = flooded.logins(3).await;
    flooded.edge.ask(login()).await.enveloped(503, 5_030_001);
    let switches = Switches { shedding: false, ..Switches::default() };
    flooded.governance.put_in_force(Rules { switches, ..narrow() });
    let mut more = Vec::new();
    for _ in 0..5 {
        let mut client = flooded.edge.connect().await;
        client.send(login()).await.unwrap();
        more.push(client);
    }
    flooded.go.add_permits(100);
    for client in &mut more {
        client.answer().await.unwrap().enveloped(200, 2_000_000);
    }
}

//! What callers of our own may say about a request, and strangers may not: how long they wait, and its lane.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use govern::rules::Rules;
use serde_json::{Value, json};

use super::harness::{TestEdge, within};
use crate::{
    context::RequestContext,
    governance::Governance,
    http::{Envelope, Routes, edge::EdgeConfig},
};

const INSIDE: &str = "127.0.0.0/8";

fn trusting(networks: &[&str]) -> EdgeConfig {
    let trusted_proxies = networks.iter().map(|network| network.parse().unwrap()).collect();
    EdgeConfig { trusted_proxies, ..EdgeConfig::default() }
}

fn get_with(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n")
}

/// A route that answers what a handler knows of its request.
fn routes() -> Routes {
    Routes::new().get("/known", async || {
        let context = RequestContext::current().expect("a context");
        let remaining_ms = context.remaining().map(|remaining| remaining.as_millis());
        Envelope(json!({ "remaining_ms": remaining_ms, "lane": context.lane.map(|lane| lane.to_string()) }))
    })
}

/// What a handler knows of a request with these headers.
async fn context(edge: &TestEdge, headers: &str) -> Value {
    let answer = edge.ask(get_with("/known", headers)).await;
    answer.enveloped(200, 2_000_000);
    answer.json()["data"].clone()
}

async fn remaining_ms(edge: &TestEdge, headers: &str) -> u64 {
    context(edge, headers).await["remaining_ms"].as_u64().expect("a deadline")
}

#[tokio::test]
async fn a_trusted_caller_that_gives_up_early_is_told_504_by_then_and_the_work_stops() {
    /// Says when the work is dropped.
    struct Work(Arc<AtomicBool>);
    impl Drop for Work {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let has_stopped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&has_stopped);
    let work = move || {
        let work = Work(Arc::clone(&seen));
        async move {
            std::future::pending::<()>().await;
            drop(work);
            Envelope(())
        }
    };
    let config = EdgeConfig { request_timeout: Duration::from_secs(600), ..trusting(&[INSIDE]) };
    let edge = TestEdge::start_with(routes().get("/work", work), config);
    // Without the header this would hang far beyond the patience of the test.
    let answer = edge.ask(get_with("/work", "x-request-timeout-ms: 30\r\n")).await;
    answer.enveloped(504, 5_040_001);
    within(async {
        while !has_stopped.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_caller_can_shorten_its_time_and_never_lengthen_it() {
    let edge = TestEdge::start_with(routes(), trusting(&[INSIDE]));
    assert!(remaining_ms(&edge, "x-request-timeout-ms: 2000\r\n").await <= 2000);
    for unchanged in
        ["", "x-request-timeout-ms: 60000\r\n", "x-request-timeout-ms: 0\r\n", "x-request-timeout-ms: 5s\r\n"]
    {
        let remaining = remaining_ms(&edge, unchanged).await;
        assert!((2_001..=10_000).contains(&remaining), "{unchanged:?}: {remaining}");
    }
}

#[tokio::test]
async fn what_a_stranger_says_of_its_time_and_its_lane_is_not_looked_at() {
    let said = "x-request-timeout-ms: 2000\r\nbaggage: lane=canary\r\n";
    for (networks, forwarded) in [(vec![], ""), (vec![INSIDE], "x-forwarded-for: 203.0.113.9\r\n")] {
        let edge = TestEdge::start_with(routes(), trusting(&networks));
        let context = context(&edge, &format!("{said}{forwarded}")).await;
        assert!(context["remaining_ms"].as_u64() > Some(2000), "{context}");
        assert_eq!(context["lane"], Value::Null);
    }
    let edge = TestEdge::start_with(routes(), trusting(&[INSIDE]));
    assert_eq!(context(&edge, said).await["lane"], "canary");
}

#[tokio::test]
async fn a_request_is_coloured_by_the_rules_as_they_are_when_it_arrives() {
    let governance = Governance::default();
    let edge = TestEdge::start_governed(vec![], routes(), EdgeConfig::default(), None, governance.clone());
    let lane = async |headers: &str| context(&edge, headers).await["lane"].clone();
    assert_eq!(lane("x-lane: dev\r\n").await, Value::Null);
    let rule = "[[lanes.rules]]\nlane = 'dev'\nheader = { name = 'X-Lane', equals = 'dev' }";
    governance.put_in_force(Rules::parse(rule).unwrap());
    assert_eq!(lane("x-lane: dev\r\n").await, json!("dev"));
    assert_eq!(lane("x-lane: other\r\n").await, Value::Null);
    governance.put_in_force(Rules::default());
    assert_eq!(lane("x-lane: dev\r\n").await, Value::Null);
}

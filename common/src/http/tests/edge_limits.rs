//! Limits by address, block and class, through real sockets.

use std::{net::Ipv4Addr, time::Duration};

use govern::rules::Rules;

use super::harness::{Answer, Client, Limited, TestEdge};
use crate::{
    governance::Class,
    http::{
        Envelope, Json, Routes, classed,
        edge::{EdgeConfig, Listener},
    },
};

const TEN_A_MINUTE: &str = r#"keys.address.rate = { limit = 10, per = "1m" }"#;

fn routes() -> Routes {
    Routes::new()
        .get("/v1/sdk/settings", classed(Class::Settings, async || Envelope(())))
        .get("/docs", async || Envelope(()))
        .post("/v1/sdk/login", classed(Class::Login, async |Json(body): Json<serde_json::Value>| Envelope(body)))
}

/// An edge behind a proxy at this machine's address.
fn proxied(document: &str) -> TestEdge {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let config = EdgeConfig { trusted_proxies, ..EdgeConfig::default() };
    TestEdge::start_limited(vec![], routes(), config, None, Limited::by(document, false))
}

/// An edge that clients reach without a proxy.
fn direct(document: &str, spares_loopback: bool) -> TestEdge {
    let limited = Limited::by(document, spares_loopback);
    TestEdge::start_limited(vec![], routes(), EdgeConfig::default(), None, limited)
}

fn get(forwarded: &str) -> String {
    format!("GET /v1/sdk/settings HTTP/1.1\r\nhost: test\r\nx-forwarded-for: {forwarded}\r\n\r\n")
}

async fn served(edge: &TestEdge, requests: impl IntoIterator<Item = String>) -> usize {
    let (mut client, mut served) = (edge.connect().await, 0);
    for request in requests {
        served += usize::from(client.ask(request).await.status == 200);
    }
    served
}

/// The items of a list of RFC 9651 whose members are strings with integer parameters: name → parameters. Strict, so that
/// what is no such list is a failure.
fn structured(field: &str) -> Vec<(String, Vec<(String, i64)>)> {
    let item = |item: &str| {
        let mut parts = item.split(';');
        let name = parts.next().unwrap().strip_prefix('"').and_then(|name| name.strip_suffix('"')).expect("a string");
        assert!(name.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\')), "{name}");
        let parameter = |parameter: &str| {
            let (key, value) = parameter.split_once('=').expect("a value");
            let mut bytes = key.bytes();
            assert!(bytes.next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'*'), "{key}");
            assert!(bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte)));
            assert!(value.len() <= 15 && value.bytes().all(|byte| byte.is_ascii_digit()), "{value}");
            (key.to_owned(), value.parse().expect("an integer"))
        };
        (name.to_owned(), parts.map(parameter).collect())
    };
    field.split(',').map(str::trim).map(item).collect()
}

#[track_caller]
fn refused_with_all_it_needs(answer: &Answer, policy: &str, quota: i64, window: i64) {
    answer.enveloped(429, 4_290_001);
    let seconds: i64 = answer.headers["retry-after"].parse().expect("seconds");
    let millis = answer.json()["retry_after_ms"].as_i64().expect("milliseconds");
    assert_eq!(seconds, (millis + 999) / 1000);
    let told = |name: &str| structured(&answer.headers[name]);
    let parameters = vec![("q".to_owned(), quota), ("w".to_owned(), window)];
    assert_eq!(told("ratelimit-policy"), [(policy.to_owned(), parameters)]);
    let [(name, parameters)] = &told("ratelimit")[..] else { panic!("one limit: {:?}", answer.headers) };
    let [(r, 0), (t, until)] = &parameters[..] else { panic!("nothing is left: {parameters:?}") };
    assert_eq!((name.as_str(), r.as_str(), t.as_str()), (policy, "r", "t"));
    assert!((1..=seconds).contains(until), "nobody is told to come before it is let in: {until}, {seconds}");
}

#[tokio::test]
async fn a_flooding_address_is_refused_with_all_it_needs_to_come_back_while_others_are_served() {
    let edge = proxied(TEN_A_MINUTE);
    assert_eq!(served(&edge, (0..50).map(|_| get("203.0.113.1"))).await, 10);
    refused_with_all_it_needs(&edge.ask(get("203.0.113.1")).await, "address", 10, 60);
    assert_eq!(served(&edge, (0..10).map(|_| get("203.0.113.2"))).await, 10, "its neighbour");
    assert_eq!(served(&edge, (0..10).map(|_| get("2001:db8::1"))).await, 10);
    let decided = edge.registry.gather();
    let decided =
        decided.iter().find(|family| family.name() == "playgate_limit_decisions_total").expect("it is counted");
    let refused = decided
        .get_metric()
        .iter()
        .filter(|metric| metric.get_label().iter().all(|pair| ["address", "refused"].contains(&pair.value())));
    assert_eq!(refused.map(|metric| metric.get_counter().get_value()).sum::<f64>(), 41.0);
    let recorded = edge.access.0.lock().unwrap().iter().filter(|answer| answer.code == 4_290_001).count();
    assert_eq!(recorded, 41, "refusals are recorded like any answer");
}

#[tokio::test]
async fn a_block_of_addresses_has_a_limit_of_its_own() {
    let edge = proxied(r#"keys.address_block.rate = { limit = 20, per = "1m" }"#);
    assert_eq!(served(&edge, (0..50).map(|host| get(&format!("203.0.113.{host}")))).await, 20);
    refused_with_all_it_needs(&edge.ask(get("203.0.113.200")).await, "address-block", 20, 60);
    assert_eq!(edge.ask(get("203.0.114.1")).await.status, 200);
    assert_eq!(served(&edge, (0..50).map(|host| get(&format!("2001:db8:0:1::{host:x}")))).await, 20, "a /64");
    assert_eq!(edge.ask(get("2001:db8:0:2::1")).await.status, 200);
}

#[tokio::test]
async fn what_a_client_writes_about_itself_does_not_help() {
    let edge = direct(TEN_A_MINUTE, false);
    assert_eq!(served(&edge, (0..50).map(|number| get(&format!("203.0.113.{number}")))).await, 10, "no proxy of ours");
    let edge = proxied(TEN_A_MINUTE);
    let behind = |number: u32| get(&format!("198.51.100.{number}, 203.0.113.1"));
    assert_eq!(served(&edge, (0..50).map(behind)).await, 10, "what is left of the first stranger is not read");
}

#[tokio::test]
async fn our_own_proxies_and_whoever_names_no_client_are_not_one_client() {
    let edge = proxied(TEN_A_MINUTE);
    let nameless = "GET /v1/sdk/settings HTTP/1.1\r\nhost: test\r\n\r\n";
    assert_eq!(served(&edge, (0..50).map(|_| nameless.to_owned())).await, 50, "a proxy that names no client");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let more = vec![Listener::bind_unix(&path).unwrap()];
    let limited = Limited::by(TEN_A_MINUTE, false);
    let _edge = TestEdge::start_limited(more, routes(), EdgeConfig::default(), None, limited);
    let mut client = Client::connect_unix(&path).await;
    for _ in 0..50 {
        client.ask(nameless).await.enveloped(200, 2_000_000);
    }
    for _ in 0..10 {
        client.ask(get("203.0.113.1")).await.enveloped(200, 2_000_000);
    }
    client.ask(get("203.0.113.1")).await.enveloped(429, 4_290_001);
}

#[tokio::test]
async fn networks_that_are_spared_and_this_machine_in_development_are_not_limited_by_address() {
    let edge = proxied(&format!("keys.spared = [\"192.0.2.0/24\", \"2001:db8::/32\"]\n{TEN_A_MINUTE}"));
    for spared in ["192.0.2.1", "2001:db8::1"] {
        assert_eq!(served(&edge, (0..50).map(|_| get(spared))).await, 50, "{spared}");
    }
    assert_eq!(served(&edge, (0..50).map(|_| get("192.0.3.1"))).await, 10);
    let edge = direct(TEN_A_MINUTE, true);
    assert_eq!(served(&edge, (0..50).map(|_| get(&Ipv4Addr::LOCALHOST.to_string()))).await, 50);
}

#[tokio::test]
async fn a_refusal_waits_for_no_body() {
    let edge = direct(r#"keys.address.rate = { limit = 1, per = "1m" }"#, false);
    assert_eq!(served(&edge, [get("")]).await, 1);
    let head = "POST /v1/sdk/login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n";
    edge.ask(format!("{head}content-length: 100000\r\n\r\n")).await.enveloped(429, 4_290_001);
    edge.ask(format!("{head}transfer-encoding: chunked\r\n\r\n")).await.enveloped(429, 4_290_001);
}

#[tokio::test]
async fn a_class_of_routes_is_limited_for_all_and_others_go_on() {
    let edge = proxied(r#"routes.settings.rate = { limit = 10, per = "1m" }"#);
    assert_eq!(served(&edge, (0..50).map(|number| get(&format!("203.0.113.{number}")))).await, 10);
    refused_with_all_it_needs(&edge.ask(get("203.0.113.1")).await, "route", 10, 60);
    let login =
        "POST /v1/sdk/login HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    edge.ask(login).await.enveloped(200, 2_000_000);
    edge.ask("GET /docs HTTP/1.1\r\nhost: test\r\n\r\n").await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn limits_follow_the_rules_while_they_run_and_a_switch_turns_them_off() {
    let edge = direct("", false);
    assert_eq!(served(&edge, (0..50).map(|_| get(""))).await, 50);
    let rules = |document: &str| Rules::parse(document).expect("valid rules");
    edge.governance.put_in_force(rules(TEN_A_MINUTE));
    assert_eq!(served(&edge, (0..50).map(|_| get(""))).await, 10);
    edge.governance.put_in_force(rules(&format!("switches.limits = false\n{TEN_A_MINUTE}")));
    assert_eq!(served(&edge, (0..50).map(|_| get(""))).await, 50);
    edge.governance.put_in_force(rules(TEN_A_MINUTE));
    assert_eq!(served(&edge, (0..50).map(|_| get(""))).await, 0, "nothing is forgotten");
}

#[tokio::test]
async fn an_answer_tells_of_a_limit_that_is_nearly_used_up() {
    let edge = direct(r#"keys.address.rate = { limit = 4, per = "1m" }"#, false);
    let mut client = edge.connect().await;
    assert!(!client.ask(get("")).await.headers.contains_key("ratelimit"), "there is much left");
    client.ask(get("")).await.enveloped(200, 2_000_000);
    let told = client.ask(get("")).await;
    told.enveloped(200, 2_000_000);
    let [(name, parameters)] = &structured(&told.headers["ratelimit"])[..] else { panic!("one limit") };
    assert_eq!((name.as_str(), parameters[0].clone()), ("address", ("r".to_owned(), 1)));
    let window = Duration::from_secs(u64::try_from(parameters[1].1).unwrap());
    assert!(window > Duration::ZERO && window <= Duration::from_secs(60), "{window:?}");
    assert_eq!(structured(&told.headers["ratelimit-policy"])[0].0, "address");
}

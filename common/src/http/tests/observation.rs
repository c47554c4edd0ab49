//! What is known about a request afterwards, and who is believed about it.

use crate::{
    context::TraceId,
    telemetry::trace::testing::{self, spans_of},
};

use super::harness::{Client, Recorded, TestEdge, get, post_json, routes};
use crate::http::edge::{EdgeConfig, Listener};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn from_proxy(path: &str, forwarded_for: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: test\r\ntraceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\n\
         x-forwarded-for: {forwarded_for}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_stranger_chooses_neither_its_address_nor_its_request_id() {
    let edge = TestEdge::start(routes());
    let answer = edge.ask(from_proxy("/address", "198.51.100.7")).await;
    assert_eq!(answer.json()["data"], "127.0.0.1");
    assert_ne!(answer.headers["x-request-id"], TRACE);
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_about_the_client_but_the_client_is_not_believed_about_the_trace() {
    let config = EdgeConfig {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap(), "10.0.0.0/8".parse().unwrap()],
        ..EdgeConfig::default()
    };
    let edge = TestEdge::start_with(routes(), config);
    let stranger = edge.ask(from_proxy("/address", "1.1.1.1, 198.51.100.7, 10.1.1.1")).await;
    assert_eq!(stranger.json()["data"], "198.51.100.7");
    assert_ne!(stranger.headers["x-request-id"], TRACE);
    let internal = edge.ask(from_proxy("/context", "10.1.1.1")).await;
    internal.enveloped(200, 2_000_000);
    assert_eq!(internal.headers["x-request-id"], TRACE);
    let context = serde_json::json!({"trace_id": TRACE, "sampled": true, "has_deadline": true});
    assert_eq!(internal.json()["data"], context);
}

#[tokio::test]
async fn the_unix_socket_serves_beside_tcp_and_its_peer_is_a_trusted_proxy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("edge.sock");
    let listener = Listener::bind_unix(&path).unwrap();
    let mut edge = TestEdge::start_on(vec![listener], routes(), EdgeConfig::default(), None);
    let mut client = Client::connect_unix(&path).await;
    let forwarded = client.ask(from_proxy("/address", "198.51.100.7")).await;
    assert_eq!(forwarded.json()["data"], "198.51.100.7");
    let local = client.ask(get("/address")).await;
    assert_eq!(local.json()["data"], "127.0.0.1");
    edge.ask(get("/address")).await.enveloped(200, 2_000_000);
    edge.signals.stopping.cancel();
    edge.ended().await;
    assert!(!path.exists(), "the socket file is removed at the end");
}

#[tokio::test]
async fn an_answer_is_recorded_by_route_and_without_its_query() {
    let edge = TestEdge::start(routes());
    let order = edge.ask(get("/orders/7?token=secret")).await;
    edge.ask(get("/nowhere?token=secret")).await;
    let recorded = edge.access.0.lock().unwrap().clone();
    let of = |method: &str, route: &str, path: &str, status, code, trace_id: &str| Recorded {
        method: method.to_owned(),
        route: route.to_owned(),
        path: path.to_owned(),
        status,
        code,
        client: Some("127.0.0.1".parse().unwrap()),
        trace_id: trace_id.to_owned(),
    };
    let unmatched = of("GET", "unmatched", "/nowhere", 404, 4_040_001, &recorded[1].trace_id);
    let request_id = &order.headers["x-request-id"];
    assert_eq!(recorded, [of("GET", "/orders/{id}", "/orders/7", 200, 2_000_000, request_id), unmatched]);
}

#[tokio::test]
async fn answers_of_every_kind_are_counted_by_route_method_and_code() {
    let edge = TestEdge::start_with(routes(), EdgeConfig { body_limit: 10, ..EdgeConfig::default() });
    edge.ask(get("/orders/7")).await;
    edge.ask(get("/orders/8")).await;
    edge.ask(get("/panic")).await;
    edge.ask(post_json("/echo", "more than ten bytes")).await;
    let counted = |code| edge.metric("playgate_http_requests_total", Some(("code", code)));
    assert_eq!((counted("2000000"), counted("5000001"), counted("4130001")), (2.0, 1.0, 1.0));
    assert_eq!(edge.metric("playgate_http_requests_in_flight", None), 0.0);
}

#[tokio::test]
async fn a_client_that_leaves_before_its_answer_is_counted_as_such() {
    let edge = TestEdge::start(routes());
    let mut client = edge.connect().await;
    client.send(get("/hang")).await.unwrap();
    let in_flight = || edge.metric("playgate_http_requests_in_flight", None);
    super::harness::within(async {
        while in_flight() < 1.0 {
            tokio::task::yield_now().await;
        }
        drop(client);
        while in_flight() > 0.0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(edge.metric("playgate_http_requests_abandoned_total", None), 1.0);
}

/// A trace of its own for every test.
fn trace(number: u128) -> (TraceId, String) {
    testing::install();
    let trace_id = TraceId::from_u128((0x5eed << 64) | number).expect("not zero");
    (trace_id, format!("traceparent: 00-{trace_id}-00f067aa0ba902b7-01\r\n"))
}

fn trusting_loopback() -> EdgeConfig {
    EdgeConfig { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..EdgeConfig::default() }
}

#[tokio::test]
async fn the_span_of_a_traced_request_hangs_on_its_callers_and_names_route_status_and_code() {
    let edge = TestEdge::start_with(routes(), trusting_loopback());
    let (trace_id, header) = trace(1);
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: test\r\n{header}\r\n");
    edge.ask(request("/orders/7?token=secret")).await.enveloped(200, 2_000_000);
    edge.ask(request("/nowhere")).await.enveloped(404, 4_040_001);
    let spans = spans_of(trace_id);
    let [order, nowhere] = &spans[..] else { panic!("two spans: {spans:?}") };
    assert_eq!((order.name(), nowhere.name()), ("GET /orders/{id}", "GET"));
    for span in [order, nowhere] {
        assert_eq!((span.parent, span.parent_is_remote), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!((span.attribute("http.request.method"), span.attribute("error.type")), ("GET".into(), "".into()));
    }
    assert_eq!(
        (order.attribute("http.route"), order.attribute("url.path")),
        ("/orders/{id}".into(), "/orders/7".into())
    );
    assert_eq!(order.attribute("http.response.status_code"), "200");
    assert_eq!(nowhere.attribute("playgate.code"), "4040001");
    assert!(!format!("{order:?}").contains("secret"));
    assert_ne!(order.id, nowhere.id);
}

#[tokio::test]
async fn of_the_requests_that_are_not_traced_those_that_fail_leave_a_span_and_the_others_none() {
    testing::install();
    let edge = TestEdge::start(routes());
    let trace_of = |answer: &super::harness::Answer| {
        let id = u128::from_str_radix(&answer.headers["x-request-id"], 16).unwrap();
        spans_of(TraceId::from_u128(id).unwrap())
    };
    let fine = edge.ask(get("/orders/7")).await;
    assert_eq!(trace_of(&fine).len(), 0);
    let failed = edge.ask(get("/panic")).await;
    let spans = trace_of(&failed);
    let [span] = &spans[..] else { panic!("one span: {spans:?}") };
    assert_eq!((span.name(), span.parent), ("GET /panic", 0));
    assert_eq!((span.attribute("error.type"), span.attribute("playgate.code")), ("500".into(), "5000001".into()));
}

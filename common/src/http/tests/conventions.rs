//! The rows of the public contract's conventions.

use super::harness::{TestEdge, get, post, post_json, routes};
use crate::http::edge::EdgeConfig;

#[tokio::test]
async fn a_success_is_an_envelope_with_the_request_id() {
    let edge = TestEdge::start(routes());
    let answer = edge.ask(post_json("/echo", r#"{"name":"ann","count":2,"unknown":true}"#)).await;
    answer.enveloped(200, 2_000_000);
    assert_eq!(answer.json()["data"], serde_json::json!({"name": "ann", "count": 2}));
    let other = edge.ask(get("/query?name=ann&count=2")).await;
    other.enveloped(200, 2_000_000);
    assert_ne!(answer.headers["x-request-id"], other.headers["x-request-id"]);
}

#[tokio::test]
async fn an_unknown_route_is_404() {
    let edge = TestEdge::start(routes());
    for path in ["/", "/nowhere", "/echo/", "/echo/x", "//echo", "/%00"] {
        edge.ask(get(path)).await.enveloped(404, 4_040_001);
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_names_the_right_ones() {
    let edge = TestEdge::start(routes());
    let wrong = edge.ask(get("/echo")).await;
    wrong.enveloped(405, 4_050_001);
    assert_eq!(wrong.headers["allow"], "POST, PUT");
    for method in ["POST", "DELETE", "OPTIONS", "TRACE", "BREW"] {
        let wrong = edge.ask(format!("{method} /me HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n")).await;
        wrong.enveloped(405, 4_050_001);
        assert_eq!(wrong.headers["allow"], "GET, HEAD");
    }
}

#[tokio::test]
async fn head_answers_like_get_without_the_body() {
    let edge = TestEdge::start(routes());
    let mut client = edge.connect().await;
    let head = client.ask("HEAD /address HTTP/1.1\r\nhost: test\r\n\r\n").await;
    let answer = client.ask(get("/address")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], answer.headers["content-length"]);
}

#[tokio::test]
async fn a_wrong_or_missing_content_type_is_415() {
    let edge = TestEdge::start(routes());
    let body = r#"{"name":"ann","count":2}"#;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "json"] {
        edge.ask(post("/echo", content_type, body)).await.enveloped(415, 4_150_001);
    }
    let missing = format!("POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    edge.ask(missing).await.enveloped(415, 4_150_001);
    edge.ask(post("/echo", "application/json; charset=utf-8", body)).await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn a_body_that_is_not_json_is_400_malformed() {
    let edge = TestEdge::start(routes());
    let deep = "[".repeat(100_000);
    let deep_inside = format!(r#"{{"name":"ann","count":1,"extra":{}"#, "{\"a\":".repeat(100_000));
    let cases: &[&[u8]] = &[
        b"",
        b"{",
        b"{\"name\":\"ann\",\"count\":2}}",
        b"{\"name\":\"\xff\xfe\",\"count\":2}",
        b"{\"name\":\"ann\",\"count\":2,\"extra\":\"\xc3\x28\"}",
        b"{\"name\":\"ann\",\"name\":\"bob\",\"count\":2}",
        b"{\"name\":\"ann\",\"count\":2,\"extra\":{\"a\":1,\"a\":2}}",
        deep.as_bytes(),
        deep_inside.as_bytes(),
    ];
    let mut client = edge.connect().await;
    for body in cases {
        client.ask(post_json("/echo", body)).await.enveloped(400, 4_000_002);
    }
    client.ask(post_json("/echo", r#"{"name":"ann","count":2}"#)).await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn a_wrong_or_missing_field_is_400_and_named() {
    let edge = TestEdge::start(routes());
    for (request, field) in [
        (post_json("/echo", r#"{"name":"ann"}"#), "count"),
        (post_json("/echo", r#"{"name":"ann","count":"2"}"#), "count"),
        (post_json("/echo", r#"{"name":null,"count":2}"#), "name"),
        (post_json("/echo", r#"{"name":"ann","count":9223372036854775808}"#), "count"),
        (get("/query?name=ann").into_bytes(), "count"),
        (get("/query?name=ann&count=two").into_bytes(), "count"),
    ] {
        let answer = edge.ask(request).await;
        answer.enveloped(400, 4_000_001);
        assert!(answer.json()["details"][field].is_string(), "{}", answer.text);
    }
}

#[tokio::test]
async fn an_extractor_that_refuses_without_a_word_still_answers_in_the_envelope() {
    let edge = TestEdge::start(routes());
    edge.ask(get("/orders/seven")).await.enveloped(400, 4_000_001);
    edge.ask(get("/orders/7")).await.enveloped(200, 2_000_000);
    edge.ask(get("/unwired")).await.enveloped(500, 5_000_001);
}

#[tokio::test]
async fn a_player_endpoint_without_a_bearer_token_is_401() {
    let edge = TestEdge::start(routes());
    edge.ask(get("/me")).await.enveloped(401, 4_010_001);
    edge.ask("GET /me HTTP/1.1\r\nhost: test\r\nauthorization: Basic eA==\r\n\r\n").await.enveloped(401, 4_010_001);
    edge.ask("GET /me HTTP/1.1\r\nhost: test\r\nauthorization: Bearer pg1.x\r\n\r\n").await.enveloped(200, 2_000_000);
}

#[tokio::test]
async fn a_panic_is_500_tells_nothing_and_leaves_the_connection_usable() {
    let edge = TestEdge::start(routes());
    let mut client = edge.connect().await;
    for _ in 0..3 {
        let answer = client.ask(get("/panic")).await;
        answer.enveloped(500, 5_000_001);
        assert!(!answer.text.contains("internal detail"), "{}", answer.text);
        client.ask(get("/address")).await.enveloped(200, 2_000_000);
    }
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_504_with_a_time_to_come_back() {
    let config = EdgeConfig { request_timeout: std::time::Duration::from_millis(50), ..EdgeConfig::default() };
    let edge = TestEdge::start_with(routes(), config);
    let answer = edge.ask(get("/hang")).await;
    answer.enveloped(504, 5_040_001);
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.says_close());
}

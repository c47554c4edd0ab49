//! Somebody sends what no client would: a clear error or a closed connection, and everybody else is served meanwhile.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::{interval, timeout};

use crate::support::{Answer, PATIENCE, Platform, Player, RawConnection, Shape, in_every_shape};

in_every_shape!(
    a_password_over_128_characters_is_refused_by_field,
    a_token_of_a_megabyte_is_invalid,
    a_bearer_of_a_megabyte_is_refused_or_cut_off,
    duplicate_keys_are_refused,
    deep_nesting_is_refused,
    ten_thousand_headers_are_refused_or_cut_off,
    a_chunked_body_without_end_is_cut_off,
    a_body_that_never_comes_is_given_up_on,
    a_slow_sender_of_headers_is_cut_off,
    bytes_that_are_no_http_are_answered_or_cut_off,
);

/// Somebody else, who must not notice.
struct Bystander(Player);

impl Bystander {
    async fn of(platform: &Platform) -> Self {
        Self(platform.register("bystander").await)
    }

    async fn is_served(&self, platform: &Platform) {
        assert_eq!(platform.verify(&self.0.tokens.access_token).await.status, "valid");
        self.0.me().await.ok();
    }
}

async fn post_login(platform: &Platform, body: String) -> Answer {
    platform.client().post_bytes("/v1/sdk/login", "application/json", body).await
}

async fn a_password_over_128_characters_is_refused_by_field(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = Bystander::of(&platform).await;
    for password in ["to be or not ".repeat(10), "密码".repeat(65), "x".repeat(900_000)] {
        let body = json!({ "app_id": platform.app().app_id, "username": "bob", "password": password });
        platform.client().post("/v1/sdk/register", &body).await.refused_field(4_000_001, "password");
    }
    ann.is_served(&platform).await;
}

async fn a_token_of_a_megabyte_is_invalid(shape: Shape) {
    let platform = Platform::start(shape).await;
    for token in ["A".repeat(1_000_000), format!("pg1.{}", "A".repeat(1_000_000))] {
        assert_eq!(platform.verify(&token).await.status, "invalid");
    }
}

async fn a_bearer_of_a_megabyte_is_refused_or_cut_off(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = Bystander::of(&platform).await;
    let mut connection = RawConnection::open(platform.client().address()).await.unwrap();
    let head = format!("GET /v1/sdk/me HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", "A".repeat(1_000_000));
    assert_refused_or_cut_off(&mut connection, head.as_bytes()).await;
    ann.is_served(&platform).await;
}

async fn duplicate_keys_are_refused(shape: Shape) {
    let platform = Platform::start(shape).await;
    let app_id = platform.app().app_id;
    let twice = format!(
        r#"{{"app_id":{app_id},"kind":"password","username":"ann","username":"bob","password":"long enough"}}"#
    );
    assert_eq!(post_login(&platform, twice).await.status, 400);
}

async fn deep_nesting_is_refused(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = Bystander::of(&platform).await;
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let whole = [open.repeat(100_000), "1".to_owned(), close.repeat(100_000)].concat();
        assert_eq!(post_login(&platform, whole).await.status, 400);
        let inside_an_ignored_field = format!(r#"{{"ignored":{}"#, open.repeat(100_000));
        assert_eq!(post_login(&platform, inside_an_ignored_field).await.status, 400);
    }
    ann.is_served(&platform).await;
}

async fn ten_thousand_headers_are_refused_or_cut_off(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = Bystander::of(&platform).await;
    let headers: String = (0..10_000).map(|at| format!("x-h{at}: {at}\r\n")).collect();
    let mut connection = RawConnection::open(platform.client().address()).await.unwrap();
    let request = format!("GET /openapi.json HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    assert_refused_or_cut_off(&mut connection, request.as_bytes()).await;
    ann.is_served(&platform).await;
}

async fn a_chunked_body_without_end_is_cut_off(shape: Shape) {
    /// Far beyond any limit: a server that takes this much takes everything.
    const MOST: usize = 256 * 1024 * 1024;
    let platform = Platform::start(shape).await;
    let ann = Bystander::of(&platform).await;
    let mut connection = RawConnection::open(platform.client().address()).await.unwrap();
    let head = "POST /v1/sdk/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    connection.write(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut sent = 0;
    while connection.write(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
        assert!(sent < MOST, "the server takes a body without end");
    }
    // The answer may have been overtaken by the connection's end; if it arrived, it says why.
    if let Ok(Some(answer)) = connection.answer().await {
        assert_eq!(answer.status, 413, "{answer:?}");
    }
    ann.is_served(&platform).await;
}

async fn a_body_that_never_comes_is_given_up_on(shape: Shape) {
    let platform = Platform::build(shape).set("gateway.edge.request_timeout", "2s").start().await;
    let ann = Bystander::of(&platform).await;
    let mut connection = RawConnection::open(platform.client().address()).await.unwrap();
    let head =
        "POST /v1/sdk/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    connection.write(head.as_bytes()).await.unwrap();
    ann.is_served(&platform).await;
    if let Ok(Some(answer)) = connection.answer().await {
        assert!(matches!(answer.status, 408 | 504), "{answer:?}");
    }
    ann.is_served(&platform).await;
}

async fn a_slow_sender_of_headers_is_cut_off(shape: Shape) {
    let platform = Platform::build(shape).set("gateway.edge.header_timeout", "1s").start().await;
    let ann = Bystander::of(&platform).await;
    let mut slow = RawConnection::open(platform.client().address()).await.unwrap();
    slow.write(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let endless = async {
        let mut ticks = interval(Duration::from_millis(100));
        while slow.write(b"x").await.is_ok() {
            ticks.tick().await;
        }
    };
    timeout(PATIENCE, endless).await.expect("a head without end is cut off");
    ann.is_served(&platform).await;
}

async fn bytes_that_are_no_http_are_answered_or_cut_off(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = Bystander::of(&platform).await;
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS greeting\r\n\r\n".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut connection = RawConnection::open(platform.client().address()).await.unwrap();
        assert_refused_or_cut_off(&mut connection, bytes).await;
    }
    let head = platform.client().send(platform.client().request(Method::HEAD, "/openapi.json")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    ann.is_served(&platform).await;
}

async fn assert_refused_or_cut_off(connection: &mut RawConnection, bytes: &[u8]) {
    // The server may stop reading before all is written.
    let _may_be_cut_off = connection.write(bytes).await;
    if let Ok(Some(answer)) = connection.answer().await {
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
}

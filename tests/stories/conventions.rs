//! What holds for every endpoint. (That every answer is enveloped, carries its trace id and says when to come back is
//! checked on each answer of every story: see `support::answer`.)

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Platform, RawConnection, Shape, in_every_shape};

in_every_shape!(
    an_unknown_route_is_404,
    a_wrong_method_is_405_and_names_the_right_one,
    a_body_that_is_not_json_by_its_type_is_415,
    a_body_over_the_limit_is_413,
    a_body_that_is_no_json_is_malformed,
    a_missing_field_is_named,
    a_field_of_a_wrong_type_is_named,
    an_over_long_value_is_named,
    unknown_fields_are_ignored,
    every_answer_has_a_request_id_of_its_own,
    an_untrusted_caller_does_not_choose_the_request_id,
    one_connection_serves_refused_and_good_requests_alike,
);

/// Twice the default limit.
const OVER_THE_LIMIT: usize = 2 * 1024 * 1024;

fn login(platform: &Platform) -> Value {
    json!({ "app_id": platform.app().app_id, "kind": "password", "username": "ann", "password": "wrong-password" })
}

async fn an_unknown_route_is_404(shape: Shape) {
    let platform = Platform::start(shape).await;
    for path in ["/", "/v1", "/v1/", "/v1/sdk/nope", "/v1/sdk/login/", "/v2/sdk/login", "/metrics", "/admin/v1/apps"] {
        let answer = platform.client().get(path).await;
        assert_eq!(answer.refused(4_040_001).status, 404, "{path}");
        answer.keeps_the_envelope();
    }
}

async fn a_wrong_method_is_405_and_names_the_right_one(shape: Shape) {
    let platform = Platform::start(shape).await;
    for (method, path, allowed) in [
        (Method::GET, "/v1/sdk/login", "POST"),
        (Method::PUT, "/v1/sdk/register", "POST"),
        (Method::DELETE, "/v1/sdk/refresh", "POST"),
        (Method::POST, "/v1/sdk/me", "GET"),
        (Method::POST, "/v1/sdk/settings", "GET"),
        (Method::GET, "/v1/server/tokens/verify", "POST"),
        (Method::PATCH, "/v1/server/tokens/verify-batch", "POST"),
        (Method::POST, "/openapi.json", "GET"),
        (Method::GET, "/oauth2/introspect", "POST"),
    ] {
        let answer = platform.client().send(platform.client().request(method, path)).await;
        assert_eq!(answer.refused(4_050_001).status, 405, "{path}");
        let allow: Vec<&str> = answer.header("allow").split(',').map(str::trim).collect();
        assert!(allow.contains(&allowed), "{path}: {allow:?}");
    }
}

async fn a_body_that_is_not_json_by_its_type_is_415(shape: Shape) {
    let platform = Platform::start(shape).await;
    let body = login(&platform).to_string();
    for wrong in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", ""] {
        let answer = platform.client().post_bytes("/v1/sdk/login", wrong, body.clone()).await;
        answer.refused(4_150_001);
    }
    let without = platform.client().request(Method::POST, "/v1/sdk/login").body(body.clone());
    platform.client().send(without).await.refused(4_150_001);
    for right in ["application/json", "application/json; charset=utf-8", "Application/JSON"] {
        platform.client().post_bytes("/v1/sdk/login", right, body.clone()).await.refused(4_010_101);
    }
}

async fn a_body_over_the_limit_is_413(shape: Shape) {
    let platform = Platform::start(shape).await;
    let body = format!(r#"{{"username":"{}"}}"#, "x".repeat(OVER_THE_LIMIT));
    let answer = platform.client().post_bytes("/v1/sdk/login", "application/json", body).await;
    answer.refused(4_130_001);
}

async fn a_body_that_is_no_json_is_malformed(shape: Shape) {
    let platform = Platform::start(shape).await;
    let bodies: [&[u8]; 8] =
        [b"", b" ", b"{", b"{\"app_id\":}", b"nonsense", b"{}{}", b"{\"username\":\"\xff\xfe\"}", b"\xef\xbb\xbf"];
    for body in bodies {
        let answer = platform.client().post_bytes("/v1/sdk/login", "application/json", body).await;
        answer.refused(4_000_002);
    }
}

async fn a_missing_field_is_named(shape: Shape) {
    let platform = Platform::start(shape).await;
    for field in ["app_id", "kind", "username", "password"] {
        let mut body = login(&platform);
        body.as_object_mut().unwrap().remove(field);
        platform.client().post("/v1/sdk/login", &body).await.refused_field(4_000_001, field);
    }
    platform.client().post("/v1/sdk/refresh", &json!({ "app_id": 1 })).await.refused_field(4_000_001, "refresh_token");
    platform.game_server().post("/v1/server/tokens/verify", &json!({})).await.refused_field(4_000_001, "token");
}

async fn a_field_of_a_wrong_type_is_named(shape: Shape) {
    let platform = Platform::start(shape).await;
    for (field, wrong) in [
        ("app_id", json!("1001")),
        ("app_id", json!(1.5)),
        ("app_id", json!(null)),
        ("kind", json!(1)),
        ("kind", json!("telepathy")),
        ("username", json!(["ann"])),
        ("password", json!({})),
        ("channel", json!(7)),
    ] {
        let mut body = login(&platform);
        body[field] = wrong;
        platform.client().post("/v1/sdk/login", &body).await.refused_field(4_000_001, field);
    }
    let server = platform.game_server();
    server.post("/v1/server/tokens/verify", &json!({ "token": 7 })).await.refused_field(4_000_001, "token");
}

async fn an_over_long_value_is_named(shape: Shape) {
    let platform = Platform::start(shape).await;
    let app_id = platform.app().app_id;
    for (field, limit) in [("username", 32), ("password", 128), ("device_id", 128), ("channel", 32)] {
        let mut body = json!({ "app_id": app_id, "username": "ann", "password": "long enough" });
        body[field] = "a".repeat(limit + 1).into();
        platform.client().post("/v1/sdk/register", &body).await.refused_field(4_000_001, field);
        body[field] = "a".repeat(limit).into();
        let answer = platform.client().post("/v1/sdk/register", &body).await;
        assert!(matches!(answer.code(), 2_000_000 | 4_090_101), "{field} of {limit} bytes: {answer:?}");
    }
}

async fn unknown_fields_are_ignored(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    ann.try_login_with(json!({ "from_a_newer_sdk": { "deep": [1, 2, 3] } })).await.ok();
    let body = json!({ "token": ann.tokens.access_token, "extra": true });
    assert_eq!(platform.game_server().post("/v1/server/tokens/verify", &body).await.ok()["status"], "valid");
}

async fn every_answer_has_a_request_id_of_its_own(shape: Shape) {
    let platform = Platform::start(shape).await;
    let mut seen = HashSet::new();
    for _ in 0..20 {
        for answer in [platform.client().get("/v1/nope").await, platform.client().get("/openapi.json").await] {
            assert!(seen.insert(answer.header("x-request-id").to_owned()), "{seen:?}");
        }
    }
}

async fn an_untrusted_caller_does_not_choose_the_request_id(shape: Shape) {
    let platform = Platform::start(shape).await;
    let chosen = "0af7651916cd43dd8448eb211c80319c";
    let request = platform.client().request(Method::GET, "/v1/nope");
    let request =
        request.header("traceparent", format!("00-{chosen}-b7ad6b7169203331-01")).header("x-request-id", chosen);
    assert_ne!(platform.client().send(request).await.header("x-request-id"), chosen);
}

async fn one_connection_serves_refused_and_good_requests_alike(shape: Shape) {
    let platform = Platform::start(shape).await;
    let mut connection = RawConnection::open(platform.client().address()).await.unwrap();
    for (request, status) in [
        ("GET /v1/nope HTTP/1.1\r\nhost: x\r\n\r\n", 404),
        ("POST /v1/sdk/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n{", 400),
        ("POST /v1/sdk/me HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n", 405),
        ("GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n", 200),
    ] {
        connection.write(request.as_bytes()).await.unwrap();
        let answer = connection.answer().await.unwrap().expect("the connection stays open");
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

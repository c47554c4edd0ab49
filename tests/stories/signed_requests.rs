//! A game server signs its requests; whatever is not signed by it, now, is refused before anything is done.

use reqwest::Method;
use serde_json::json;

use crate::support::{GameServer, Platform, Shape, SignedRequest, eventually, in_every_shape, now_ms};

in_every_shape!(
    a_signature_covers_every_part_of_the_request,
    missing_and_malformed_headers_are_refused_as_such,
    a_stale_timestamp_is_refused,
    the_right_signature_of_another_app_is_refused,
    a_question_may_be_asked_again_with_the_same_nonce,
    the_signature_is_checked_before_the_body_is_looked_at,
    a_rotated_secret_works_at_once_beside_the_one_before_it,
    a_header_that_comes_twice_is_no_credential,
);

const VERIFY: &str = "/v1/server/tokens/verify";

fn question(server: &GameServer) -> SignedRequest {
    server.signed(Method::POST, VERIFY, "", &json!({ "token": "x" }).to_string())
}

/// A question that is signed after it was changed.
fn resigned(server: &GameServer, change: impl FnOnce(&mut SignedRequest)) -> SignedRequest {
    let mut request = question(server);
    change(&mut request);
    request.signature = request.sign(server.secret());
    request
}

/// A question that is changed after it was signed.
fn tampered(server: &GameServer, change: impl FnOnce(&mut SignedRequest)) -> SignedRequest {
    let mut request = question(server);
    change(&mut request);
    request
}

async fn a_signature_covers_every_part_of_the_request(shape: Shape) {
    let platform = Platform::start(shape).await;
    let server = platform.game_server();
    server.send(&question(&server)).await.ok();
    server.send(&server.signed(Method::POST, VERIFY, "b=2&a=%20", "{\"token\":\"x\"}")).await.ok();
    let later = (now_ms() + 60_000).to_string();
    for forged in [
        tampered(&server, |request| request.body = json!({ "token": "y" }).to_string()),
        tampered(&server, |request| request.body.push(' ')),
        tampered(&server, |request| request.query = "x=1".to_owned()),
        tampered(&server, |request| request.path.push_str("-batch")),
        tampered(&server, |request| request.nonce.push('0')),
        tampered(&server, |request| request.timestamp = later),
        tampered(&server, |request| request.signature = "0".repeat(64)),
        tampered(&server, |request| request.signature = request.sign("another secret")),
    ] {
        assert_eq!(server.send(&forged).await.refused(4_010_002).status, 401);
    }
}

async fn missing_and_malformed_headers_are_refused_as_such(shape: Shape) {
    let platform = Platform::start(shape).await;
    let server = platform.game_server();
    for malformed in [
        resigned(&server, |request| request.app_id.clear()),
        resigned(&server, |request| request.app_id = "ann".to_owned()),
        resigned(&server, |request| request.app_id = "-1".to_owned()),
        resigned(&server, |request| request.nonce.clear()),
        resigned(&server, |request| request.nonce = "1234567".to_owned()),
        resigned(&server, |request| request.nonce = "n".repeat(65)),
        resigned(&server, |request| request.nonce = "with a blank".to_owned()),
        tampered(&server, |request| request.signature.clear()),
    ] {
        assert_eq!(server.send(&malformed).await.refused(4_010_001).status, 401);
    }
    for accepted in ["12345678".to_owned(), "n".repeat(64)] {
        server.send(&resigned(&server, |request| request.nonce = accepted)).await.ok();
    }

    let without_headers = platform.client().post(VERIFY, &json!({ "token": "x" })).await;
    assert_eq!(without_headers.refused(4_010_001).status, 401);
}

async fn a_stale_timestamp_is_refused(shape: Shape) {
    const MINUTE: u128 = 60_000;
    let platform = Platform::start(shape).await;
    let server = platform.game_server();
    let at = |at: u128| resigned(&server, |request| request.timestamp = at.to_string());
    for inside in [now_ms() - 4 * MINUTE, now_ms() + 4 * MINUTE] {
        server.send(&at(inside)).await.ok();
    }
    for outside in [0, now_ms() - 6 * MINUTE, now_ms() + 6 * MINUTE, now_ms() / 1000] {
        assert_eq!(server.send(&at(outside)).await.refused(4_010_003).status, 401);
    }
    for no_time in ["", "now", "-5", "1e12", "99999999999999999999999"] {
        let answer = server.send(&resigned(&server, |request| request.timestamp = no_time.to_owned())).await;
        assert!(matches!(answer.code(), 4_010_001 | 4_010_003), "{answer:?}");
    }
}

async fn the_right_signature_of_another_app_is_refused(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (server, other) = (platform.game_server(), platform.game_server_of(platform.create_app("other").await));
    let own_name = question(&server).app_id;
    other.send(&question(&other)).await.ok();
    other.send(&resigned(&other, |request| request.app_id = own_name)).await.refused(4_010_002);
    let nobody = resigned(&server, |request| request.app_id = "987654321".to_owned());
    server.send(&nobody).await.refused(4_010_002);
}

async fn a_question_may_be_asked_again_with_the_same_nonce(shape: Shape) {
    let platform = Platform::start(shape).await;
    let server = platform.game_server();
    let asked = question(&server);
    for _ in 0..3 {
        assert_eq!(server.send(&asked).await.ok()["status"], "invalid");
    }
}

async fn a_rotated_secret_works_at_once_beside_the_one_before_it(shape: Shape) {
    let platform = Platform::start(shape).await;
    let first = platform.game_server();
    first.send(&question(&first)).await.ok();
    let second = platform.game_server_of(platform.rotate_secret().await);
    for server in [&second, &first, &second] {
        server.send(&question(server)).await.ok();
    }
    let third = platform.game_server_of(platform.rotate_secret().await);
    eventually("the oldest secret is refused", || async {
        third.send(&question(&third)).await.ok();
        second.send(&question(&second)).await.ok();
        (first.send(&question(&first)).await.code() == 4_010_002).then_some(())
    })
    .await;
}

async fn a_header_that_comes_twice_is_no_credential(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let bearer = format!("Bearer {}", ann.tokens.access_token);
    let me = platform.client().request(Method::GET, "/v1/sdk/me").header("authorization", &bearer);
    platform.client().send(me.header("authorization", "Bearer another")).await.refused(4_010_001);

    let server = platform.game_server();
    let request = question(&server);
    let post = platform.client().request(Method::POST, VERIFY).header("content-type", "application/json");
    let twice = post
        .header("x-app-id", &request.app_id)
        .header("x-timestamp", &request.timestamp)
        .header("x-nonce", &request.nonce)
        .header("x-nonce", "another-nonce")
        .header("x-signature", &request.signature)
        .body(request.body.clone());
    platform.client().send(twice).await.refused(4_010_001);
}

async fn the_signature_is_checked_before_the_body_is_looked_at(shape: Shape) {
    let platform = Platform::start(shape).await;
    let server = platform.game_server();
    server.send(&tampered(&server, |request| request.body = "no json".to_owned())).await.refused(4_010_002);
    server.send(&resigned(&server, |request| request.body = "no json".to_owned())).await.refused(4_000_002);
}

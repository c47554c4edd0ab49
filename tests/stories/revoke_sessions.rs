//! A game server signs players out: one session, or all of an account. Each request counts once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{GameServer, Platform, Shape, SignedRequest, in_every_shape};

in_every_shape!(
    a_game_server_ends_one_session_and_leaves_the_others,
    a_game_server_ends_every_session_of_an_account,
    another_app_ends_nothing,
    a_revocation_that_is_sent_again_is_refused,
    a_revocation_names_exactly_one_target,
);

const REVOKE: &str = "/v1/server/sessions/revoke";

fn revocation(server: &GameServer, body: &Value) -> SignedRequest {
    server.signed(Method::POST, REVOKE, "", &body.to_string())
}

async fn a_game_server_ends_one_session_and_leaves_the_others(shape: Shape) {
    let platform = Platform::start(shape).await;
    let server = platform.game_server();
    let here = platform.register("ann").await;
    let there = here.login().await;
    let session = server.verify(&here.tokens.access_token).await.session_id;
    let revoked = server.send(&revocation(&server, &json!({ "session_id": session, "reason": "cheating" }))).await;
    assert_eq!(revoked.ok()["revoked"], 1);
    platform.is_revoked(&here.tokens.access_token).await;
    assert_eq!(server.verify(&there.tokens.access_token).await.status, "valid");
    let again = server.send(&revocation(&server, &json!({ "session_id": session, "reason": "cheating" }))).await;
    assert_eq!(again.ok()["revoked"], 0, "it had ended before");
}

async fn a_game_server_ends_every_session_of_an_account(shape: Shape) {
    let platform = Platform::start(shape).await;
    let server = platform.game_server();
    let here = platform.register("ann").await;
    let there = here.login().await;
    let account = server.verify(&here.tokens.access_token).await.account_id;
    let revoked = server.send(&revocation(&server, &json!({ "account_id": account, "reason": "cheating" }))).await;
    assert_eq!(revoked.ok()["revoked"], 2);
    for ended in [&here, &there] {
        platform.is_revoked(&ended.tokens.access_token).await;
        assert_eq!(ended.refresh().await.status, 401);
    }
}

async fn another_app_ends_nothing(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (server, other) = (platform.game_server(), platform.game_server_of(platform.create_app("other").await));
    let ann = platform.register("ann").await;
    let verdict = server.verify(&ann.tokens.access_token).await;
    for target in [json!({ "account_id": verdict.account_id }), json!({ "session_id": verdict.session_id })] {
        let mut body = target;
        body["reason"] = json!("none of their business");
        other.send(&revocation(&other, &body)).await;
        assert_eq!(server.verify(&ann.tokens.access_token).await.status, "valid");
    }
}

async fn a_revocation_that_is_sent_again_is_refused(shape: Shape) {
    let platform = Platform::start(shape).await;
    let server = platform.game_server();
    let ann = platform.register("ann").await;
    let account = server.verify(&ann.tokens.access_token).await.account_id;
    let request = revocation(&server, &json!({ "account_id": account, "reason": "cheating" }));
    server.send(&request).await.ok();
    let back = ann.login().await;
    for _ in 0..2 {
        assert_eq!(server.send(&request).await.refused(4_010_004).status, 401);
    }
    assert_eq!(server.verify(&back.tokens.access_token).await.status, "valid", "a replay ends nothing");
}

async fn a_revocation_names_exactly_one_target(shape: Shape) {
    let platform = Platform::start(shape).await;
    let server = platform.game_server();
    for body in [json!({ "reason": "x" }), json!({ "account_id": 1, "session_id": "s", "reason": "x" })] {
        server.send(&revocation(&server, &body)).await.refused_field(4_000_001, "account_id");
    }
    server.send(&revocation(&server, &json!({ "account_id": 1 }))).await.refused_field(4_000_001, "reason");
}

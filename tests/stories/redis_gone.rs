//! What replicas share lies in Redis. Redis dies, hangs and comes back: no player and no game server notices.

use reqwest::Method;
use serde_json::json;
use xtask::services::Redis;

use crate::support::{GameServer, Platform, Shape, SignedRequest, eventually, in_every_shape};

in_every_shape!(
    a_nonce_stays_used_when_the_gateway_is_started_again,
    while_redis_is_gone_everything_goes_on,
    a_redis_that_hangs_is_not_waited_for,
    a_platform_starts_while_redis_is_gone_and_finds_it_later,
);

async fn platform_on(redis: &Redis, shape: Shape) -> Platform {
    Platform::build(shape).set("redis.url", &redis.url()).start().await
}

fn revocation(server: &GameServer, account_id: Option<i64>) -> SignedRequest {
    let body = json!({ "account_id": account_id, "reason": "cheating" });
    server.signed(Method::POST, "/v1/server/sessions/revoke", "", &body.to_string())
}

/// Everything that players and game servers do, once.
async fn assert_everything_goes_on(platform: &Platform, username: &str) {
    // One gateway: while Redis is away, each knows only the nonces that it has seen itself.
    let server = platform.game_server_at(platform.front().replica(0));
    let player = platform.register(username).await;
    let again = player.login().await;
    again.refresh().await.ok();
    let verdict = platform.verify(&player.tokens.access_token).await;
    assert_eq!(verdict.status, "valid");
    player.logout().await.ok();
    platform.is_revoked(&player.tokens.access_token).await;
    let request = revocation(&server, verdict.account_id);
    server.send(&request).await.ok();
    platform.is_revoked(&again.tokens.access_token).await;
    server.send(&request).await.refused(4_010_004);
}

async fn a_nonce_stays_used_when_the_gateway_is_started_again(shape: Shape) {
    let redis = Redis::start().unwrap();
    let mut platform = platform_on(&redis, shape).await;
    let (server, ann) = (platform.game_server(), platform.register("ann").await);
    let request = revocation(&server, platform.verify(&ann.tokens.access_token).await.account_id);
    server.send(&request).await.ok();
    platform.kill(platform.front());
    platform.restart(platform.front()).await;
    server.send(&request).await.refused(4_010_004);
}

async fn while_redis_is_gone_everything_goes_on(shape: Shape) {
    let mut redis = Redis::start().unwrap();
    let platform = platform_on(&redis, shape).await;
    let ann = platform.register("ann").await;
    redis.kill().unwrap();
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    assert_everything_goes_on(&platform, "bob").await;
    redis.restart().unwrap();
    assert_everything_goes_on(&platform, "cid").await;
}

async fn a_redis_that_hangs_is_not_waited_for(shape: Shape) {
    let mut redis = Redis::start().unwrap();
    let platform = platform_on(&redis, shape).await;
    let ann = platform.register("ann").await;
    redis.freeze().unwrap();
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    assert_everything_goes_on(&platform, "bob").await;
    redis.thaw().unwrap();
    assert_everything_goes_on(&platform, "cid").await;
}

async fn a_platform_starts_while_redis_is_gone_and_finds_it_later(shape: Shape) {
    let mut redis = Redis::start().unwrap();
    redis.kill().unwrap();
    let platform = platform_on(&redis, shape).await;
    assert_everything_goes_on(&platform, "ann").await;
    redis.restart().unwrap();
    for operator in platform.operators(platform.front()) {
        eventually("Redis is found", || async {
            operator.get("/metrics").await.text.contains("playgate_redis_up 1").then_some(())
        })
        .await;
    }
    assert_everything_goes_on(&platform, "bob").await;
}

//! A player who wants to leave, and thinks better of it.

use serde_json::{Value, json};

use crate::support::{Platform, Shape, in_both_shapes};

in_both_shapes!(
    a_player_asks_to_be_deleted_sees_when_and_calls_it_off,
    a_login_says_that_the_account_is_to_be_deleted_and_keeps_it_on_request,
    nobody_asks_for_it_without_a_good_token,
);

const FIFTEEN_DAYS: i64 = 15 * 24 * 3600 * 1000;

async fn a_player_asks_to_be_deleted_sees_when_and_calls_it_off(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("annabelle").await;
    let elsewhere = ann.login().await;
    assert_eq!(ann.me().await.ok()["deletion"], Value::Null);
    let asked = ann.request_deletion().await.ok();
    assert_eq!(asked["state"], "requested");
    let created_at = ann.me().await.ok()["created_at"].as_i64().unwrap();
    assert!(asked["executes_at"].as_i64().unwrap() >= created_at + FIFTEEN_DAYS, "{asked}");
    assert_eq!(ann.request_deletion().await.ok(), asked);
    assert_eq!(ann.me().await.ok()["deletion"], asked);
    platform.is_revoked(&elsewhere.tokens.access_token).await;
    let told = elsewhere.refresh().await.refused(4_010_104).json();
    assert_eq!(told["details"]["reason"], "account_deletion");
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    for _ in 0..2 {
        assert_eq!(ann.cancel_deletion().await.ok(), json!({ "state": "cancelled" }));
    }
    assert_eq!(ann.me().await.ok()["deletion"], Value::Null);
    ann.login().await;
}

async fn a_login_says_that_the_account_is_to_be_deleted_and_keeps_it_on_request(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("annabelle").await;
    let asked = ann.request_deletion().await.ok();
    let refused = ann.try_login().await.refused(4_030_102).json();
    assert_eq!(refused["details"]["executes_at"], asked["executes_at"].to_string());
    let wrong = json!({ "password": "not the password", "cancel_deletion": true });
    ann.try_login_with(wrong).await.refused(4_010_101);
    ann.try_login().await.refused(4_030_102);
    let kept = ann.try_login_with(json!({ "cancel_deletion": true })).await.ok();
    assert_eq!(kept["account_id"], ann.tokens.account_id);
    assert_eq!(ann.login().await.me().await.ok()["deletion"], Value::Null);
}

async fn nobody_asks_for_it_without_a_good_token(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("annabelle").await;
    platform.client().post("/v1/sdk/deletion", &json!({})).await.refused(4_010_001);
    ann.logout().await.ok();
    platform.is_revoked(&ann.tokens.access_token).await;
    ann.request_deletion().await.refused(4_010_104);
    ann.login().await;
}

//! An app says on how many devices a player may be signed in at once.

use serde_json::{Value, json};

use crate::support::{Answer, Platform, Player, Shape, eventually, in_both_shapes};

in_both_shapes!(
    a_login_on_one_device_too_many_ends_the_oldest_session_which_is_told_why,
    a_login_on_one_device_too_many_is_refused_until_there_is_a_place,
    a_class_that_does_not_exist_is_refused_by_name,
);

/// Limits the story's app. The one account instance of a story follows before it answers.
async fn limit(platform: &Platform, devices: &Value) {
    platform.admin().set_policy(platform.app().app_id, &json!({ "devices": devices })).await;
}

async fn login_on(player: &Player, device: &str, class: &str) -> Answer {
    player.try_login_with(json!({ "device_id": device, "device_class": class })).await
}

fn token(answer: &Answer, name: &str) -> String {
    answer.ok()[name].as_str().unwrap().to_owned()
}

async fn a_login_on_one_device_too_many_ends_the_oldest_session_which_is_told_why(shape: Shape) {
    let platform = Platform::start(shape).await;
    limit(&platform, &json!({ "mobile": { "max": 2, "on_excess": "kick_oldest" } })).await;
    let first = platform.register("ann").await;
    let [second, third] = [login_on(&first, "tablet", "mobile").await, login_on(&first, "phone", "mobile").await];
    let desktop = login_on(&first, "pc", "desktop").await;
    assert_eq!(platform.verify(&first.tokens.access_token).await.status, "revoked");
    for live in [&second, &third, &desktop] {
        assert_eq!(platform.verify(&token(live, "access_token")).await.status, "valid");
    }
    for told in [first.refresh().await, first.me().await, first.logout().await] {
        assert_eq!(told.refused(4_010_104).json()["details"], json!({ "reason": "device_limit" }));
    }
    let sessions = platform.admin().get("/admin/v1/accounts?username=ann").await.ok();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 3, "{sessions}");
}

async fn a_login_on_one_device_too_many_is_refused_until_there_is_a_place(shape: Shape) {
    let platform = Platform::start(shape).await;
    limit(&platform, &json!({ "mobile": { "max": 1, "on_excess": "refuse_newest" } })).await;
    let first = platform.register("ann").await;
    assert_eq!(login_on(&first, "tablet", "mobile").await.refused(4_030_105).status, 403);
    login_on(&first, "browser", "web").await.ok();
    assert_eq!(platform.verify(&first.tokens.access_token).await.status, "valid");
    first.logout().await.ok();
    let again = login_on(&first, "tablet", "mobile").await;
    let reinstalled = login_on(&first, "tablet", "mobile").await;
    assert_eq!(
        platform.verify(&token(&again, "access_token")).await.status,
        "revoked",
        "its own device takes its place"
    );
    assert_eq!(platform.verify(&token(&reinstalled, "access_token")).await.status, "valid");
    limit(&platform, &json!({ "mobile": null })).await;
    eventually("there is no limit any more", || async {
        (login_on(&first, "phone", "mobile").await.status == 200).then_some(())
    })
    .await;
}

async fn a_class_that_does_not_exist_is_refused_by_name(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    login_on(&ann, "kitchen", "fridge").await.refused_field(4_000_001, "device_class");
}

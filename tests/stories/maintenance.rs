//! A game is closed for a while: only those on the list get in, those who play go on, and everybody is told when it is over.

use serde_json::{Value, json};

use crate::support::{Answer, Platform, Shape, eventually, in_every_shape, now_ms};

in_every_shape!(
    in_maintenance_only_those_on_the_list_sign_in_and_those_who_play_go_on,
    a_maintenance_without_a_list_keeps_everybody_out_until_it_is_over,
    whoever_is_not_on_the_list_learns_nothing_of_any_account,
    while_registration_is_closed_no_account_is_made,
    kinds_of_sign_in_are_switched_off_and_on,
);

const MESSAGE: &str = "Back at ten. 十点见。";

fn maintenance(value: &Value) -> Value {
    json!({ "settings": {
        "platform.maintenance": { "type": "json", "value": value },
        "motd": { "type": "string", "value": "hello" },
    }})
}

#[track_caller]
fn is_under_maintenance(answer: &Answer) {
    assert_eq!(answer.refused(5_030_004).status, 503);
    assert_eq!(answer.json()["message"], MESSAGE, "{answer:?}");
}

async fn in_maintenance_only_those_on_the_list_sign_in_and_those_who_play_go_on(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (ann, tester) = (platform.register("ann").await, platform.register("tester").await);
    let list = [tester.tokens.account_id];
    platform.publish(&maintenance(&json!({ "message": MESSAGE, "allow_accounts": list }))).await;

    is_under_maintenance(&ann.try_login().await);
    is_under_maintenance(&platform.try_register("bob").await);
    let device = json!({ "app_id": platform.app().app_id, "kind": "device", "device_id": "never-seen" });
    is_under_maintenance(&platform.client().post("/v1/sdk/login", &device).await);
    let inside = tester.login().await;
    assert_eq!(inside.welcome["degraded"], json!([]));

    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    let refreshed = ann.refresh().await.ok();
    assert_eq!(ann.me().await.ok()["account_id"], ann.tokens.account_id);
    assert_eq!(platform.settings("").await.ok()["settings"], json!({ "motd": "hello" }), "no setting of the game");
    let mut later = ann.clone();
    later.tokens = serde_json::from_value(refreshed).expect("tokens");
    later.logout().await.ok();

    platform.publish(&maintenance(&Value::Null)).await;
    ann.login().await;
    platform.register("bob").await;
}

async fn a_maintenance_without_a_list_keeps_everybody_out_until_it_is_over(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let until = now_ms() + 5_000;
    platform.publish(&maintenance(&json!({ "message": MESSAGE, "until": until }))).await;
    let refused = ann.try_login().await;
    if now_ms() < until {
        is_under_maintenance(&refused);
        assert_eq!(refused.json()["details"]["until"], until.to_string());
        // By the end, and a quarter more or less; never longer.
        assert!(
            refused.json()["retry_after_ms"].as_u64().is_some_and(|wait| (1..=6_250).contains(&wait)),
            "{refused:?}"
        );
    }
    eventually("it is over by itself", || async { (ann.try_login().await.status == 200).then_some(()) }).await;
    assert!(now_ms() >= until, "and not before its end");
    platform.register("bob").await;
}

async fn whoever_is_not_on_the_list_learns_nothing_of_any_account(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (ann, tester) = (platform.register("ann").await, platform.register("tester").await);
    let list = [tester.tokens.account_id];
    platform.publish(&maintenance(&json!({ "message": MESSAGE, "allow_accounts": list }))).await;
    let wrong = json!({ "password": "some other words here" });
    let nobody = json!({ "username": "nobody" });
    for told in [
        ann.try_login().await,
        ann.try_login_with(wrong.clone()).await,
        ann.try_login_with(nobody).await,
        tester.try_login_with(wrong).await,
    ] {
        is_under_maintenance(&told);
        let body = told.json();
        assert!(body.get("details").is_none(), "{body}");
    }
    tester.login().await;
}

async fn while_registration_is_closed_no_account_is_made(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let device = |device_id: &str| json!({ "app_id": platform.app().app_id, "kind": "device", "device_id": device_id });
    let switch =
        |open: bool| json!({ "settings": { "platform.registration_open": { "type": "bool", "value": open } } });
    platform.publish(&switch(false)).await;
    platform.try_register("bob").await.refused(4_030_103);
    platform.client().post("/v1/sdk/login", &device("never-seen")).await.refused(4_030_103);
    ann.login().await;
    platform.publish(&switch(true)).await;
    platform.register("bob").await;
    platform.client().post("/v1/sdk/login", &device("never-seen")).await.ok();
}

async fn kinds_of_sign_in_are_switched_off_and_on(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let device = json!({ "app_id": platform.app().app_id, "kind": "device", "device_id": "never-seen" });
    let only = |kinds: &[&str]| json!({ "settings": { "platform.login_kinds": { "type": "json", "value": kinds } } });
    platform.publish(&only(&["device", "phone"])).await;
    ann.try_login().await.refused(4_030_103);
    platform.try_register("bob").await.refused(4_030_103);
    platform.client().post("/v1/sdk/login", &device).await.ok();
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    platform.admin().set_policy(platform.app().app_id, &json!({ "login_kinds": ["password"] })).await;
    eventually("neither of the two is enough", || async {
        let answer = platform.client().post("/v1/sdk/login", &device).await;
        (answer.status == 403).then_some(())
    })
    .await;
    platform.publish(&only(&["password", "device"])).await;
    ann.login().await;
}

//! A player mistyped too often and asks support. An operator lifts the lock, and the player is in.

use serde_json::{Value, json};
use xtask::services::Redis;

use crate::support::{Answer, Builder, Platform, Shape, eventually, in_every_shape};

in_every_shape!(
    a_player_who_is_locked_out_gets_in_once_an_operator_has_lifted_the_lock,
    while_redis_is_gone_no_lock_is_said_to_be_lifted,
);

const WRONG_CREDENTIALS: i64 = 4_010_101;
const TOO_MANY_FAILURES: i64 = 4_230_101;
const UNAVAILABLE: i64 = 5_030_002;
const PASSWORD: &str = "correct horse battery staple";
const WRONG: &str = "wrong horse battery staple";

/// Longer than any story takes.
const THREE_FAILURES_LOCK: &str = r#"[{ failures = 3, wait = "1h" }]"#;

fn strict(shape: Shape) -> Builder {
    Platform::build(shape)
        .set("account.risk.account_ladder", THREE_FAILURES_LOCK)
        .set("account.risk.device_ladder", THREE_FAILURES_LOCK)
}

async fn ask(platform: &Platform, path: &str, password: &str, device: &str) -> Answer {
    let body = json!({
        "kind": "password", "username": "annabel", "password": password, "device_id": device,
        "app_id": platform.app().app_id,
    });
    platform.client().post(path, &body).await
}

async fn login(platform: &Platform, password: &str, device: &str) -> Answer {
    ask(platform, "/v1/sdk/login", password, device).await
}

/// Ann on her phone, and three failures on a laptop that she has never used before.
async fn locked_out(platform: &Platform) -> Value {
    let ann = ask(platform, "/v1/sdk/register", PASSWORD, "anns phone").await.ok()["account_id"].clone();
    for _ in 0..3 {
        login(platform, WRONG, "laptop").await.refused(WRONG_CREDENTIALS);
    }
    login(platform, PASSWORD, "laptop").await.refused(TOO_MANY_FAILURES);
    ann
}

async fn a_player_who_is_locked_out_gets_in_once_an_operator_has_lifted_the_lock(shape: Shape) {
    let platform = strict(shape).start().await;
    let (ann, admin) = (locked_out(&platform).await, platform.admin());
    let unlock = format!("/admin/v1/accounts/{ann}/unlock");
    admin.post(&unlock, &json!({})).await.refused_field(4_000_001, "reason");
    admin.post("/admin/v1/accounts/1/unlock", &json!({ "reason": "ticket 7" })).await.refused(4_040_101);
    login(&platform, PASSWORD, "laptop").await.refused(TOO_MANY_FAILURES);

    // On which devices sign-ins failed is in the history, which is written beside the requests.
    let history = format!("/admin/v1/accounts/{ann}/history");
    eventually("the failures are in the history", || async {
        let events = admin.get(&history).await.ok()["events"].as_array().unwrap().clone();
        (events.iter().filter(|event| event["kind"] == "sign_in_failed").count() == 3).then_some(())
    })
    .await;
    let unlocked = admin.post(&unlock, &json!({ "reason": "ticket 7" })).await.ok();
    assert_eq!(unlocked, json!({ "unlocked": ["account", "device"] }));
    login(&platform, PASSWORD, "laptop").await.ok();
    assert_eq!(admin.post(&unlock, &json!({ "reason": "again" })).await.ok(), json!({ "unlocked": [] }));

    let audit = admin.get(&format!("/admin/v1/audit?target_kind=account&target_id={ann}")).await.ok();
    let told: Vec<_> = audit["records"].as_array().unwrap().iter().map(|record| &record["details"]).collect();
    let expected = [
        json!({ "reason": "again", "unlocked": [] }),
        json!({ "reason": "ticket 7", "unlocked": ["account", "device"] }),
    ];
    assert_eq!(told, expected.iter().collect::<Vec<_>>());
    eventually("the player can read of it", || async {
        let events = admin.get(&history).await.ok()["events"].as_array().unwrap().clone();
        events.iter().any(|event| event["kind"] == "unlocked").then_some(())
    })
    .await;
    assert!(!platform.logs().contains("annabel"), "whose lock it was is not in the log");
}

async fn while_redis_is_gone_no_lock_is_said_to_be_lifted(shape: Shape) {
    let mut redis = Redis::start().unwrap();
    let platform = strict(shape).set("redis.url", &redis.url()).start().await;
    let (ann, admin) = (locked_out(&platform).await, platform.admin());
    let unlock = format!("/admin/v1/accounts/{ann}/unlock");
    redis.kill().unwrap();
    let refused = admin.post(&unlock, &json!({ "reason": "ticket 7" })).await;
    assert!(refused.refused(UNAVAILABLE).json()["retry_after_ms"].as_u64() > Some(0), "{refused:?}");
    let audit = admin.get(&format!("/admin/v1/audit?target_kind=account&target_id={ann}")).await.ok();
    assert_eq!(audit["records"], json!([]), "what was not done is not recorded");
    login(&platform, PASSWORD, "anns phone").await.ok();
    redis.restart().unwrap();
    // Redis has forgotten the lock with everything else. The call is answered again.
    eventually("the call is answered", || async {
        let answer = admin.post(&unlock, &json!({ "reason": "ticket 7" })).await;
        (answer.code() != UNAVAILABLE).then(|| answer.ok())
    })
    .await;
    // In a fleet the other account may find Redis a moment later.
    eventually("the player is in", || async {
        let answer = login(&platform, PASSWORD, "laptop").await;
        (answer.code() != TOO_MANY_FAILURES).then(|| answer.ok())
    })
    .await;
}

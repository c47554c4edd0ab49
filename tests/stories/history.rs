//! A player looks at what happened to the account, and an operator does.

use serde_json::{Value, json};

use crate::support::{Platform, Player, Shape, eventually, in_every_shape};

in_every_shape!(
    a_player_and_an_operator_see_who_signed_in_and_who_tried_to,
    what_happened_just_before_a_restart_is_not_forgotten,
);

/// Kind and reason of each event, newest first.
fn told(page: &Value) -> Vec<(String, String)> {
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let events = page["events"].as_array().unwrap();
    events.iter().map(|event| (text(event, "kind"), text(event, "reason"))).collect()
}

/// Once the newest event is of that kind.
async fn history_that_ends_with(player: &Player, kind: &'static str) -> Value {
    eventually(kind, async || Some(player.history("").await.ok()).filter(|page| page["events"][0]["kind"] == kind))
        .await
}

async fn a_player_and_an_operator_see_who_signed_in_and_who_tried_to(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("annabelle").await;
    history_that_ends_with(&ann, "account_created").await;
    ann.try_login_with(json!({ "password": "not hers", "device_id": "stranger" })).await.refused(4_010_101);
    let failed = history_that_ends_with(&ann, "sign_in_failed").await;
    assert_eq!(failed["events"][0]["device"], "stranger");
    assert!(failed["events"][0]["address"].is_string());
    let answer = ann.try_login_with(json!({ "device_id": "phone-1" })).await;
    let seen = history_that_ends_with(&ann, "signed_in").await;
    assert_eq!(seen["events"][0]["session_id"], answer.ok()["session_id"]);
    assert_eq!(seen["events"][0]["request_id"], answer.json()["request_id"]);
    let expected = [("signed_in", "password"), ("sign_in_failed", "password"), ("account_created", "password")];
    assert_eq!(told(&seen), expected.map(|(kind, reason)| (kind.to_owned(), reason.to_owned())));

    let newest = ann.history("?limit=1").await.ok();
    assert_eq!(told(&newest), told(&seen)[..1]);
    let older = ann.history(&format!("?before={}", newest["next"].as_str().unwrap())).await.ok();
    assert_eq!((told(&older), &older["next"]), (told(&seen)[1..].to_vec(), &Value::Null));
    ann.history("?before=seven").await.refused_field(4_000_001, "before");

    let path = format!("/admin/v1/accounts/{}/history", ann.tokens.account_id);
    assert_eq!(platform.admin().get(&path).await.ok(), seen);
    platform.admin().get("/admin/v1/accounts/1/history").await.refused(4_040_101);
    let bob = platform.register("robert").await;
    assert_eq!(told(&history_that_ends_with(&bob, "account_created").await).len(), 1, "nothing of hers");
}

async fn what_happened_just_before_a_restart_is_not_forgotten(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("annabelle").await;
    ann.login().await;
    platform.restart_all().await;
    let kinds: Vec<String> = told(&ann.history("").await.ok()).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["signed_in", "account_created"]);
}

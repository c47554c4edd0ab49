//! A player looks at the own account.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Platform, Shape, in_every_shape};

in_every_shape!(
    a_player_sees_credentials_and_sessions,
    the_name_is_masked_and_no_secret_is_shown,
    without_a_good_token_nothing_is_shown
);

async fn a_player_sees_credentials_and_sessions(shape: Shape) {
    let platform = Platform::start(shape).await;
    let first = platform.register("annabelle").await;
    let on_phone = first.try_login_with(json!({ "device_id": "phone-1", "channel": "huawei" })).await.ok();
    let me = first.me().await.ok();
    assert_eq!(me["account_id"], first.tokens.account_id);
    assert!(me["created_at"].as_i64().unwrap() <= first.tokens.access_expires_at);
    assert_eq!(me["credentials"][0]["kind"], "password");

    let sessions = me["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2, "{me}");
    let current: Vec<&Value> = sessions.iter().filter(|session| session["current"] == true).collect();
    assert_eq!(current.len(), 1, "{me}");
    let phone = sessions.iter().find(|session| session["current"] == false).unwrap();
    assert_eq!(phone["channel"], "huawei", "{me}");
    assert!(phone["last_seen_at"].as_i64().unwrap() > 0, "{me}");
    assert!(phone.to_string().contains("phone-1"), "{me}");

    let request = platform.client().request(Method::POST, "/v1/sdk/logout").json(&json!({}));
    platform.client().send(request.bearer_auth(on_phone["access_token"].as_str().unwrap())).await.ok();
    assert_eq!(first.me().await.ok()["sessions"].as_array().unwrap().len(), 1, "a session that ended is not listed");
}

async fn the_name_is_masked_and_no_secret_is_shown(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("annabelle").await;
    let me = ann.me().await;
    let shown = me.ok()["credentials"][0].to_string();
    assert!(shown.contains('*') || shown.contains('…'), "{shown}");
    for secret in ["annabelle", &ann.password, &ann.tokens.access_token, &ann.tokens.refresh_token] {
        assert!(!me.text.contains(secret), "{}", me.text);
    }
}

async fn without_a_good_token_nothing_is_shown(shape: Shape) {
    let platform = Platform::start(shape).await;
    platform.register("ann").await;
    let me = |authorization: Option<&str>| {
        let request = platform.client().request(Method::GET, "/v1/sdk/me");
        platform.client().send(match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        })
    };
    for missing_or_malformed in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic YTpi"), Some("pg1.AAAA")]
    {
        me(missing_or_malformed).await.refused(4_010_001);
    }
    for forged in ["Bearer pg1.AAAA", "Bearer x", "Bearer pg1.!!!!"] {
        me(Some(forged)).await.refused(4_010_102);
    }
}

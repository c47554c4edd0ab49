//! A game reads its settings: the app's, with what its channel changes, and nothing twice.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Platform, Shape, in_every_shape};

in_every_shape!(
    a_game_reads_its_settings_and_a_channel_overrides_them,
    settings_that_did_not_change_are_not_sent_again,
    an_app_without_settings_has_none,
    a_settings_question_without_sense_is_refused_by_field,
);

fn write_documents(platform: &Platform) {
    platform.write_setting(
        "app.json",
        &json!({ "settings": {
            "greeting": { "type": "string", "value": "hello" },
            "max_level": { "type": "number", "value": 60 },
            "pvp": { "type": "bool", "value": true },
            "shop": { "type": "json", "value": { "items": [1, 2] } },
        }}),
    );
    platform.write_setting("channels/huawei.json", &json!({ "settings": { "greeting": "你好", "pvp": false } }));
}

async fn settings(platform: &Platform, channel: Option<&str>, if_none_match: Option<&str>) -> Answer {
    let channel = channel.map_or(String::new(), |channel| format!("&channel={channel}"));
    let path = format!("/v1/sdk/settings?app_id={}{channel}", platform.app().app_id);
    let mut request = platform.client().request(Method::GET, &path);
    if let Some(tag) = if_none_match {
        request = request.header("if-none-match", tag);
    }
    platform.client().send(request).await
}

async fn a_game_reads_its_settings_and_a_channel_overrides_them(shape: Shape) {
    let platform = Platform::start(shape).await;
    write_documents(&platform);
    let everywhere = json!({ "greeting": "hello", "max_level": 60, "pvp": true, "shop": { "items": [1, 2] } });
    let on_huawei = json!({ "greeting": "你好", "max_level": 60, "pvp": false, "shop": { "items": [1, 2] } });
    for (channel, expected) in [(None, &everywhere), (Some("apple"), &everywhere), (Some("huawei"), &on_huawei)] {
        let answer = settings(&platform, channel, None).await;
        assert_eq!(&answer.ok()["settings"], expected, "{channel:?}");
        assert!(!answer.ok()["revision"].is_null(), "{answer:?}");
    }

    let ann = platform.register("ann").await;
    assert_eq!(ann.welcome["settings"], everywhere, "a login brings them along");
    let on_phone = ann.try_login_with(json!({ "channel": "huawei" })).await.ok();
    assert_eq!(on_phone["settings"], on_huawei);
}

async fn settings_that_did_not_change_are_not_sent_again(shape: Shape) {
    let platform = Platform::start(shape).await;
    write_documents(&platform);
    let first = settings(&platform, None, None).await;
    let tag = first.header("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "a strong entity tag: {tag}");

    for matching in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = settings(&platform, None, Some(&matching)).await;
        assert_eq!((again.status, again.header("etag")), (304, tag), "{matching}");
    }
    assert_eq!(settings(&platform, None, Some("\"other\"")).await.status, 200);

    let elsewhere = settings(&platform, Some("huawei"), Some(tag)).await;
    assert_eq!(elsewhere.status, 200, "another channel's settings are other settings");
    assert_ne!(elsewhere.header("etag"), tag);
}

async fn an_app_without_settings_has_none(shape: Shape) {
    let platform = Platform::start(shape).await;
    let answer = settings(&platform, None, None).await;
    assert_eq!(answer.ok()["settings"], json!({}));
    let ann = platform.register("ann").await;
    assert_eq!((&ann.welcome["settings"], &ann.welcome["degraded"]), (&json!({}), &json!([])));
}

async fn a_settings_question_without_sense_is_refused_by_field(shape: Shape) {
    let platform = Platform::start(shape).await;
    let app_id = platform.app().app_id;
    for (query, field) in [
        (String::new(), "app_id"),
        ("app_id=x".to_owned(), "app_id"),
        (format!("app_id={app_id}&channel=../app"), "channel"),
        (format!("app_id={app_id}&channel={}", "x".repeat(100)), "channel"),
    ] {
        let answer = platform.client().get(&format!("/v1/sdk/settings?{query}")).await;
        answer.refused_field(4_000_001, field);
    }
}

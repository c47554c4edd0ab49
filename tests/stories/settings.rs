//! A game reads its settings: the app's, with what its channel changes, and nothing twice.

use serde_json::{Value, json};

use crate::support::{Platform, Shape, in_every_shape};

in_every_shape!(
    a_game_reads_its_settings_and_a_channel_overrides_them,
    settings_that_did_not_change_are_not_sent_again,
    an_app_without_settings_has_none,
    a_settings_question_without_sense_is_refused_by_field,
);

fn document() -> Value {
    json!({
        "settings": {
            "greeting": { "type": "string", "value": "hello" },
            "max_level": { "type": "number", "value": 60 },
            "pvp": { "type": "bool", "value": true },
            "shop": { "type": "json", "value": { "items": [1, 2] } },
        },
        "channels": { "huawei": { "greeting": "你好", "pvp": false } },
    })
}

async fn a_game_reads_its_settings_and_a_channel_overrides_them(shape: Shape) {
    let platform = Platform::start(shape).await;
    let revision = platform.publish(&document()).await;
    let everywhere = json!({ "greeting": "hello", "max_level": 60, "pvp": true, "shop": { "items": [1, 2] } });
    let on_huawei = json!({ "greeting": "你好", "max_level": 60, "pvp": false, "shop": { "items": [1, 2] } });
    for (channel, expected) in [
        ("", &everywhere),
        ("&channel=official", &everywhere),
        ("&channel=apple", &everywhere),
        ("&channel=huawei", &on_huawei),
    ] {
        let answer = platform.settings(channel).await.ok();
        assert_eq!((&answer["settings"], &answer["revision"]), (expected, &json!(revision)), "{channel}");
    }

    let ann = platform.register("ann").await;
    assert_eq!(ann.welcome["settings"], everywhere, "a login brings them along");
    let on_phone = ann.try_login_with(json!({ "channel": "huawei" })).await.ok();
    assert_eq!(on_phone["settings"], on_huawei);
}

async fn settings_that_did_not_change_are_not_sent_again(shape: Shape) {
    let platform = Platform::start(shape).await;
    platform.publish(&document()).await;
    let first = platform.settings("").await;
    let tag = first.header("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "a strong entity tag: {tag}");

    for matching in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let again = platform.settings_unless(&matching, "").await;
        assert_eq!((again.status, again.header("etag")), (304, tag), "{matching}");
    }
    assert_eq!(platform.settings_unless("\"other\"", "").await.status, 200);

    let elsewhere = platform.settings_unless(tag, "&channel=huawei").await;
    assert_eq!(elsewhere.status, 200, "another channel's settings are other settings");
    assert_ne!(elsewhere.header("etag"), tag);
}

async fn an_app_without_settings_has_none(shape: Shape) {
    let platform = Platform::start(shape).await;
    let answer = platform.settings("").await.ok();
    assert_eq!((&answer["settings"], &answer["revision"]), (&json!({}), &json!(0)));
    let ann = platform.register("ann").await;
    assert_eq!(
        (&ann.welcome["settings"], &ann.welcome["notices"], &ann.welcome["degraded"]),
        (&json!({}), &json!([]), &json!([]))
    );
}

async fn a_settings_question_without_sense_is_refused_by_field(shape: Shape) {
    let platform = Platform::start(shape).await;
    let app_id = platform.app().app_id;
    let long = "x".repeat(200);
    for (query, field) in [
        (String::new(), "app_id"),
        ("app_id=x".to_owned(), "app_id"),
        (format!("app_id={app_id}&channel=../app"), "channel"),
        (format!("app_id={app_id}&channel={long}"), "channel"),
        (format!("app_id={app_id}&package={long}"), "package"),
        (format!("app_id={app_id}&version={long}"), "version"),
        (format!("app_id={app_id}&device_id={long}"), "device_id"),
        (format!("app_id={app_id}&device_id="), "device_id"),
        (format!("app_id={app_id}&account_id=0"), "account_id"),
    ] {
        let answer = platform.client().get(&format!("/v1/sdk/settings?{query}")).await;
        answer.refused_field(4_000_001, field);
    }
}

//! What readers are promised.

use common::{error_code::ErrorCode, rpc::Refusal};
use pilota::FastStr;

use super::*;
use crate::testing::{START, Service};

const DOCUMENT: &str = r#"{
    "settings": {"rate": {"type": "number", "value": 1}, "on": {"type": "bool", "value": true}},
    "channels": {"store": {"rate": 2}},
    "rules": [
        {"setting": "on", "value": false, "when": {"accounts": [7]}},
        {"setting": "rate", "value": 9, "when": {"until": 1790000060000}}
    ]
}"#;

fn request(app_id: i64) -> GetSettingsRequest {
    GetSettingsRequest { app_id, ..GetSettingsRequest::default() }
}

fn on_channel(channel: &str) -> GetSettingsRequest {
    GetSettingsRequest { channel: Some(FastStr::new(channel)), ..request(1) }
}

#[tokio::test]
async fn a_player_sees_the_app_s_settings_with_what_is_said_for_channel_and_account() {
    let service = Service::start();
    service.publish(1, 0, DOCUMENT).await.expect("published");
    service.clock.advance(std::time::Duration::from_secs(60));
    let on_store = service.ask(on_channel("store")).await.expect("served");
    assert_eq!((on_store.revision, on_store.settings_json.as_deref()), (1, Some(r#"{"on":true,"rate":2}"#)));
    let official = service.ask(request(1)).await.expect("served");
    assert_eq!(official.settings_json.as_deref(), Some(r#"{"on":true,"rate":1}"#));
    assert_ne!(official.entity_tag, on_store.entity_tag);
    let of_account = GetSettingsRequest { account_id: Some(7), ..request(1) };
    let of_account = service.ask(of_account).await.expect("served");
    assert_eq!(of_account.settings_json.as_deref(), Some(r#"{"on":false,"rate":1}"#));
    assert!(official.depends_on.account_id && !official.depends_on.version, "{:?}", official.depends_on);
    assert_eq!(official.notices_json, "[]");
}

#[tokio::test]
async fn a_window_that_ends_is_announced_and_ends_without_a_new_revision() {
    let service = Service::start();
    service.publish(1, 0, DOCUMENT).await.expect("published");
    let inside = service.ask(request(1)).await.expect("served");
    assert_eq!(inside.settings_json.as_deref(), Some(r#"{"on":true,"rate":9}"#));
    assert_eq!(inside.valid_until, Some(START.as_millis() + 60_000));
    service.clock.advance(std::time::Duration::from_secs(60));
    let outside = service.ask(request(1)).await.expect("served");
    assert_eq!((outside.revision, outside.valid_until), (1, None));
    assert_eq!(outside.settings_json.as_deref(), Some(r#"{"on":true,"rate":1}"#));
    assert_ne!(outside.entity_tag, inside.entity_tag);
}

#[tokio::test]
async fn an_app_without_settings_has_an_empty_object_and_a_tag() {
    let answer = Service::start().ask(request(9)).await.expect("served");
    assert_eq!((answer.revision, answer.settings_json.as_deref()), (0, Some("{}")));
    assert!(answer.entity_tag.starts_with('"'), "{}", answer.entity_tag);
}

#[tokio::test]
async fn who_has_the_current_settings_is_not_sent_them_again() {
    let service = Service::start();
    let first = service.ask(request(1)).await.expect("served");
    for held in [first.entity_tag.to_string(), format!("\"old\", W/{}", first.entity_tag), "*".to_owned()] {
        let again = GetSettingsRequest { if_none_match: Some(FastStr::from(held)), ..request(1) };
        let answer = service.ask(again).await.expect("served");
        assert_eq!((answer.settings_json, answer.entity_tag), (None, first.entity_tag.clone()));
    }
    let outdated = GetSettingsRequest { if_none_match: Some(FastStr::from_static_str("\"old\"")), ..request(1) };
    assert!(service.ask(outdated).await.expect("served").settings_json.is_some());
}

#[tokio::test]
async fn an_argument_that_can_not_be_is_refused_and_named() {
    let service = Service::start();
    for (bad, field) in [(on_channel("../official"), "channel"), (on_channel(""), "channel"), (request(0), "app_id")] {
        let refusal = service.ask(bad).await.expect_err("refused").public();
        assert_eq!(refusal.code, ErrorCode::INVALID_ARGUMENT);
        assert_eq!(refusal.details[0].0, field);
    }
}

#[tokio::test]
async fn a_version_that_can_not_be_read_keeps_nobody_from_playing() {
    let service = Service::start();
    service.publish(1, 0, DOCUMENT).await.expect("published");
    let odd = GetSettingsRequest { version: Some(FastStr::from_static_str("über-alles")), ..request(1) };
    assert_eq!(service.ask(odd).await.expect("served").revision, 1);
}

#[tokio::test]
async fn who_has_seen_a_later_revision_is_answered_from_it() {
    let service = Service::start();
    service.publish(1, 0, DOCUMENT).await.expect("published");
    let other = service.replica();
    assert_eq!(other.revision(1).await, 1);
    service.publish(1, 1, r#"{"settings":{}}"#).await.expect("published");
    assert_eq!(other.revision(1).await, 1, "it has not looked yet");
    let asked = GetSettingsRequest { min_revision: Some(2), ..request(1) };
    assert_eq!(other.ask(asked).await.expect("served").revision, 2);
    let unheard_of = GetSettingsRequest { min_revision: Some(i64::MAX), ..request(1) };
    assert_eq!(other.ask(unheard_of).await.expect("served all the same").revision, 2);
}

#[tokio::test]
async fn a_broken_document_is_our_fault_and_not_an_empty_answer() {
    let service = Service::start();
    service.publish(1, 0, DOCUMENT).await.expect("published");
    std::fs::write(service.root().join("apps/1/versions/1.json"), "{").expect("writes");
    let refusal = service.replica().ask(request(1)).await.expect_err("nothing good is known").public();
    assert_eq!(refusal.code, ErrorCode::DEPENDENCY_UNAVAILABLE);
    assert!(refusal.retry_after.is_some());
    assert!(!format!("{refusal:?}").contains("versions"), "paths stay inside: {refusal:?}");
    assert!(service.replica().ask(request(2)).await.is_ok(), "another app is not affected");
    assert_eq!(service.revision(1).await, 1, "and neither is who has a good copy");
}

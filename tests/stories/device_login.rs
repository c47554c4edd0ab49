//! A player who never makes a username: the device is the account, and its secret the key.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Platform, Shape, in_every_shape};

in_every_shape!(
    a_new_device_gets_an_account_and_its_secret_once,
    a_known_device_without_its_secret_is_refused,
    two_first_logins_of_one_device_at_once_make_one_account,
    a_first_login_whose_answer_was_lost_can_be_repeated_with_a_secret_of_the_clients_own,
    the_same_device_in_another_app_is_another_player,
);

async fn login(platform: &Platform, app_id: i64, device_id: &str, device_secret: Option<&str>) -> Answer {
    let mut body = json!({ "app_id": app_id, "kind": "device", "device_id": device_id });
    if let Some(secret) = device_secret {
        body["device_secret"] = secret.into();
    }
    platform.client().post("/v1/sdk/login", &body).await
}

fn secret_of(data: &Value) -> &str {
    data["device_secret"].as_str().unwrap_or_else(|| panic!("no device_secret in {data}"))
}

async fn a_new_device_gets_an_account_and_its_secret_once(shape: Shape) {
    let platform = Platform::start(shape).await;
    let app_id = platform.app().app_id;
    let first = login(&platform, app_id, "phone-1", None).await.ok();
    assert_eq!(first["is_new_account"], true);

    let again = login(&platform, app_id, "phone-1", Some(secret_of(&first))).await.ok();
    assert_eq!(again["is_new_account"], false);
    assert_eq!(again["account_id"], first["account_id"]);
    assert!(again.get("device_secret").is_none_or(Value::is_null), "the secret is answered once");

    let verdict = platform.verify(again["access_token"].as_str().unwrap()).await;
    assert_eq!((verdict.status.as_str(), verdict.device_id.as_deref()), ("valid", Some("phone-1")));
}

async fn a_known_device_without_its_secret_is_refused(shape: Shape) {
    let platform = Platform::start(shape).await;
    let app_id = platform.app().app_id;
    let secret = login(&platform, app_id, "phone-1", None).await.ok();
    let other = login(&platform, app_id, "phone-2", None).await.ok();
    for wrong in [None, Some("guess"), Some(secret_of(&other))] {
        login(&platform, app_id, "phone-1", wrong).await.refused(4_010_101);
    }
    login(&platform, app_id, "phone-1", Some(secret_of(&secret))).await.ok();
}

async fn two_first_logins_of_one_device_at_once_make_one_account(shape: Shape) {
    let platform = Platform::start(shape).await;
    let app_id = platform.app().app_id;
    let answers = join_all((0..8).map(|_| login(&platform, app_id, "phone-1", None))).await;
    let created: Vec<Value> = answers.iter().filter(|answer| answer.status == 200).map(Answer::ok).collect();
    assert_eq!(created.len(), 1, "one of them holds the secret, the others are told that it is needed: {answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 200) {
        refused.refused(4_010_101);
    }
    let again = login(&platform, app_id, "phone-1", Some(secret_of(&created[0]))).await.ok();
    assert_eq!(again["account_id"], created[0]["account_id"]);
}

async fn a_first_login_whose_answer_was_lost_can_be_repeated_with_a_secret_of_the_clients_own(shape: Shape) {
    let platform = Platform::start(shape).await;
    let app_id = platform.app().app_id;
    let secret = "5d41402abc4b2a76b9719d911017c592e3b0c44298fc1c149afbf4c8996fb924";
    let first_login = json!({
        "app_id": app_id, "kind": "device", "device_id": "phone-1", "new_device_secret": secret,
    });
    let lost = platform.client().post("/v1/sdk/login", &first_login).await.ok();
    assert_eq!(secret_of(&lost), secret);
    let repeated = platform.client().post("/v1/sdk/login", &first_login).await.ok();
    assert_eq!((&repeated["account_id"], &repeated["is_new_account"]), (&lost["account_id"], &json!(false)));
    login(&platform, app_id, "phone-1", Some(secret)).await.ok();
    login(&platform, app_id, "phone-1", None).await.refused(4_010_101);

    let mut weak = first_login;
    weak["new_device_secret"] = "my phone".into();
    platform.client().post("/v1/sdk/login", &weak).await.refused_field(4_000_001, "new_device_secret");
}

async fn the_same_device_in_another_app_is_another_player(shape: Shape) {
    let platform = Platform::start(shape).await;
    let other_app = platform.create_app("other").await.app_id;
    let here = login(&platform, platform.app().app_id, "phone-1", None).await.ok();
    let there = login(&platform, other_app, "phone-1", None).await.ok();
    assert_eq!(there["is_new_account"], true);
    assert_ne!(there["account_id"], here["account_id"]);
}

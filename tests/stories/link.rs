//! A guest who wants to come back from another device, as the player they are.

use serde_json::{Value, json};

use crate::support::{Answer, Platform, Player, Receiver, Shape, in_both_shapes};

in_both_shapes!(
    a_guest_gets_a_username_a_phone_and_a_second_device_and_stays_the_same_player,
    what_is_somebody_elses_stays_theirs,
    what_is_linked_already_is_linked,
    without_a_good_token_or_a_kind_nothing_is_linked,
);

const PHONE: &str = "+8613812345678";

async fn guest(platform: &Platform, device_id: &str) -> Player {
    let answer = login(platform, json!({ "kind": "device", "device_id": device_id })).await;
    Player::from_answer(platform.client().clone(), platform.app().app_id, "", &answer)
}

async fn login(platform: &Platform, mut body: Value) -> Answer {
    body["app_id"] = platform.app().app_id.into();
    platform.client().post("/v1/sdk/login", &body).await
}

fn kinds(answer: &Answer) -> Vec<String> {
    let data = answer.ok();
    let credentials = data["credentials"].as_array().unwrap_or_else(|| panic!("no credentials in {data}"));
    credentials.iter().map(|credential| credential["kind"].as_str().unwrap().to_owned()).collect()
}

async fn a_guest_gets_a_username_a_phone_and_a_second_device_and_stays_the_same_player(shape: Shape) {
    let receiver = Receiver::start().await;
    let platform = Platform::build(shape)
        .set("account.phone.webhook.url", &receiver.url())
        .set("account.phone.webhook.secret", Receiver::secret())
        .start()
        .await;
    let guest = guest(&platform, "tablet").await;
    let password = json!({ "kind": "password", "username": "annabelle", "password": guest.password });
    guest.link(password).await.ok();
    let code = json!({ "app_id": platform.app().app_id, "phone": PHONE, "scene": "link" });
    platform.client().post("/v1/sdk/phone-codes", &code).await.ok();
    let code = receiver.code(PHONE, "link", None).await;
    guest.link(json!({ "kind": "phone", "phone": PHONE, "code": code })).await.ok();
    let linked = guest.link(json!({ "kind": "device", "device_id": "laptop" })).await;
    let mut all = kinds(&linked);
    all.sort();
    assert_eq!(all, ["device", "device", "password", "phone"]);
    for secret in ["annabelle", PHONE, &code, &guest.password] {
        assert!(!linked.text.contains(secret), "{}", linked.text);
    }
    assert_eq!(guest.me().await.ok()["credentials"], linked.ok()["credentials"]);

    let by_password = json!({ "kind": "password", "username": "annabelle", "password": guest.password });
    let by_device = json!({ "kind": "device", "device_id": "laptop", "device_secret": linked.ok()["device_secret"] });
    for proof in [by_password, by_device] {
        let again = login(&platform, proof).await.ok();
        assert_eq!((&again["account_id"], &again["is_new_account"]), (&guest.welcome["account_id"], &json!(false)));
    }
    assert_eq!(platform.verify(&guest.tokens.access_token).await.status, "valid");
}

async fn what_is_somebody_elses_stays_theirs(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("annabelle").await;
    let guest = guest(&platform, "tablet").await;
    guest
        .link(json!({ "kind": "password", "username": "AnnaBelle", "password": guest.password }))
        .await
        .refused(4_090_102);
    ann.link(json!({ "kind": "device", "device_id": "tablet" })).await.refused(4_090_102);
    // An account has one username.
    ann.link(json!({ "kind": "password", "username": "annie", "password": ann.password })).await.refused(4_090_102);
    ann.try_login().await.ok();
    assert_eq!(guest.me().await.ok()["credentials"].as_array().unwrap().len(), 1);
    assert_eq!(ann.me().await.ok()["credentials"].as_array().unwrap().len(), 1);
}

async fn what_is_linked_already_is_linked(shape: Shape) {
    let platform = Platform::start(shape).await;
    let guest = guest(&platform, "tablet").await;
    let password = json!({ "kind": "password", "username": "annabelle", "password": guest.password });
    guest.link(password.clone()).await.ok();
    assert_eq!(kinds(&guest.link(password).await), ["device", "password"]);
    let device = json!({ "kind": "device", "device_id": "tablet" });
    assert!(guest.link(device).await.ok().get("device_secret").is_none(), "the secret was answered once");
    // Linking is no way around the old password.
    let other = json!({ "kind": "password", "username": "annabelle", "password": "another long password" });
    guest.link(other).await.refused(4_010_101);
}

async fn without_a_good_token_or_a_kind_nothing_is_linked(shape: Shape) {
    let platform = Platform::start(shape).await;
    let device = json!({ "kind": "device", "device_id": "laptop" });
    platform.client().post("/v1/sdk/link", &device).await.refused(4_010_001);
    let ann = platform.register("annabelle").await;
    ann.link(json!({ "kind": "magic" })).await.refused_field(4_000_001, "kind");
    ann.link(json!({ "kind": "phone", "phone": PHONE })).await.refused_field(4_000_001, "code");
    ann.link(json!({ "kind": "phone", "phone": PHONE, "code": "123456" })).await.refused(4_010_106);
    ann.logout().await.ok();
    ann.link(device).await.refused(4_010_104);
}

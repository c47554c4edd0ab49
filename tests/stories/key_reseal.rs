//! An operator replaces the master key: nobody's account is lost, and nobody else needs to hear of it.

use serde_json::json;

use crate::support::{PATIENCE, Platform, Receiver, Shape, in_one_process};

in_one_process!(under_another_master_key_phones_tokens_and_signatures_are_good,);

const PHONE: &str = "+8613812345678";

async fn phone_login(platform: &Platform, receiver: &Receiver, before: Option<&str>) -> (serde_json::Value, String) {
    let app_id = platform.app().app_id;
    let ask = json!({ "app_id": app_id, "phone": PHONE, "scene": "login" });
    platform.client().post("/v1/sdk/phone-codes", &ask).await.ok();
    let code = receiver.code(PHONE, "login", before).await;
    let body = json!({ "app_id": app_id, "kind": "phone", "phone": PHONE, "code": code });
    (platform.client().post("/v1/sdk/login", &body).await.ok(), code)
}

async fn under_another_master_key_phones_tokens_and_signatures_are_good(shape: Shape) {
    let receiver = Receiver::start().await;
    let mut platform = Platform::build(shape)
        .set("account.phone.webhook.url", &receiver.url())
        .set("account.phone.webhook.secret", Receiver::secret())
        .start()
        .await;
    let ann = platform.register("ann").await;
    let (bob, code) = phone_login(&platform, &receiver, None).await;
    for role in platform.roles() {
        platform.terminate(role);
        assert!(platform.ends_within(role, PATIENCE).await.is_some());
    }

    let (new_key, in_use) = (platform.directory().join("new-key"), platform.directory().join("data/master-key"));
    std::fs::write(&new_key, "c0ffee42".repeat(8)).unwrap();
    let done = platform.reseal("new-key").await;
    // The app of the first start, and this story's.
    assert_eq!((&done["app_secrets"], &done["phones"], &done["unreadable_phones"]), (&json!(2), &json!(1), &json!(0)));
    std::fs::copy(&new_key, &in_use).unwrap();
    for role in platform.roles() {
        platform.restart(role).await;
    }

    // The game server's signature and the players' tokens are as good as before.
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    assert_eq!(platform.verify(bob["access_token"].as_str().unwrap()).await.status, "valid");
    ann.login().await;
    let (again, _) = phone_login(&platform, &receiver, Some(&code)).await;
    assert_eq!((&again["account_id"], &again["is_new_account"]), (&bob["account_id"], &json!(false)));
    let refused = ann.refresh().await;
    assert_eq!(refused.status, 401, "who comes with an earlier refresh token signs in again: {refused:?}");
}

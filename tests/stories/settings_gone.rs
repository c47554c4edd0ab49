//! The setting service is gone or hangs. Games go on with what their gateways remember, and what an operator has switched
//! stays switched.

use serde_json::json;

use crate::support::{Platform, Role, Shape, eventually, in_a_fleet, in_four_roles};

in_four_roles!(
    gateways_go_on_answering_what_they_remember_while_setting_is_gone,
    gateways_go_on_answering_what_they_remember_while_setting_hangs,
    a_maintenance_goes_on_while_setting_is_gone,
    a_setting_that_comes_back_is_followed_again,
);
in_a_fleet!(
    gateways_go_on_answering_what_they_remember_while_setting_is_gone,
    gateways_go_on_answering_what_they_remember_while_setting_hangs,
    a_maintenance_goes_on_while_setting_is_gone,
    a_setting_that_comes_back_is_followed_again,
);

async fn gateways_go_on_answering_what_they_remember_while_setting_is_gone(shape: Shape) {
    let mut platform = remembering(shape).await;
    platform.kill(Role::Setting);
    gateways_remember(&platform).await;
}

async fn gateways_go_on_answering_what_they_remember_while_setting_hangs(shape: Shape) {
    let mut platform = remembering(shape).await;
    platform.freeze(Role::Setting);
    gateways_remember(&platform).await;
    platform.thaw(Role::Setting);
    eventually("the answers are young again", || async {
        (platform.settings("").await.header("age").is_empty()).then_some(())
    })
    .await;
}

/// A platform whose every gateway has answered the official channel.
async fn remembering(shape: Shape) -> Platform {
    let platform = Platform::start(shape).await;
    platform.publish(&json!({ "settings": { "motd": { "type": "string", "value": "hello" } } })).await;
    platform
}

async fn gateways_remember(platform: &Platform) {
    let ann = platform.register("ann").await;
    let known = json!({ "motd": "hello" });
    for front in platform.fronts() {
        eventually("the answer says that it is not the youngest", || async {
            let answer = platform.settings_at(&front, "").await;
            assert_eq!(answer.ok()["settings"], known);
            let request =
                front.request(reqwest::Method::GET, &format!("/v1/sdk/settings?app_id={}", platform.app().app_id));
            let again = front.send(request.header("if-none-match", answer.header("etag"))).await;
            assert_eq!(again.status, 304);
            answer.header("age").parse::<u64>().ok().filter(|age| *age >= 1)
        })
        .await;
        platform.settings_at(&front, "&channel=never-asked").await.could_not_tell();
    }
    for _ in 0..4 {
        let welcome = ann.login().await.welcome;
        assert_eq!((&welcome["settings"], &welcome["degraded"]), (&known, &json!([])));
        let elsewhere = ann.try_login_with(json!({ "channel": "never-asked" })).await.ok();
        assert_eq!(
            (&elsewhere["settings"], &elsewhere["notices"], &elsewhere["degraded"]),
            (&json!({}), &json!([]), &json!(["setting"]))
        );
    }
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
}

async fn a_maintenance_goes_on_while_setting_is_gone(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let closed = json!({ "message": "Back at ten.", "allow_accounts": [] });
    platform.publish(&json!({ "settings": { "platform.maintenance": { "type": "json", "value": closed } } })).await;
    platform.kill(Role::Setting);
    for _ in 0..6 {
        ann.try_login().await.refused(5_030_004);
    }
    let path = format!("/admin/v1/apps/{}/settings", platform.app().app_id);
    platform.admin().get(&path).await.could_not_tell();
}

async fn a_setting_that_comes_back_is_followed_again(shape: Shape) {
    let mut platform = remembering(shape).await;
    platform.kill(Role::Setting);
    platform.settings("").await.ok();
    platform.restart(Role::Setting).await;
    let published = eventually("an operator can publish again", || async {
        let publisher = platform.publisher();
        let base = publisher.get("").await;
        let document = json!({ "settings": { "motd": { "type": "string", "value": "welcome back" } } });
        let answer = publisher.try_publish(base.json()["data"]["revision"].as_i64()?, &document).await;
        (answer.status == 200).then(|| answer.ok()["revision"].as_i64().expect("a revision"))
    })
    .await;
    platform.is_answered_everywhere(published).await;
    assert_eq!(platform.settings("").await.ok()["settings"], json!({ "motd": "welcome back" }));
}

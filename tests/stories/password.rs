//! A player who thinks that somebody else knows the password.

use serde_json::json;

use crate::support::{Platform, Shape, eventually, in_both_shapes};

in_both_shapes!(
    a_new_password_signs_out_everybody_else_and_not_who_changed_it,
    who_does_not_know_the_old_password_changes_nothing,
);

const NEW: &str = "a different battery staple";

async fn a_new_password_signs_out_everybody_else_and_not_who_changed_it(shape: Shape) {
    let platform = Platform::start(shape).await;
    let mut ann = platform.register("annabelle").await;
    let stranger = ann.login().await;
    let changed = ann.change_password(json!({ "old_password": ann.password, "new_password": NEW })).await.ok();
    assert_eq!(changed, json!({}));
    eventually("the stranger's token is revoked", || async {
        (platform.verify(&stranger.tokens.access_token).await.status == "revoked").then_some(())
    })
    .await;
    stranger.refresh().await.refused(4_010_104);
    stranger.try_login().await.refused(4_010_101);
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    assert_eq!(ann.me().await.ok()["sessions"].as_array().unwrap().len(), 1);
    NEW.clone_into(&mut ann.password);
    ann.login().await;
    ann.refresh().await.ok();
}

async fn who_does_not_know_the_old_password_changes_nothing(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("annabelle").await;
    ann.change_password(json!({ "old_password": "wrong password", "new_password": NEW })).await.refused(4_010_101);
    ann.change_password(json!({ "new_password": NEW })).await.refused_field(4_000_001, "old_password");
    ann.change_password(json!({ "old_password": ann.password })).await.refused_field(4_000_001, "new_password");
    let short = json!({ "old_password": ann.password, "new_password": "short" });
    ann.change_password(short).await.refused_field(4_000_001, "new_password");
    let body = json!({ "old_password": ann.password, "new_password": NEW });
    platform.client().post("/v1/sdk/password", &body).await.refused(4_010_001);
    ann.login().await;
}

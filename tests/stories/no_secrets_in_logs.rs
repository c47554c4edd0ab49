//! Somebody reads the logs and the metrics: they learn what happened, and nothing they could sign in with.

use crate::support::{Platform, Shape, in_every_shape};

in_every_shape!(no_password_token_or_secret_is_ever_written);

async fn no_password_token_or_secret_is_ever_written(shape: Shape) {
    let mut platform = Platform::build(shape)
        .set("account.id_token.for_every_app", "true")
        .set("log.level", "trace,volo_thrift=trace,volo=trace,hyper=trace,sqlx=trace")
        .start()
        .await;
    let ann = platform.register("ann").await;
    let again = ann.login().await;
    let refreshed = ann.refresh().await.ok();
    again.me().await.ok();
    platform.verify(&again.tokens.access_token).await;
    let secret = platform.app().app_secret.clone();
    // What is refused is written about more readily than what works.
    ann.try_login_with(serde_json::json!({ "password": "hunter2-hunter2" })).await.refused(4_010_101);
    platform.client().get(&format!("/v1/sdk/settings?app_id=x&token={}", ann.tokens.access_token)).await;
    again.logout().await.ok();
    platform.is_revoked(&again.tokens.access_token).await;
    again.me().await.refused(4_010_104);

    let admin = platform.admin();
    let made = admin.post("/admin/v1/apps", &serde_json::json!({ "name": "another" })).await.ok();
    let rotated = admin.post(&format!("/admin/v1/apps/{}/rotate-secret", made["app_id"]), &serde_json::json!({})).await;
    let rotated = rotated.ok();

    let mut shown = String::new();
    for replica in platform.replicas() {
        shown.push_str(&platform.metrics(replica).await);
        platform.terminate(replica);
        let ended = platform.ends_within(replica, crate::support::PATIENCE).await;
        assert!(ended.is_some_and(|status| status.success()), "{replica:?} ended with {ended:?}");
    }
    // Every line is written by now: a process flushes before it ends.
    shown.push_str(&platform.logs());
    assert!(shown.contains("/v1/sdk/login"), "there is an access log");
    for secret in [
        ann.password.as_str(),
        "hunter2-hunter2",
        secret.as_str(),
        ann.tokens.access_token.as_str(),
        ann.tokens.refresh_token.as_str(),
        ann.tokens.id_token.as_deref().unwrap(),
        refreshed["id_token"].as_str().unwrap(),
        again.tokens.access_token.as_str(),
        refreshed["access_token"].as_str().unwrap(),
        refreshed["refresh_token"].as_str().unwrap(),
        &"5a".repeat(32),
        admin.token(),
        made["app_secret"].as_str().unwrap(),
        rotated["app_secret"].as_str().unwrap(),
    ] {
        // Frames are printed as lists of bytes.
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        let line = shown.lines().find(|line| line.contains(secret) || line.contains(bytes));
        assert!(line.is_none(), "a secret is written: {line:?}");
    }
}

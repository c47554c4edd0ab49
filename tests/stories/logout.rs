//! A player signs out, here or everywhere, and the game server hears of it.

use reqwest::Method;
use serde_json::json;

use crate::support::{Platform, Shape, in_every_shape};

in_every_shape!(
    after_a_logout_the_session_is_revoked_and_others_go_on,
    a_logout_everywhere_ends_every_session,
    a_session_that_was_signed_out_cannot_be_used_or_refreshed,
    an_option_that_is_null_is_an_option_left_out,
);

async fn after_a_logout_the_session_is_revoked_and_others_go_on(shape: Shape) {
    let platform = Platform::start(shape).await;
    let here = platform.register("ann").await;
    let there = here.login().await;
    here.logout().await.ok();
    platform.is_revoked(&here.tokens.access_token).await;
    assert_eq!(platform.verify(&there.tokens.access_token).await.status, "valid");
}

async fn a_logout_everywhere_ends_every_session(shape: Shape) {
    let platform = Platform::start(shape).await;
    let here = platform.register("ann").await;
    let there = here.login().await;
    let bob = platform.register("bob").await;
    here.logout_everywhere().await.ok();
    for ended in [&here, &there] {
        platform.is_revoked(&ended.tokens.access_token).await;
        assert_eq!(ended.refresh().await.status, 401);
    }
    assert_eq!(platform.verify(&bob.tokens.access_token).await.status, "valid");

    let back = here.login().await;
    assert_eq!(
        platform.verify(&back.tokens.access_token).await.status,
        "valid",
        "signing in again is possible at once"
    );
}

async fn a_session_that_was_signed_out_cannot_be_used_or_refreshed(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let successor = ann.refresh().await.ok();
    ann.logout().await.ok();
    platform.is_revoked(&ann.tokens.access_token).await;
    ann.me().await.refused(4_010_104);
    for refresh_token in [ann.tokens.refresh_token.as_str(), successor["refresh_token"].as_str().unwrap()] {
        assert_eq!(ann.refresh_with(refresh_token).await.status, 401);
    }
    let without_token = platform.client().request(Method::POST, "/v1/sdk/logout").json(&json!({}));
    platform.client().send(without_token).await.refused(4_010_001);
}

async fn an_option_that_is_null_is_an_option_left_out(shape: Shape) {
    let platform = Platform::start(shape).await;
    let here = platform.register("ann").await;
    let there = here.login().await;
    let bearer = format!("Bearer {}", here.tokens.access_token);
    let logout = platform.client().request(Method::POST, "/v1/sdk/logout").header("authorization", bearer);
    platform.client().send(logout.json(&json!({ "everywhere": null }))).await.ok();
    platform.is_revoked(&here.tokens.access_token).await;
    assert_eq!(platform.verify(&there.tokens.access_token).await.status, "valid");
}

//! The platform is stopped and started again on its data: nobody has to sign in anew, and nobody who was signed out is
//! back.

use crate::support::{Platform, Shape, in_every_shape};

in_every_shape!(after_a_restart_tokens_are_valid_and_revocations_hold, after_a_crash_nothing_acknowledged_is_lost);

async fn after_a_restart_tokens_are_valid_and_revocations_hold(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let signed_out = ann.login().await;
    signed_out.logout().await.ok();
    let bob = platform.register("bob").await;
    bob.logout_everywhere().await.ok();

    platform.restart_all().await;

    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    for gone in [&signed_out, &bob] {
        platform.is_revoked(&gone.tokens.access_token).await;
        gone.me().await.refused(4_010_104);
    }
    ann.refresh().await.ok();
    bob.login().await;
    platform.try_register("ann").await.refused(4_090_101);
    assert!(platform.register("carl").await.tokens.account_id != bob.tokens.account_id);
}

async fn after_a_crash_nothing_acknowledged_is_lost(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let signed_out = ann.login().await;
    signed_out.logout().await.ok();
    for role in platform.roles() {
        platform.kill(role);
    }
    for role in platform.roles() {
        platform.restart(role).await;
    }
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    platform.is_revoked(&signed_out.tokens.access_token).await;
    ann.login().await;
}

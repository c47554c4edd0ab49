//! The account service dies, or hangs. Nobody can tell whether a token is good, so nobody is told that it is bad.

use serde_json::json;

use crate::support::{App, GameServer, Platform, Player, Role, Shape, eventually, in_a_fleet, in_four_roles};

in_four_roles!(
    while_account_is_gone_nobody_is_told_that_a_token_is_bad,
    while_account_hangs_nobody_waits_without_end_or_is_told_that_a_token_is_bad,
    when_account_comes_back_everything_works_again_by_itself,
);
in_a_fleet!(
    while_account_is_gone_nobody_is_told_that_a_token_is_bad,
    while_account_hangs_nobody_waits_without_end_or_is_told_that_a_token_is_bad,
    when_account_comes_back_everything_works_again_by_itself,
);

/// Asks everything that only account can answer, and expects "could not tell" each time.
async fn nobody_can_tell(platform: &Platform, ann: &Player, stranger: &App) {
    ann.try_login().await.refused(5_030_002).could_not_tell();
    platform.try_register("bob").await.could_not_tell();
    ann.refresh().await.could_not_tell();
    ann.me().await.could_not_tell();
    ann.logout().await.could_not_tell();
    // A game server the gateway knows, and one whose signature it cannot check either.
    for server in [platform.game_server(), platform.game_server_of(stranger.clone())] {
        let answer = server.ask(&ann.tokens.access_token).await;
        answer.could_not_tell();
        assert!(answer.json().get("status").is_none(), "{answer:?}");
        server.ask_batch(&[&ann.tokens.access_token]).await.could_not_tell();
    }
}

async fn while_account_is_gone_nobody_is_told_that_a_token_is_bad(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    let stranger = platform.create_app("stranger").await;
    platform.kill(Role::Account);
    for _ in 0..3 {
        nobody_can_tell(&platform, &ann, &stranger).await;
    }
    platform.client().get("/v1/nope").await.refused(4_040_001);
}

async fn while_account_hangs_nobody_waits_without_end_or_is_told_that_a_token_is_bad(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    platform.freeze(Role::Account);
    // The harness gives up on an answer long after any deadline of the platform's.
    ann.try_login().await.not_now();
    platform.game_server().ask(&ann.tokens.access_token).await.could_not_tell();
    platform.thaw(Role::Account);
    is_well(&platform, &ann).await;
}

async fn when_account_comes_back_everything_works_again_by_itself(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let signed_out = ann.login().await;
    signed_out.logout().await.ok();
    platform.kill(Role::Account);
    ann.try_login().await.could_not_tell();
    platform.restart(Role::Account).await;
    is_well(&platform, &ann).await;
    assert_eq!(platform.verify(&signed_out.tokens.access_token).await.status, "revoked", "nothing is forgotten");
}

/// Expects recovery, and not one wrong answer on the way to it.
async fn is_well(platform: &Platform, ann: &Player) {
    let server: GameServer = platform.game_server();
    eventually("verify is answered again", || async {
        let answer = server.ask(&ann.tokens.access_token).await;
        if answer.status == 200 {
            assert_eq!(answer.ok()["status"], "valid");
            return Some(());
        }
        answer.could_not_tell();
        None
    })
    .await;
    eventually("logins work again", || async { (ann.try_login().await.status == 200).then_some(()) }).await;
    assert_eq!(ann.try_login_with(json!({ "password": "wrong" })).await.status, 401);
}

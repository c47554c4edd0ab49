//! A player signs devices out from another one.

use crate::support::{Platform, Shape, in_both_shapes};

in_both_shapes!(
    a_player_signs_one_device_out_and_it_is_told_why,
    a_player_signs_every_other_device_out,
    nobody_signs_another_players_device_out,
);

async fn a_player_signs_one_device_out_and_it_is_told_why(shape: Shape) {
    let platform = Platform::start(shape).await;
    let here = platform.register("annabelle").await;
    let (lost, third) = (here.login().await, here.login().await);
    assert_eq!(here.end_session(&lost.tokens.session_id).await.ok()["revoked"], 1);
    assert_eq!(here.end_session(&lost.tokens.session_id).await.ok()["revoked"], 0);
    platform.is_revoked(&lost.tokens.access_token).await;
    let told = lost.refresh().await.refused(4_010_104).json();
    assert_eq!(told["details"]["reason"], "signed_out_elsewhere");
    assert_eq!(here.me().await.ok()["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(platform.verify(&third.tokens.access_token).await.status, "valid");
}

async fn a_player_signs_every_other_device_out(shape: Shape) {
    let platform = Platform::start(shape).await;
    let here = platform.register("annabelle").await;
    let (second, third) = (here.login().await, here.login().await);
    assert_eq!(here.end_other_sessions().await.ok()["revoked"], 2);
    for ended in [&second, &third] {
        platform.is_revoked(&ended.tokens.access_token).await;
    }
    assert_eq!(platform.verify(&here.tokens.access_token).await.status, "valid");
}

async fn nobody_signs_another_players_device_out(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (ann, bob) = (platform.register("annabelle").await, platform.register("robert").await);
    assert_eq!(ann.end_session(&bob.tokens.session_id).await.ok()["revoked"], 0);
    ann.end_session("not-a-session").await.refused_field(4_000_001, "session_id");
    assert_eq!(platform.verify(&bob.tokens.access_token).await.status, "valid");
}

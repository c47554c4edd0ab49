//! A player stays signed in for weeks: refresh tokens rotate, survive a lost answer, and betray a thief.

use futures_util::future::join_all;
use serde_json::Value;

use crate::support::{Platform, Player, Shape, Tokens, eventually, in_every_shape};

in_every_shape!(
    a_refresh_answers_new_tokens_of_the_same_session,
    within_the_grace_the_predecessor_yields_the_same_successor,
    reuse_of_a_refresh_token_after_the_grace_signs_the_session_out,
    a_refresh_token_that_never_was_is_refused,
    another_app_cannot_refresh,
);

async fn a_refresh_answers_new_tokens_of_the_same_session(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let answer = ann.refresh().await;
    let next: Tokens = answer.ok_as();
    assert_eq!((next.account_id, &next.session_id), (ann.tokens.account_id, &ann.tokens.session_id));
    assert_ne!(next.access_token, ann.tokens.access_token);
    assert_ne!(next.refresh_token, ann.tokens.refresh_token);
    for left_out in ["settings", "wallet"] {
        assert!(answer.ok().get(left_out).is_none_or(Value::is_null), "{answer:?}");
    }
    for token in [&ann.tokens.access_token, &next.access_token] {
        assert_eq!(platform.verify(token).await.status, "valid");
    }
    ann.refresh_with(&next.refresh_token).await.ok();
}

async fn within_the_grace_the_predecessor_yields_the_same_successor(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let at_once = join_all((0..6).map(|_| ann.refresh())).await;
    let successor = at_once[0].ok_as::<Tokens>().refresh_token;
    for answer in at_once.iter().chain([&ann.refresh().await]) {
        assert_eq!(answer.ok_as::<Tokens>().refresh_token, successor);
    }
    ann.refresh_with(&successor).await.ok();
}

async fn reuse_of_a_refresh_token_after_the_grace_signs_the_session_out(shape: Shape) {
    let platform = Platform::build(shape).set("account.tokens.refresh_grace", "1s").start().await;
    let ann = platform.register("ann").await;
    let elsewhere = ann.login().await;
    let next: Tokens = ann.refresh().await.ok_as();

    eventually("the grace ends", || async {
        let answer = ann.refresh().await;
        (answer.status != 200).then(|| answer.refused(4_010_105).status)
    })
    .await;

    for token in [&ann.tokens.access_token, &next.access_token] {
        platform.is_revoked(token).await;
    }
    assert_eq!(ann.refresh_with(&next.refresh_token).await.status, 401, "the thief's copy is of no use either");
    assert_eq!(platform.verify(&elsewhere.tokens.access_token).await.status, "valid", "other sessions go on");
}

async fn a_refresh_token_that_never_was_is_refused(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let mut forged = ann.tokens.refresh_token.clone();
    let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
    forged.push(last);
    for never_was in ["", "x", "pgr1.", "pgr1.AAAA", forged.as_str(), ann.tokens.access_token.as_str()] {
        let answer = ann.refresh_with(never_was).await;
        assert!(matches!(answer.code(), 4_010_102 | 4_000_001), "{answer:?}");
    }
    ann.refresh().await.ok();
}

async fn another_app_cannot_refresh(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    let thief = Player::register(platform.client(), platform.create_app("other").await.app_id, "thief").await;
    thief.refresh_with(&ann.tokens.refresh_token).await.refused(4_010_102);
    ann.refresh().await.ok();
}

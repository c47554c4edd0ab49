//! An operator rotates the keys of access tokens while players play: nobody notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Platform, Player, Shape, eventually, in_both_shapes, now_ms};

in_both_shapes!(while_keys_are_rotated_no_good_token_is_ever_called_bad, an_old_key_goes_when_no_living_token_needs_it,);

const ANNOUNCE: (&str, &str) = ("account.tokens.key_announce", "1s");
const FOLLOW: (&str, &str) = ("account.follow.keys_every", "50ms");

async fn start(shape: Shape, longest_token: &str) -> Platform {
    let platform = Platform::build(shape).set(ANNOUNCE.0, ANNOUNCE.1).set(FOLLOW.0, FOLLOW.1);
    platform
        .set("account.tokens.access_ttl", longest_token)
        .set("account.tokens.access_ttl_max", longest_token)
        .start()
        .await
}

async fn rotate(platform: &Platform, longest_token: &str) -> Value {
    let lives = [("account.tokens.access_ttl", longest_token), ("account.tokens.access_ttl_max", longest_token)];
    platform.operate(&["key", "rotate"], &[[ANNOUNCE, FOLLOW], lives].concat()).await
}

fn signs_from(rotated: &Value) -> u128 {
    rotated["signs_from"].as_u64().unwrap().into()
}

/// Waits until a rotation's key has signed a token.
async fn takes_over(rotated: &Value, platform: &Platform, ann: &Player) -> Player {
    let signs_from = signs_from(rotated);
    eventually("the new key has its turn", || async { (now_ms() > signs_from).then_some(()) }).await;
    let signed = ann.login().await;
    assert_eq!(platform.verify(&signed.tokens.access_token).await.status, "valid");
    signed
}

async fn while_keys_are_rotated_no_good_token_is_ever_called_bad(shape: Shape) {
    let platform = start(shape, "1h").await;
    let ann = platform.register("ann").await;
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let players = async {
        let mut newest = ann.clone();
        while !over.load(Ordering::Relaxed) {
            newest = newest.login().await;
            for token in [&ann.tokens.access_token, &newest.tokens.access_token] {
                assert_eq!(platform.verify(token).await.status, "valid");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let operator = async {
        for number in 2..=3 {
            let rotated = rotate(&platform, "1h").await;
            assert_eq!((&rotated["kind"], &rotated["key_id"]), (&json!("access"), &json!(number.to_string())));
            assert_eq!(rotated["removed"], json!([]), "living tokens need the old keys: {rotated}");
            takes_over(&rotated, &platform, &ann).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(players, operator);
    assert!(asked.load(Ordering::Relaxed) > 10);
    // Whoever reads the keys anew knows all of them.
    let mut platform = platform;
    platform.restart_all().await;
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
}

async fn an_old_key_goes_when_no_living_token_needs_it(shape: Shape) {
    let platform = start(shape, "1s").await;
    let ann = platform.register("ann").await;
    let second = rotate(&platform, "1s").await;
    // Announced once more, for replicas that are late, and then as long as the longest token lives.
    let gone_from = signs_from(&second) + 1000 + 1000;
    eventually("the last token of the first key has expired", || async { (now_ms() > gone_from).then_some(()) }).await;
    let third = rotate(&platform, "1s").await;
    assert_eq!((&third["key_id"], &third["removed"]), (&json!("3"), &json!(["1"])));
    assert_ne!(ann.login().await.tokens.access_token, ann.tokens.access_token, "players go on signing in");
}

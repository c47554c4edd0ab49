//! An operator rotates the keys of access tokens while players play: nobody notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Platform, Player, Shape, eventually, in_every_shape, now_ms};

in_every_shape!(while_keys_are_rotated_no_good_token_is_ever_called_bad, an_old_key_goes_when_no_living_token_needs_it,);

async fn start(shape: Shape, longest_token: &str) -> Platform {
    Platform::build(shape)
        .set("account.tokens.key_announce", "1s")
        .set("account.follow.keys_every", "50ms")
        .set("account.tokens.access_ttl", longest_token)
        .set("account.tokens.access_ttl_max", longest_token)
        .start()
        .await
}

fn signs_from(rotated: &Value) -> u128 {
    rotated["signs_from"].as_u64().unwrap().into()
}

/// Whether a good token was called good. The only other answer it may get is "could not tell", from a replica that has
/// not come round to reading the keys for longer than they are announced.
async fn is_valid(platform: &Platform, token: &str) -> bool {
    let answer = platform.game_server().ask(token).await;
    if answer.status == 200 {
        assert_eq!(answer.ok()["status"], "valid");
        return true;
    }
    answer.could_not_tell();
    false
}

/// Waits until a rotation's key has signed a token.
async fn takes_over(rotated: &Value, platform: &Platform, ann: &Player) {
    let signs_from = signs_from(rotated);
    eventually("the new key has its turn", || async { (now_ms() > signs_from).then_some(()) }).await;
    let signed = ann.login().await;
    eventually("its token is good", || async { is_valid(platform, &signed.tokens.access_token).await.then_some(()) })
        .await;
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
                asked.fetch_add(usize::from(is_valid(&platform, token).await), Ordering::Relaxed);
            }
        }
    };
    let operator = async {
        for number in 2..=3 {
            let rotated = platform.rotate_key("access").await;
            assert_eq!((&rotated["kind"], &rotated["key_id"]), (&json!("access"), &json!(number.to_string())));
            assert_eq!(rotated["removed"], json!([]), "living tokens need the old keys: {rotated}");
            takes_over(&rotated, &platform, &ann).await;
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(players, operator);
    assert!(asked.load(Ordering::Relaxed) > 0);
    // Whoever reads the keys anew knows all of them.
    let mut platform = platform;
    platform.restart_all().await;
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
}

async fn an_old_key_goes_when_no_living_token_needs_it(shape: Shape) {
    let platform = start(shape, "1s").await;
    let ann = platform.register("ann").await;
    let second = platform.rotate_key("access").await;
    // Announced once more, for replicas that are late, and then as long as the longest token lives.
    let gone_from = signs_from(&second) + 1000 + 1000;
    eventually("the last token of the first key has expired", || async { (now_ms() > gone_from).then_some(()) }).await;
    let third = platform.rotate_key("access").await;
    assert_eq!((&third["key_id"], &third["removed"]), (&json!("3"), &json!(["1"])));
    assert_ne!(ann.login().await.tokens.access_token, ann.tokens.access_token, "players go on signing in");
}

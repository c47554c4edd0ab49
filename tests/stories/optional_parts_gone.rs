//! Settings or the wallet cannot be had. Players get in all the same, and are told what is missing.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::support::{Platform, Player, Role, Shape, eventually, in_a_fleet, in_four_roles};

in_four_roles!(
    a_login_succeeds_without_the_part_that_is_gone_and_says_so,
    a_login_succeeds_without_the_part_that_hangs_and_says_so,
    without_both_parts_players_still_register_and_get_in,
    a_part_that_comes_back_is_used_again_by_itself,
);
in_a_fleet!(
    a_login_succeeds_without_the_part_that_is_gone_and_says_so,
    a_login_succeeds_without_the_part_that_hangs_and_says_so,
    without_both_parts_players_still_register_and_get_in,
    a_part_that_comes_back_is_used_again_by_itself,
);

const PARTS: [Role; 2] = [Role::Setting, Role::Pay];

/// What is missing at a sign-in from a channel that nobody came from before: gateways remember no settings for it.
async fn degraded(player: &Player) -> Value {
    static CHANNELS: AtomicUsize = AtomicUsize::new(0);
    let channel = format!("channel-{}", CHANNELS.fetch_add(1, Ordering::Relaxed));
    let data = player.try_login_with(json!({ "channel": channel })).await.ok();
    assert!(data["settings"].is_object() && data["wallet"].is_object(), "what is missing is empty: {data}");
    data["degraded"].clone()
}

async fn a_login_succeeds_without_the_part_that_is_gone_and_says_so(shape: Shape) {
    for part in PARTS {
        let mut platform = Platform::start(shape).await;
        let ann = platform.register("ann").await;
        platform.kill(part);
        for _ in 0..3 {
            assert_eq!(degraded(&ann).await, json!([part.name()]));
        }
        assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
    }
}

async fn a_login_succeeds_without_the_part_that_hangs_and_says_so(shape: Shape) {
    for part in PARTS {
        let mut platform = Platform::start(shape).await;
        let ann = platform.register("ann").await;
        platform.freeze(part);
        assert_eq!(degraded(&ann).await, json!([part.name()]));
        platform.thaw(part);
        eventually("nothing is missing any more", || async { (degraded(&ann).await == json!([])).then_some(()) }).await;
    }
}

async fn without_both_parts_players_still_register_and_get_in(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    for part in PARTS {
        platform.kill(part);
    }
    let bob = platform.register("bob").await;
    for player in [&ann, &bob] {
        let mut missing: Vec<String> = serde_json::from_value(degraded(player).await).unwrap();
        missing.sort();
        assert_eq!(missing, ["pay", "setting"]);
    }
    platform.settings("&channel=never-asked").await.could_not_tell();
}

async fn a_part_that_comes_back_is_used_again_by_itself(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    for part in PARTS {
        platform.kill(part);
        assert_eq!(degraded(&ann).await, json!([part.name()]));
        platform.restart(part).await;
        eventually("nothing is missing any more", || async { (degraded(&ann).await == json!([])).then_some(()) }).await;
    }
}

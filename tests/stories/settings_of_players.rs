//! What of an app's settings depends on who plays: rollouts that reach a share of the players, and notices at a sign-in.

use serde_json::{Value, json};

use crate::support::{Platform, Shape, eventually, in_every_shape, now_ms};

in_every_shape!(
    a_rollout_reaches_its_share_of_the_players_and_always_the_same_ones,
    before_a_sign_in_the_device_stands_in_for_the_player,
    notices_are_shown_at_a_sign_in_while_they_are_news,
);

fn rollout(percent: u32) -> Value {
    json!({
        "settings": { "new_shop": { "type": "bool", "value": false } },
        "rules": [{ "setting": "new_shop", "value": true, "when": { "percent": percent, "salt": "shop" } }],
    })
}

async fn a_rollout_reaches_its_share_of_the_players_and_always_the_same_ones(shape: Shape) {
    let platform = Platform::start(shape).await;
    platform.publish(&rollout(50)).await;
    let mut players = Vec::new();
    for number in 0..24 {
        players.push(platform.register(&format!("player{number}")).await);
    }
    let has_it = |settings: &Value| settings["new_shop"].as_bool().expect("a setting");
    let reached: Vec<bool> = players.iter().map(|player| has_it(&player.welcome["settings"])).collect();
    // One in eight million would be all alike.
    assert!(reached.contains(&true) && reached.contains(&false), "{reached:?}");
    for (player, reached) in players.iter().zip(&reached) {
        let again = player.try_login_with(json!({ "device_id": "another" })).await.ok();
        assert_eq!(has_it(&again["settings"]), *reached, "a player stays what they are");
        let asked = platform.settings(&format!("&account_id={}", player.tokens.account_id)).await.ok();
        assert_eq!(has_it(&asked["settings"]), *reached);
    }
    platform.publish(&rollout(75)).await;
    let reached_later = async |place: usize| has_it(&players[place].try_login().await.ok()["settings"]);
    for (place, reached) in reached.into_iter().enumerate().filter(|(_, reached)| *reached) {
        assert_eq!(reached_later(place).await, reached, "a larger share has the smaller one in it");
    }
    platform.publish(&rollout(100)).await;
    assert!(reached_later(0).await && reached_later(1).await);
}

async fn before_a_sign_in_the_device_stands_in_for_the_player(shape: Shape) {
    let platform = Platform::start(shape).await;
    platform.publish(&rollout(50)).await;
    let mut seen = Vec::new();
    for number in 0..24 {
        let query = format!("&device_id=device-{number}");
        let first = platform.settings(&query).await;
        let again = platform.settings(&query).await;
        assert_eq!((first.ok(), first.header("etag")), (again.ok(), again.header("etag")));
        seen.push(first.ok()["settings"]["new_shop"].clone());
    }
    assert!(seen.contains(&json!(true)) && seen.contains(&json!(false)), "{seen:?}");
}

async fn notices_are_shown_at_a_sign_in_while_they_are_news(shape: Shape) {
    let platform = Platform::start(shape).await;
    let ann = platform.register("ann").await;
    assert_eq!(ann.welcome["notices"], json!([]));
    let welcome = json!({ "id": "welcome", "title": "Hello", "body": "Be nice.", "url": "https://game.example/rules" });
    let mut soon_over = json!({ "id": "soon", "title": "Soon", "body": "Almost over." });
    soon_over["until"] = json!(now_ms() + 4_000);
    platform
        .publish(&json!({
            "settings": { "platform.notices": { "type": "json", "value": [soon_over, welcome] } },
            "channels": { "tv": { "platform.notices": [] } },
        }))
        .await;
    let shown = |data: Value| -> Vec<String> {
        let notices = data["notices"].as_array().expect("notices").iter();
        notices.map(|notice| notice["id"].as_str().expect("an id").to_owned()).collect()
    };
    let bob = platform.register("bob").await;
    assert_eq!(bob.welcome["settings"], json!({}), "they are no settings of the game");
    let of_welcome = bob.welcome["notices"].as_array().expect("notices").last().expect("a notice").clone();
    assert_eq!(of_welcome, welcome);
    assert_eq!(shown(ann.try_login_with(json!({ "channel": "tv" })).await.ok()), [""; 0]);
    eventually("what is over is not shown any more", || async {
        (shown(ann.try_login().await.ok()) == ["welcome"]).then_some(())
    })
    .await;
}

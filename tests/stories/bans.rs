//! An operator bans a player: every replica says so within a second, with the reason, until the ban is over or lifted.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    GameServer, Platform, Player, Role, Shape, eventually, in_a_fleet, in_four_roles, in_one_process, now_ms,
};

in_one_process!(
    a_banned_player_is_kept_out_and_told_why_until_the_ban_is_lifted,
    a_ban_is_over_at_its_end_and_the_session_goes_on,
);

in_four_roles!(
    a_banned_player_is_kept_out_and_told_why_until_the_ban_is_lifted,
    a_ban_is_over_at_its_end_and_the_session_goes_on,
    a_gateway_whose_account_is_gone_knows_who_is_banned,
    a_ban_outlives_the_account_that_made_it,
);

in_a_fleet!(
    a_banned_player_is_kept_out_and_told_why_until_the_ban_is_lifted,
    a_ban_is_over_at_its_end_and_the_session_goes_on,
    a_gateway_whose_account_is_gone_knows_who_is_banned,
    every_account_and_every_gateway_knows_a_ban_and_its_lifting_within_a_second,
);

/// The longest that a ban or its lifting may go unheard of anywhere after it was answered.
const PROMISE: Duration = Duration::from_secs(1);

fn path(player: &Player) -> String {
    format!("/admin/v1/accounts/{}/ban", player.tokens.account_id)
}

async fn status_becomes(server: &GameServer, token: &str, expected: &'static str) {
    eventually(expected, || async { (server.verify(token).await.status == expected).then_some(()) }).await;
}

async fn becomes(platform: &Platform, player: &Player, expected: &'static str) {
    status_becomes(&platform.game_server(), &player.tokens.access_token, expected).await;
}

async fn a_banned_player_is_kept_out_and_told_why_until_the_ban_is_lifted(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (admin, ann, bob) = (platform.admin(), platform.register("ann").await, platform.register("bob").await);
    admin.post(&path(&ann), &json!({})).await.refused_field(4_000_001, "reason");
    admin.post(&path(&ann), &json!({ "reason": "x", "until": 7 })).await.refused_field(4_000_001, "until");
    admin.post("/admin/v1/accounts/1/ban", &json!({ "reason": "x" })).await.refused(4_040_101);
    let ban = json!({ "reason": "aim bot", "note": "ticket 7" });
    assert_eq!(admin.post(&path(&ann), &ban).await.ok(), json!({}));
    becomes(&platform, &ann, "banned").await;

    let verdict = platform.verify(&ann.tokens.access_token).await;
    assert_eq!(verdict.ban, Some(json!({ "reason": "aim bot" })));
    assert_eq!(verdict.account_id, Some(ann.tokens.account_id));
    for refused in [ann.try_login().await, ann.refresh().await, ann.me().await] {
        let details = refused.refused(4_030_101).json()["details"].clone();
        assert_eq!((refused.status, details), (403, json!({ "reason": "aim bot" })));
        assert!(!refused.text.contains("ticket"), "{refused:?}");
    }
    assert_eq!(platform.verify(&bob.tokens.access_token).await.status, "valid");
    let batch = platform.game_server().ask_batch(&[&ann.tokens.access_token, &bob.tokens.access_token]).await.ok();
    assert_eq!(batch["results"][0]["ban"]["reason"], "aim bot");
    assert_eq!(batch["results"][1].get("ban"), None);

    let account = format!("/admin/v1/accounts?account_id={}", ann.tokens.account_id);
    let shown = admin.get(&account).await.ok()["bans"].clone();
    assert_eq!(
        (&shown[0]["kind"], &shown[0]["reason"], &shown[0]["note"]),
        (&json!("account"), &json!("aim bot"), &json!("ticket 7"))
    );
    for _ in 0..2 {
        assert_eq!(admin.delete(&path(&ann)).await.ok(), json!({}));
    }
    becomes(&platform, &ann, "valid").await;
    assert_eq!(admin.get(&account).await.ok()["bans"], json!([]));
    ann.refresh().await.ok();
    ann.login().await;
    let audit = admin.get("/admin/v1/audit?limit=2").await.ok();
    let actions: Vec<&Value> = audit["records"].as_array().unwrap().iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["account.lift_ban", "account.ban"]);
}

async fn a_ban_is_over_at_its_end_and_the_session_goes_on(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (admin, ann) = (platform.admin(), platform.register("ann").await);
    let until = now_ms() + 3_600_000;
    admin.post(&path(&ann), &json!({ "reason": "spam", "until": until })).await.ok();
    becomes(&platform, &ann, "banned").await;
    let told = json!({ "reason": "spam", "until": until });
    assert_eq!(platform.verify(&ann.tokens.access_token).await.ban, Some(told));
    let refused = ann.try_login().await;
    assert_eq!(refused.refused(4_030_101).json()["details"]["until"], until.to_string());

    let until = now_ms() + 1000;
    admin.post(&path(&ann), &json!({ "reason": "spam", "until": until })).await.ok();
    becomes(&platform, &ann, "valid").await;
    assert!(now_ms() >= until, "not before its end");
    ann.refresh().await.ok();
    ann.login().await;
}

/// Waits until every gateway's copy has what has happened so far.
async fn copies_are_current(platform: &Platform) {
    let now = i64::try_from(now_ms() / 1000).unwrap();
    for operator in platform.operators(platform.front()) {
        eventually("the copy is current", || async {
            let metrics = operator.get("/metrics").await.text;
            let as_of = metrics.lines().find(|line| line.starts_with("playgate_token_copy_as_of_timestamp_seconds"));
            let as_of = as_of.and_then(|line| line.rsplit(' ').next()?.parse::<i64>().ok());
            as_of.is_some_and(|as_of| as_of > now).then_some(())
        })
        .await;
    }
}

async fn a_gateway_whose_account_is_gone_knows_who_is_banned(shape: Shape) {
    let mut platform = Platform::build(shape).set("gateway.fallback.master_key", &"5a".repeat(32)).start().await;
    let (admin, ann, bob) = (platform.admin(), platform.register("ann").await, platform.register("bob").await);
    admin.post(&path(&bob), &json!({ "reason": "by mistake" })).await.ok();
    admin.delete(&path(&bob)).await.ok();
    admin.post(&path(&ann), &json!({ "reason": "aim bot" })).await.ok();
    // Through every gateway, so that each knows the app.
    for _ in 0..platform.operators(platform.front()).len() {
        becomes(&platform, &ann, "banned").await;
    }
    copies_are_current(&platform).await;
    platform.kill(Role::Account);
    for _ in 0..4 {
        let banned = platform.verify(&ann.tokens.access_token).await;
        assert_eq!((banned.status.as_str(), banned.degraded), ("banned", true));
        assert_eq!(banned.ban, Some(json!({ "reason": "aim bot" })));
        let valid = platform.verify(&bob.tokens.access_token).await;
        assert_eq!((valid.status.as_str(), valid.degraded), ("valid", true));
    }
}

async fn a_ban_outlives_the_account_that_made_it(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let (admin, ann) = (platform.admin(), platform.register("ann").await);
    admin.post(&path(&ann), &json!({ "reason": "aim bot" })).await.ok();
    platform.kill(Role::Account);
    platform.restart(Role::Account).await;
    let told = eventually("the account answers", || async {
        let answer = platform.game_server().ask(&ann.tokens.access_token).await;
        (answer.status == 200).then(|| answer.ok()["status"].clone())
    })
    .await;
    assert_eq!(told, "banned");
    let refused = eventually("logins are answered", || async {
        let answer = ann.try_login().await;
        (answer.status < 500).then_some(answer)
    })
    .await;
    refused.refused(4_030_101);
}

#[expect(clippy::print_stdout, reason = "how long it takes is shown by `cargo test -- --nocapture`")]
async fn every_account_and_every_gateway_knows_a_ban_and_its_lifting_within_a_second(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let mut servers = Vec::new();
    for index in 0..2 {
        // One that asks this account only, and one of the two that ask both.
        let gateway = platform.add_gateway_to(Role::Account.replica(index)).await;
        servers.extend([platform.game_server_at(gateway), platform.game_server_at(Role::Gateway.replica(index))]);
    }
    let (admin, ann) = (platform.admin(), platform.register("ann").await);
    let token = &ann.tokens.access_token;
    for server in &servers {
        assert_eq!(server.verify(token).await.status, "valid");
    }
    for round in 0..3 {
        for expected in ["banned", "valid"] {
            let answer = match expected {
                "banned" => admin.post(&path(&ann), &json!({ "reason": format!("round {round}") })).await,
                _ => admin.delete(&path(&ann)).await,
            };
            answer.ok();
            let began = Instant::now();
            join_all(servers.iter().map(|server| status_becomes(server, token, expected))).await;
            let took = began.elapsed();
            println!("{expected} at every account and gateway: {took:?}");
            assert!(took <= PROMISE, "{expected}: {took:?}");
        }
    }
}

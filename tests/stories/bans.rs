//! An operator bans a player: every replica says so within a second, with the reason, until the ban is over or lifted.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{
    GameServer, Platform, Player, Role, Shape, Tokens, eventually, in_a_fleet, in_four_roles, in_one_process, now_ms,
};

in_one_process!(
    a_banned_player_is_kept_out_and_told_why_until_the_ban_is_lifted,
    a_banned_device_and_a_banned_network_are_kept_out_until_their_bans_are_lifted,
    a_ban_is_over_at_its_end_and_the_session_goes_on,
);

in_four_roles!(
    a_banned_player_is_kept_out_and_told_why_until_the_ban_is_lifted,
    a_banned_device_and_a_banned_network_are_kept_out_until_their_bans_are_lifted,
    a_ban_is_over_at_its_end_and_the_session_goes_on,
    a_gateway_whose_account_is_gone_knows_who_is_banned,
    a_ban_outlives_the_account_that_made_it,
);

in_a_fleet!(
    a_banned_player_is_kept_out_and_told_why_until_the_ban_is_lifted,
    a_banned_device_and_a_banned_network_are_kept_out_until_their_bans_are_lifted,
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

/// Signs in on a device until whichever account is asked answers so: each follows a change within a second.
async fn logins_become(player: &Player, device: &str, code: i64) {
    eventually("every account answers so", || async {
        for _ in 0..4 {
            if player.try_login_with(json!({ "device_id": device })).await.code() != code {
                return None;
            }
        }
        Some(())
    })
    .await;
}

async fn a_banned_device_and_a_banned_network_are_kept_out_until_their_bans_are_lifted(shape: Shape) {
    let platform = Platform::start(shape).await;
    let (admin, ann) = (platform.admin(), platform.register("ann").await);
    admin
        .post("/admin/v1/bans", &json!({ "kind": "device", "subject": "pad" }))
        .await
        .refused_field(4_000_001, "reason");
    for (kind, subject, field) in [("planet", "earth", "kind"), ("address", "earth", "subject")] {
        let ban = json!({ "kind": kind, "subject": subject, "reason": "x" });
        admin.post("/admin/v1/bans", &ban).await.refused_field(4_000_001, field);
    }
    let on_pad: Tokens = ann.try_login_with(json!({ "device_id": "pad-4711" })).await.ok_as();
    let until = now_ms() + 3_600_000;
    let ban =
        json!({ "kind": "device", "subject": "pad-4711", "reason": "emulator", "note": "ticket 7", "until": until });
    let device_ban = admin.post("/admin/v1/bans", &ban).await.ok()["ban_id"].clone();
    logins_become(&ann, "pad-4711", 4_030_101).await;
    let refused = ann.try_login_with(json!({ "device_id": "pad-4711" })).await;
    let told = json!({ "reason": "emulator", "until": until.to_string(), "kind": "device" });
    assert_eq!((refused.status, &refused.json()["details"]), (403, &told));
    assert!(!refused.text.contains("ticket"), "{refused:?}");
    ann.refresh_with(&on_pad.refresh_token).await.refused(4_030_101);
    status_becomes(&platform.game_server(), &on_pad.access_token, "banned").await;
    let verdict = platform.verify(&on_pad.access_token).await;
    assert_eq!(verdict.ban, Some(json!({ "reason": "emulator", "until": until })));
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid", "the account is not banned");
    logins_become(&ann, "phone-1", 2_000_000).await;

    let ban = json!({ "kind": "address", "subject": "127.0.0.1/8", "reason": "bots" });
    let network_ban = admin.post("/admin/v1/bans", &ban).await.ok()["ban_id"].clone();
    logins_become(&ann, "phone-1", 4_030_101).await;
    let page = admin.get("/admin/v1/bans?limit=1").await.ok();
    let first = &page["bans"][0];
    assert_eq!((&first["ban_id"], &first["kind"], &first["note"]), (&device_ban, &json!("device"), &json!("ticket 7")));
    assert!(!page.to_string().contains("pad-4711"), "{page}");
    let rest = admin.get(&format!("/admin/v1/bans?after={}", page["next"])).await.ok();
    assert_eq!((&rest["bans"][0]["ban_id"], &rest["bans"][0]["subject"]), (&network_ban, &json!("127.0.0.0/8")));
    for ban_id in [&device_ban, &network_ban, &network_ban] {
        assert_eq!(admin.delete(&format!("/admin/v1/bans/{ban_id}")).await.ok(), json!({}));
    }
    logins_become(&ann, "pad-4711", 2_000_000).await;
    status_becomes(&platform.game_server(), &on_pad.access_token, "valid").await;
    assert_eq!(admin.get("/admin/v1/bans").await.ok(), json!({ "bans": [] }));
    let audit = admin.get(&format!("/admin/v1/audit?target_kind=ban&target_id={device_ban}")).await.ok();
    let actions: Vec<&Value> = audit["records"].as_array().unwrap().iter().map(|record| &record["action"]).collect();
    assert_eq!(actions, ["ban.lift", "ban.create"]);
    assert!(!audit.to_string().contains("pad-4711"), "{audit}");
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

//! The account service dies, or hangs, and the gateway has a copy of what decides about a token: game servers get their
//! answers all the same, and the answers say where they come from.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use xtask::services::Redis;

use crate::support::{
    Builder, Client, GameServer, Platform, Role, Shape, Verdict, eventually, in_a_fleet, in_four_roles, in_one_process,
    now_ms,
};

in_one_process!(the_copy_keeps_up_while_account_answers);

in_four_roles!(
    the_copy_keeps_up_while_account_answers,
    while_account_is_gone_verdicts_come_from_the_copy_and_say_so,
    an_expired_token_is_expired_while_account_is_gone_too,
    while_account_hangs_only_the_first_wait_for_it,
    a_copy_that_is_too_old_is_an_open_question,
    when_account_comes_back_it_is_asked_again,
    a_gateway_that_starts_while_account_is_gone_calls_no_token_bad,
    under_another_master_key_there_is_no_copy_and_the_log_says_so,
);

in_a_fleet!(
    the_copy_keeps_up_while_account_answers,
    while_account_is_gone_verdicts_come_from_the_copy_and_say_so,
    while_account_hangs_only_the_first_wait_for_it,
    a_copy_that_is_too_old_is_an_open_question,
    when_account_comes_back_it_is_asked_again,
    a_gateway_that_starts_while_account_is_gone_calls_no_token_bad,
    every_gateway_knows_a_sign_out_within_a_second_and_says_so_when_account_hangs,
);

/// The longest that a sign-out may be missing in a gateway's copy after it was answered.
const PROMISE: Duration = Duration::from_secs(1);

fn with_copy(shape: Shape) -> Builder {
    Platform::build(shape).set("gateway.fallback.master_key", &"5a".repeat(32))
}

/// Waits until every gateway's copy has what has happened so far.
async fn copies_are_current(platform: &Platform) {
    let now = i64::try_from(now_ms() / 1000).unwrap();
    for operator in platform.operators(platform.front()) {
        eventually("the copy is current", || async {
            let metrics = operator.get("/metrics").await.text;
            (sum(&metrics, "playgate_token_copy_as_of_timestamp_seconds") > now).then_some(())
        })
        .await;
    }
}

/// The sum of the series that begin so.
fn sum(metrics: &str, series: &str) -> i64 {
    let values = metrics.lines().filter(|line| line.starts_with(series)).map(|line| line.rsplit(' ').next().unwrap());
    values.map(|value| value.parse::<i64>().unwrap()).sum()
}

/// Asks every gateway about a good token, so that each knows the app.
async fn every_gateway_knows_the_app(platform: &Platform, token: &str) {
    for server in each_gateway(platform) {
        assert!(!server.verify(token).await.degraded);
    }
}

/// The game server, at each gateway.
fn each_gateway(platform: &Platform) -> Vec<GameServer> {
    let gateways = platform.replicas().into_iter().filter(|replica| replica.role == platform.front());
    gateways.map(|gateway| platform.game_server_at(gateway)).collect()
}

/// An answer from the copy.
async fn from_copy(server: &GameServer, token: &str) -> Verdict {
    let verdict = server.verify(token).await;
    assert!(verdict.degraded, "{verdict:?}");
    verdict
}

async fn introspect(platform: &Platform, token: &str) -> Value {
    let request = platform
        .client()
        .request(Method::POST, "/oauth2/introspect")
        .basic_auth(platform.app().app_id, Some(&platform.app().app_secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}"));
    let answer = platform.client().send(request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

async fn the_copy_keeps_up_while_account_answers(shape: Shape) {
    let platform = with_master_key_where_needed(shape).start().await;
    let ann = platform.register("ann").await;
    let signed_out = ann.login().await;
    signed_out.logout().await.ok();
    copies_are_current(&platform).await;
    for operator in platform.operators(platform.front()) {
        let metrics = operator.get("/metrics").await.text;
        assert_eq!(sum(&metrics, "playgate_token_copy_entries"), 1, "the one that signed out");
    }
    let verdict = platform.verify(&ann.tokens.access_token).await;
    assert_eq!((verdict.status.as_str(), verdict.degraded), ("valid", false));
}

/// One process has account's own key; a gateway is given it.
fn with_master_key_where_needed(shape: Shape) -> Builder {
    match shape {
        Shape::AllInOne => Platform::build(shape),
        Shape::FourRolesMariadb | Shape::FleetOnNacos => with_copy(shape),
    }
}

async fn while_account_is_gone_verdicts_come_from_the_copy_and_say_so(shape: Shape) {
    let mut platform = with_copy(shape).start().await;
    let (server, other) = (platform.game_server(), platform.game_server_of(platform.create_app("other").await));
    let ann = platform.register("ann").await;
    let signed_out = ann.login().await;
    signed_out.logout().await.ok();
    let bob = platform.register("bob").await;
    bob.logout_everywhere().await.ok();
    platform.is_revoked(&signed_out.tokens.access_token).await;
    platform.is_revoked(&bob.tokens.access_token).await;
    let good = ann.tokens.access_token.as_str();
    // Through every gateway, so that each knows the other app.
    for _ in 0..platform.operators(platform.front()).len() {
        assert_eq!(other.verify(good).await.status, "invalid");
    }
    let by_account = server.verify(good).await;
    copies_are_current(&platform).await;

    platform.kill(Role::Account);
    let forged = format!("{}{}", &good[..good.len() - 2], if good.ends_with("AA") { "BB" } else { "AA" });
    for _ in 0..8 {
        let verdict = from_copy(&server, good).await;
        assert_eq!(verdict, Verdict { degraded: true, ..by_account.clone() }, "the same answer in every other way");
        for revoked in [&signed_out, &bob] {
            assert_eq!(from_copy(&server, &revoked.tokens.access_token).await.status, "revoked");
        }
        for invalid in [forged.as_str(), "garbage", "pg1.AAAA", &ann.tokens.refresh_token] {
            assert_eq!(from_copy(&server, invalid).await.status, "invalid", "{invalid}");
        }
        assert_eq!(from_copy(&other, good).await.status, "invalid");
    }
    let batch = server.ask_batch(&[good, &signed_out.tokens.access_token, "garbage"]).await.ok();
    let told = batch["results"].as_array().unwrap().iter().map(|one| (one["status"].clone(), one["degraded"].clone()));
    let expected = ["valid", "revoked", "invalid"].map(|status| (json!(status), json!(true)));
    assert_eq!(told.collect::<Vec<_>>(), expected);
    let introspection = introspect(&platform, good).await;
    assert_eq!((&introspection["active"], &introspection["degraded"]), (&json!(true), &json!(true)));
    assert_eq!(introspect(&platform, "garbage").await, json!({ "active": false, "degraded": true }));
    // What only account can do stays open.
    ann.me().await.could_not_tell();
    ann.refresh().await.could_not_tell();
}

async fn an_expired_token_is_expired_while_account_is_gone_too(shape: Shape) {
    let mut platform = with_copy(shape).set("account.tokens.access_ttl", "1s").start().await;
    let ann = platform.register("ann").await;
    eventually("the token expires", || async {
        (platform.verify(&ann.tokens.access_token).await.status == "expired").then_some(())
    })
    .await;
    copies_are_current(&platform).await;
    platform.kill(Role::Account);
    assert_eq!(from_copy(&platform.game_server(), &ann.tokens.access_token).await.status, "expired");
}

async fn while_account_hangs_only_the_first_wait_for_it(shape: Shape) {
    /// So many calls of a gateway in a row go unanswered until account counts as away.
    const WAIT: i64 = 3;
    let mut platform = with_copy(shape).start().await;
    let ann = platform.register("ann").await;
    every_gateway_knows_the_app(&platform, &ann.tokens.access_token).await;
    copies_are_current(&platform).await;
    let before = calls_about_tokens(&platform).await;
    platform.freeze(Role::Account);
    let servers = each_gateway(&platform);
    for _ in 0..50 {
        for server in &servers {
            assert_eq!(from_copy(server, &ann.tokens.access_token).await.status, "valid");
        }
    }
    let waited = calls_about_tokens(&platform).await - before;
    assert!(waited <= WAIT * i64::try_from(servers.len()).unwrap(), "{waited} calls");
    platform.thaw(Role::Account);
}

/// How often the gateways have asked account about a token.
async fn calls_about_tokens(platform: &Platform) -> i64 {
    let metrics = platform.metrics(Role::Gateway).await;
    let calls: Vec<&str> = metrics.lines().filter(|line| line.contains("method=\"VerifyToken\"")).collect();
    sum(&calls.join("\n"), "playgate_rpc_client_requests_total")
}

async fn a_copy_that_is_too_old_is_an_open_question(shape: Shape) {
    let mut platform = with_copy(shape).set("gateway.fallback.max_staleness", "2s").start().await;
    let ann = platform.register("ann").await;
    every_gateway_knows_the_app(&platform, &ann.tokens.access_token).await;
    copies_are_current(&platform).await;
    platform.kill(Role::Account);
    for server in each_gateway(&platform) {
        eventually("the copy is too old", || async {
            let answer = server.ask(&ann.tokens.access_token).await;
            if answer.status == 200 {
                assert_eq!(answer.ok()["status"], "valid");
                return None;
            }
            answer.could_not_tell();
            Some(())
        })
        .await;
        for token in [ann.tokens.access_token.as_str(), "garbage"] {
            server.ask(token).await.could_not_tell();
            server.ask_batch(&[token]).await.could_not_tell();
        }
    }
    for operator in platform.operators(Role::Gateway) {
        let metrics = operator.get("/metrics").await.text;
        assert!(sum(&metrics, "playgate_token_copy_refusals_total{reason=\"stale\"}") > 0, "{metrics}");
    }
}

async fn when_account_comes_back_it_is_asked_again(shape: Shape) {
    let mut platform = with_copy(shape).start().await;
    let ann = platform.register("ann").await;
    let server = platform.game_server();
    every_gateway_knows_the_app(&platform, &ann.tokens.access_token).await;
    copies_are_current(&platform).await;
    platform.kill(Role::Account);
    for _ in 0..10 {
        assert_eq!(from_copy(&server, &ann.tokens.access_token).await.status, "valid");
    }
    platform.restart(Role::Account).await;
    eventually("account is asked again", || async {
        let verdict = server.verify(&ann.tokens.access_token).await;
        assert_eq!(verdict.status, "valid");
        (!verdict.degraded).then_some(())
    })
    .await;
    ann.logout().await.ok();
    platform.is_revoked(&ann.tokens.access_token).await;
    let gateways = platform.operators(platform.front()).len();
    let begun = || platform.logs().matches("the gateway answers from its copy").count();
    // Log lines are written a moment later.
    eventually("it was said", || async { (begun() >= gateways).then_some(()) }).await;
    assert_eq!(begun(), gateways, "a line for the whole of it, not one per answer");
}

async fn a_gateway_that_starts_while_account_is_gone_calls_no_token_bad(shape: Shape) {
    let mut platform = with_copy(shape).start().await;
    let ann = platform.register("ann").await;
    platform.kill(Role::Account);
    platform.kill(Role::Gateway);
    // It gets ready: there is other work.
    platform.restart(Role::Gateway).await;
    for server in each_gateway(&platform) {
        for token in [ann.tokens.access_token.as_str(), "garbage"] {
            server.ask(token).await.could_not_tell();
        }
    }
    platform.restart(Role::Account).await;
    for server in each_gateway(&platform) {
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
    }
}

#[expect(clippy::print_stdout, reason = "how long it takes is shown by `cargo test -- --nocapture`")]
async fn every_gateway_knows_a_sign_out_within_a_second_and_says_so_when_account_hangs(shape: Shape) {
    let mut redis = Redis::start().unwrap();
    let mut platform = with_copy(shape).set("redis.url", &redis.url()).start().await;
    let ann = platform.register("ann").await;
    every_gateway_knows_the_app(&platform, &ann.tokens.access_token).await;
    for (number, circumstances) in (1..).zip(["with redis", "redis is gone"]) {
        if circumstances == "redis is gone" {
            redis.kill().unwrap();
        }
        let signed_out = ann.login().await;
        for server in each_gateway(&platform) {
            assert_eq!(server.verify(&signed_out.tokens.access_token).await.status, "valid");
        }
        signed_out.logout().await.ok();
        let answered = Instant::now();
        join_all(platform.operators(Role::Gateway).iter().map(|gateway| async move {
            eventually("the copy knows it", || shows(gateway, "playgate_token_copy_entries", number)).await;
        }))
        .await;
        let took = answered.elapsed();
        println!("{circumstances}, signed out -> in the copy of every gateway: {took:?}");
        assert!(took <= PROMISE, "{circumstances}: {took:?}");

        let now = i64::try_from(now_ms() / 1000).unwrap();
        for account in platform.operators(Role::Account) {
            eventually("the account knows it", || shows(&account, "playgate_revocation_entries", number)).await;
            eventually("the account goes on reading", || async {
                let metrics = account.get("/metrics").await.text;
                (sum(&metrics, "playgate_revocation_feed_last_read_timestamp_seconds") > now).then_some(())
            })
            .await;
        }

        platform.freeze(Role::Account);
        for server in each_gateway(&platform) {
            assert_eq!(from_copy(&server, &signed_out.tokens.access_token).await.status, "revoked");
            assert_eq!(from_copy(&server, &ann.tokens.access_token).await.status, "valid");
        }
        platform.thaw(Role::Account);
        for server in each_gateway(&platform) {
            eventually("account is asked again", || async {
                (!server.verify(&ann.tokens.access_token).await.degraded).then_some(())
            })
            .await;
        }
    }
}

async fn shows(operator: &Client, gauge: &str, value: i64) -> Option<()> {
    (sum(&operator.get("/metrics").await.text, gauge) == value).then_some(())
}

async fn under_another_master_key_there_is_no_copy_and_the_log_says_so(shape: Shape) {
    let mut platform = Platform::build(shape).set("gateway.fallback.master_key", &"6b".repeat(32)).start().await;
    let ann = platform.register("ann").await;
    let server = platform.game_server();
    eventually("the mistake is told", || async {
        let metrics = platform.metrics(Role::Gateway).await;
        (sum(&metrics, "playgate_token_copy_wrong_master_key") == 1).then_some(())
    })
    .await;
    let verdict = server.verify(&ann.tokens.access_token).await;
    assert_eq!((verdict.status.as_str(), verdict.degraded), ("valid", false), "account answers");
    platform.kill(Role::Account);
    server.ask(&ann.tokens.access_token).await.could_not_tell();
    let told = "gateway.fallback.master_key is not account's master key";
    eventually("the log says so", || async { platform.logs().contains(told).then_some(()) }).await;
}

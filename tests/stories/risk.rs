//! Somebody guesses passwords, tries lists of them, or fills the platform with accounts. They are slowed down, and the
//! players beside them notice nothing.

use std::{fs, path::Path};

use reqwest::Method;
use serde_json::{Value, json};
use xtask::services::Redis;

use crate::support::{Answer, Builder, Platform, Role, Shape, eventually, in_every_shape};

in_every_shape!(
    who_fails_too_often_is_told_how_long_to_wait_and_gets_in_after_it,
    a_success_ends_a_row_of_failures,
    a_stranger_locks_strangers_out_and_never_the_players_own_device,
    a_name_that_nobody_has_is_locked_like_one_that_somebody_has,
    an_address_that_tries_many_names_may_only_sign_in_known_devices,
    bots_at_one_address_lock_nobody_out_at_another,
    new_accounts_have_a_budget_per_address_and_per_device,
    a_lost_device_secret_is_slowed_down_and_the_right_one_is_not,
    who_has_a_token_guesses_the_password_no_more_often_than_who_signs_in,
    a_block_list_counts_while_the_platform_runs,
    while_redis_is_gone_guessers_are_locked_sooner_and_players_get_in,
);

const WRONG_CREDENTIALS: i64 = 4_010_101;
const FORBIDDEN: i64 = 4_030_001;
const TOO_MANY_FAILURES: i64 = 4_230_101;
const ADDRESS_LIMITED: i64 = 4_290_001;
const DEVICE_LIMITED: i64 = 4_290_002;

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.7";
const PASSWORD: &str = "correct horse battery staple";
const WRONG: &str = "wrong horse battery staple";

/// Longer than any story takes.
const THREE_FAILURES_LOCK: &str = r#"[{ failures = 3, wait = "1h" }]"#;
const NEVER: &str = "[]";

/// Somebody at an address, perhaps on a device. The platform's proxy, which stories are, says where.
#[derive(Clone, Copy)]
struct Visitor<'a> {
    platform: &'a Platform,
    address: &'a str,
    device: Option<&'a str>,
}

impl Visitor<'_> {
    async fn register(&self, username: &str) -> Answer {
        self.send("/v1/sdk/register", json!({ "username": username, "password": PASSWORD })).await
    }

    async fn login(&self, username: &str, password: &str) -> Answer {
        let body = json!({ "kind": "password", "username": username, "password": password });
        self.send("/v1/sdk/login", body).await
    }

    async fn come_as_guest(&self, device: &str, secret: Option<&str>) -> Answer {
        let body = json!({ "kind": "device", "device_id": device, "device_secret": secret });
        self.send("/v1/sdk/login", body).await
    }

    async fn send(&self, path: &str, mut body: Value) -> Answer {
        body["app_id"] = json!(self.platform.app().app_id);
        if let Some(device) = self.device {
            body["device_id"] = json!(device);
        }
        let client = self.platform.client();
        let request = client.request(Method::POST, path).header("x-forwarded-for", self.address).json(&body);
        client.send(request).await
    }

    async fn fails(&self, times: usize, username: &str) {
        for _ in 0..times {
            self.login(username, WRONG).await.refused(WRONG_CREDENTIALS);
        }
    }
}

impl Visitor<'_> {
    /// Goes on failing until no instance judges any more. How often it was judged until then.
    async fn is_locked_everywhere(&self, username: &str) -> usize {
        let (mut judged, mut refused) = (0, 0);
        while refused < 6 {
            let answer = self.login(username, WRONG).await;
            if answer.code() == WRONG_CREDENTIALS {
                (judged, refused) = (judged + 1, 0);
                assert!(judged <= 20, "nothing locks {username}");
            } else {
                locked(&answer);
                refused += 1;
            }
        }
        judged
    }
}

fn at<'a>(platform: &'a Platform, address: &'a str) -> Visitor<'a> {
    Visitor { platform, address, device: None }
}

fn on<'a>(platform: &'a Platform, address: &'a str, device: &'a str) -> Visitor<'a> {
    Visitor { platform, address, device: Some(device) }
}

/// A platform behind a proxy, without any ladder but those a story sets.
fn behind_a_proxy(shape: Shape) -> Builder {
    Platform::build(shape)
        .set("gateway.edge.trusted_proxies", r#"["127.0.0.0/8"]"#)
        .set("account.risk.account_ladder", NEVER)
        .set("account.risk.device_ladder", NEVER)
        .set("account.risk.address_ladder", NEVER)
}

/// Expects a lock and answers the milliseconds that are left of it.
#[track_caller]
fn locked(answer: &Answer) -> u64 {
    let left = answer.refused(TOO_MANY_FAILURES).json()["retry_after_ms"].as_u64().expect("the time left");
    assert_eq!(answer.header("retry-after"), left.div_ceil(1000).to_string(), "{answer:?}");
    left
}

async fn who_fails_too_often_is_told_how_long_to_wait_and_gets_in_after_it(shape: Shape) {
    let ladder = r#"[{ failures = 3, wait = "1500ms" }]"#;
    let platform = behind_a_proxy(shape).set("account.risk.account_ladder", ladder).start().await;
    platform.register("annabel").await;
    let stranger = at(&platform, ELSEWHERE);
    stranger.fails(3, "annabel").await;
    // A busy machine may take longer than the lock; then the next failure locks again.
    let told = eventually("the lock is told", || async {
        let answer = stranger.login("annabel", WRONG).await;
        (answer.code() != WRONG_CREDENTIALS).then(|| locked(&answer))
    });
    let left = told.await;
    assert!((1..=1500).contains(&left), "to the moment, not spread: {left}");
    eventually("the lock ends", || async {
        let answer = stranger.login("annabel", PASSWORD).await;
        (answer.code() != TOO_MANY_FAILURES).then(|| answer.ok())
    })
    .await;
    let account = if shape == Shape::AllInOne { Role::All } else { Role::Account };
    let mut metrics = String::new();
    for operator in platform.operators(account) {
        metrics.push_str(&operator.get("/metrics").await.text);
    }
    assert!(metrics.contains(r#"playgate_account_risk_refusals_total{rule="account"}"#), "{metrics}");
    let logs = platform.logs();
    assert!(logs.contains("too many failed logins, locked"), "the operator can read it");
    assert!(!logs.contains("annabel"), "and not whose name it was");
}

async fn a_success_ends_a_row_of_failures(shape: Shape) {
    let platform = behind_a_proxy(shape)
        .set("account.risk.account_ladder", THREE_FAILURES_LOCK)
        .set("account.risk.device_ladder", THREE_FAILURES_LOCK)
        .start()
        .await;
    platform.register("ann").await;
    let laptop = on(&platform, HOME, "laptop");
    for _ in 0..3 {
        laptop.fails(2, "ann").await;
        laptop.login("ann", PASSWORD).await.ok();
    }
    laptop.fails(3, "ann").await;
    locked(&laptop.login("ann", PASSWORD).await);
}

async fn a_stranger_locks_strangers_out_and_never_the_players_own_device(shape: Shape) {
    let platform = behind_a_proxy(shape)
        .set("account.risk.account_ladder", THREE_FAILURES_LOCK)
        .set("account.risk.address_ladder", r#"[{ failures = 6, wait = "1h" }]"#)
        .start()
        .await;
    let phone = on(&platform, HOME, "anns phone");
    phone.register("ann").await.ok();
    let stranger = on(&platform, ELSEWHERE, "strangers laptop");
    stranger.fails(3, "ann").await;
    locked(&stranger.login("ann", PASSWORD).await);
    locked(&at(&platform, "203.0.113.9").login("ann", PASSWORD).await);
    phone.login("ann", PASSWORD).await.ok();
    // The stranger's lock is not lifted by that, and the whole address being locked does not concern the phone either.
    locked(&stranger.login("ann", PASSWORD).await);
    stranger.fails(3, "bob").await;
    locked(&at(&platform, ELSEWHERE).login("cid", WRONG).await);
    on(&platform, ELSEWHERE, "anns phone").login("ann", PASSWORD).await.ok();
    // Its own failures do.
    phone.fails(3, "ann").await;
    locked(&phone.login("ann", PASSWORD).await);
}

async fn a_name_that_nobody_has_is_locked_like_one_that_somebody_has(shape: Shape) {
    let platform = behind_a_proxy(shape).set("account.risk.account_ladder", THREE_FAILURES_LOCK).start().await;
    platform.register("ann").await;
    let stranger = on(&platform, ELSEWHERE, "laptop");
    for _ in 0..6 {
        let (taken, free) = (stranger.login("ann", WRONG).await, stranger.login("nobody", WRONG).await);
        assert_eq!((taken.code(), taken.json()["message"].take()), (free.code(), free.json()["message"].take()));
        assert_eq!(taken.json()["retry_after_ms"].is_u64(), free.json()["retry_after_ms"].is_u64());
    }
    locked(&stranger.login("nobody", WRONG).await);
}

async fn an_address_that_tries_many_names_may_only_sign_in_known_devices(shape: Shape) {
    let platform = behind_a_proxy(shape).set("account.risk.stuffing_usernames", "3").start().await;
    let phone = on(&platform, ELSEWHERE, "anns phone");
    phone.register("ann").await.ok();
    let bot = at(&platform, ELSEWHERE);
    for name in ["bob", "bob", "cid", "dan"] {
        bot.fails(1, name).await;
    }
    let refusal = bot.login("ann", PASSWORD).await;
    assert!(refusal.refused(ADDRESS_LIMITED).json()["retry_after_ms"].as_u64() > Some(0), "{refusal:?}");
    phone.login("ann", PASSWORD).await.ok();
    at(&platform, HOME).login("ann", PASSWORD).await.ok();
}

async fn bots_at_one_address_lock_nobody_out_at_another(shape: Shape) {
    let platform = behind_a_proxy(shape).set("account.risk.address_ladder", THREE_FAILURES_LOCK).start().await;
    platform.register("ann").await;
    for (host, name) in [("2001:db8:1:2::1", "bob"), ("2001:db8:1:2::2", "cid"), ("2001:db8:1:2:3:4:5:6", "ann")] {
        at(&platform, host).fails(1, name).await;
    }
    locked(&at(&platform, "2001:db8:1:2::7").login("ann", PASSWORD).await);
    at(&platform, "2001:db8:1:3::7").login("ann", PASSWORD).await.ok();
    at(&platform, HOME).login("ann", PASSWORD).await.ok();
    // A developer's machine is no address: everybody in a test is there.
    let here = at(&platform, "127.0.0.1");
    here.fails(4, "dan").await;
    here.login("ann", PASSWORD).await.ok();
}

async fn new_accounts_have_a_budget_per_address_and_per_device(shape: Shape) {
    let platform = behind_a_proxy(shape)
        .set("account.risk.registrations_per_address", "2")
        .set("account.risk.registrations_per_device", "1")
        .start()
        .await;
    on(&platform, HOME, "phone").register("ann").await.ok();
    at(&platform, HOME).come_as_guest("tablet", None).await.ok();
    for refusal in [at(&platform, HOME).register("bob").await, at(&platform, HOME).come_as_guest("tv", None).await] {
        assert!(refusal.refused(ADDRESS_LIMITED).json()["retry_after_ms"].as_u64() > Some(0), "{refusal:?}");
    }
    on(&platform, ELSEWHERE, "phone").register("bob").await.refused(DEVICE_LIMITED);
    at(&platform, ELSEWHERE).register("bob").await.ok();
    at(&platform, HOME).login("ann", PASSWORD).await.ok();
}

async fn a_lost_device_secret_is_slowed_down_and_the_right_one_is_not(shape: Shape) {
    let platform = behind_a_proxy(shape).set("account.risk.device_ladder", THREE_FAILURES_LOCK).start().await;
    let (home, elsewhere) = (at(&platform, HOME), at(&platform, ELSEWHERE));
    let guest = home.come_as_guest("phone", None).await.ok();
    for _ in 0..3 {
        elsewhere.come_as_guest("phone", Some("wrong")).await.refused(WRONG_CREDENTIALS);
    }
    locked(&elsewhere.come_as_guest("phone", Some("wrong")).await);
    home.come_as_guest("phone", guest["device_secret"].as_str()).await.ok();
}

async fn who_has_a_token_guesses_the_password_no_more_often_than_who_signs_in(shape: Shape) {
    let platform = behind_a_proxy(shape)
        .set("account.risk.account_ladder", THREE_FAILURES_LOCK)
        .set("account.risk.password_hashes_per_account", "1")
        .start()
        .await;
    let ann = platform.register("annabel").await;
    let change =
        async |old: &str, new: &str| ann.change_password(json!({ "old_password": old, "new_password": new })).await;
    change(&ann.password, PASSWORD).await.ok();
    assert!(change(PASSWORD, WRONG).await.refused(DEVICE_LIMITED).json()["retry_after_ms"].as_u64() > Some(0));
    for _ in 0..2 {
        change("not the password", PASSWORD).await.refused(WRONG_CREDENTIALS);
    }
    let link = json!({ "kind": "password", "username": "annabel", "password": "not the password" });
    ann.link(link).await.refused(WRONG_CREDENTIALS);
    locked(&change(PASSWORD, WRONG).await);
    assert_eq!(platform.verify(&ann.tokens.access_token).await.status, "valid");
}

async fn a_block_list_counts_while_the_platform_runs(shape: Shape) {
    let documents = tempfile::tempdir().unwrap();
    let platform = behind_a_proxy(shape)
        .set("dynamic.kind", "file")
        .set("dynamic.directory", documents.path().to_str().unwrap())
        .set("dynamic.interval", "50ms")
        .start()
        .await;
    platform.register("ann").await;
    let (bad_address, bad_device) = (at(&platform, ELSEWHERE), on(&platform, HOME, "emulator"));
    bad_address.login("ann", PASSWORD).await.ok();

    publish(documents.path(), "[blocked]\naddresses = ['198.51.100.0/24']\ndevices = ['emulator']");
    for blocked in [bad_address, bad_device] {
        always(&blocked, FORBIDDEN).await;
        blocked.register("bob").await.refused(FORBIDDEN);
    }
    bad_address.come_as_guest("phone", None).await.refused(FORBIDDEN);
    on(&platform, HOME, "phone").login("ann", PASSWORD).await.ok();

    // A document with a mistake changes nothing.
    publish(documents.path(), "[blocked]\naddresses = ['198.51.100.0/24', 'everywhere']");
    eventually("the mistake is said", || async { platform.logs().contains("the document is refused").then_some(()) })
        .await;
    bad_device.login("ann", PASSWORD).await.refused(FORBIDDEN);

    publish(documents.path(), "");
    always(&bad_address, 2_000_000).await;
    always(&bad_device, 2_000_000).await;
}

fn publish(directory: &Path, document: &str) {
    // Renamed into place, as whoever publishes does: a file is never seen half written.
    let fresh = directory.join("fresh");
    fs::write(&fresh, document).unwrap();
    fs::rename(fresh, directory.join("playgate-risk.toml")).unwrap();
}

/// Waits until every instance has heard of the change: calls are spread over them.
async fn always(visitor: &Visitor<'_>, code: i64) {
    eventually("every instance answers so", || async {
        for _ in 0..6 {
            if visitor.login("ann", PASSWORD).await.code() != code {
                return None;
            }
        }
        Some(())
    })
    .await;
}

async fn while_redis_is_gone_guessers_are_locked_sooner_and_players_get_in(shape: Shape) {
    let mut redis = Redis::start().unwrap();
    let platform = behind_a_proxy(shape)
        .set("redis.url", &redis.url())
        .set("account.risk.account_ladder", r#"[{ failures = 6, wait = "1h" }]"#)
        .start()
        .await;
    for name in ["ann", "bob", "cid"] {
        on(&platform, HOME, "their phone").register(name).await.ok();
    }
    let stranger = at(&platform, ELSEWHERE);
    stranger.fails(6, "ann").await;
    stranger.fails(2, "bob").await;
    redis.kill().unwrap();
    // In a fleet each account counts alone, with its part of the failures: together they judge no more than with Redis.
    let alone = if shape == Shape::FleetOnNacos { 6 } else { 0 };
    assert!(stranger.is_locked_everywhere("ann").await <= alone);
    let judged = stranger.is_locked_everywhere("bob").await;
    assert!((1..=alone.max(1)).contains(&judged), "half of six, and two were judged before: {judged}");
    for name in ["ann", "bob"] {
        on(&platform, HOME, "their phone").login(name, PASSWORD).await.ok();
    }
    stranger.login("cid", PASSWORD).await.ok();
    redis.restart().unwrap();
    on(&platform, HOME, "their phone").login("ann", PASSWORD).await.ok();
    stranger.login("cid", PASSWORD).await.ok();
}

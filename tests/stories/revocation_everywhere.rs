//! A player is signed out at one account, and no other lets the token pass for longer than a second: with Redis,
//! without it, while it loses its memory, and at an account that has only just started.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use xtask::services::Redis;

use crate::support::{GameServer, Platform, Player, Role, Shape, eventually, in_a_fleet};

in_a_fleet!(
    every_account_refuses_a_token_within_a_second_of_the_sign_out,
    every_account_refuses_a_token_within_a_second_while_redis_is_gone_or_hangs,
    an_account_that_starts_late_refuses_what_was_revoked_from_its_first_answer_on,
    what_redis_lost_is_read_from_the_database,
);

/// The longest that a token may pass anywhere after a sign-out was answered.
const PROMISE: Duration = Duration::from_secs(1);

/// The two accounts, each behind a gateway that asks nobody else, and the two gateways that ask both.
struct Askers {
    of_one_account: Vec<GameServer>,
    of_both: Vec<GameServer>,
}

impl Askers {
    async fn of(platform: &mut Platform) -> Self {
        let mut of_one_account = Vec::new();
        for index in 0..2 {
            let gateway = platform.add_gateway_to(Role::Account.replica(index)).await;
            of_one_account.push(platform.game_server_at(gateway));
        }
        let of_both = (0..2).map(|index| platform.game_server_at(Role::Gateway.replica(index))).collect();
        Self { of_one_account, of_both }
    }

    /// Waits until both accounts refuse a token, and answers how long that took. From then on nobody lets it pass.
    async fn are_told_that_it_is_revoked(&self, token: &str) -> Duration {
        let began = Instant::now();
        join_all(self.of_one_account.iter().map(|server| is_told_that_it_is_revoked(server, token))).await;
        let took = began.elapsed();
        for server in [&self.of_both[0], &self.of_both[1]].repeat(2) {
            assert_eq!(server.verify(token).await.status, "revoked");
        }
        took
    }

    /// What each account says.
    async fn told(&self, token: &str) -> Vec<String> {
        join_all(self.of_one_account.iter().map(async |server| server.verify(token).await.status)).await
    }
}

async fn is_told_that_it_is_revoked(server: &GameServer, token: &str) {
    eventually("the account has heard of it", || async {
        (server.verify(token).await.status == "revoked").then_some(())
    })
    .await;
}

/// Who may sign a player out, and how.
#[derive(Clone, Copy, Debug)]
enum SignOut {
    Here,
    Everywhere,
    SessionByGameServer,
    AccountByGameServer,
}

impl SignOut {
    const ALL: [Self; 4] = [Self::Here, Self::Everywhere, Self::SessionByGameServer, Self::AccountByGameServer];

    /// Returns when it has been answered.
    async fn of(self, player: &Player, server: &GameServer) {
        let revoke = async |target: Value| {
            let body = target.to_string();
            server.send(&server.signed(Method::POST, "/v1/server/sessions/revoke", "", &body)).await
        };
        let answer = match self {
            Self::Here => player.logout().await,
            Self::Everywhere => player.logout_everywhere().await,
            Self::SessionByGameServer => {
                revoke(json!({ "session_id": player.tokens.session_id, "reason": "cheating" })).await
            }
            Self::AccountByGameServer => {
                revoke(json!({ "account_id": player.tokens.account_id, "reason": "cheating" })).await
            }
        };
        answer.ok();
    }
}

/// Signs players out in every way and expects that the promise is kept.
#[expect(clippy::print_stdout, reason = "how long it takes is shown by `cargo test -- --nocapture`")]
async fn assert_promise_is_kept(platform: &Platform, askers: &Askers, circumstances: &str) {
    for (round, sign_out) in SignOut::ALL.repeat(2).into_iter().enumerate() {
        let player = platform.register(&format!("{}_{round}", circumstances.replace(' ', "_"))).await;
        let token = &player.tokens.access_token;
        assert_eq!(askers.told(token).await, ["valid", "valid"]);
        sign_out.of(&player, &platform.game_server()).await;
        let took = askers.are_told_that_it_is_revoked(token).await;
        println!("{circumstances}, signed out {sign_out:?} -> refused by every account: {took:?}");
        assert!(took <= PROMISE, "{circumstances}, {sign_out:?}: {took:?}");
    }
}

async fn every_account_refuses_a_token_within_a_second_of_the_sign_out(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    let askers = Askers::of(&mut platform).await;
    assert_promise_is_kept(&platform, &askers, "with redis").await;
}

async fn every_account_refuses_a_token_within_a_second_while_redis_is_gone_or_hangs(shape: Shape) {
    let mut redis = Redis::start().unwrap();
    let mut platform = Platform::build(shape).set("redis.url", &redis.url()).start().await;
    let askers = Askers::of(&mut platform).await;
    redis.freeze().unwrap();
    assert_promise_is_kept(&platform, &askers, "redis hangs").await;
    redis.thaw().unwrap();
    redis.kill().unwrap();
    assert_promise_is_kept(&platform, &askers, "redis is gone").await;
}

async fn an_account_that_starts_late_refuses_what_was_revoked_from_its_first_answer_on(shape: Shape) {
    const PLAYERS: usize = 20;
    let mut platform = Platform::start(shape).await;
    let late = platform.add(Role::Account).await;
    let gateway = platform.add_gateway_to(late).await;
    let server = platform.game_server_at(gateway);
    platform.kill(late);

    let ann = platform.register("ann").await;
    let mut players = Vec::new();
    for number in 0..PLAYERS {
        players.push(platform.register(&format!("player_{number}")).await);
    }
    ann.logout_everywhere().await.ok();

    // Somebody asks before it can answer, and players go on signing out until it is ready.
    let mut signed_out = 0;
    let signing_out = async {
        for player in &players {
            player.logout().await.ok();
            signed_out += 1;
        }
        std::future::pending::<()>().await;
    };
    let starting = async { tokio::join!(first_answer(&server, &ann), platform.restart(late)) };
    let (first, ()) = tokio::select! {
        started = starting => started,
        () = signing_out => unreachable!("it has no end"),
    };
    assert_eq!(first, "revoked");

    assert!(signed_out > 0);
    let ready = Instant::now();
    let tokens = players[..signed_out].iter().map(|player| &player.tokens.access_token);
    join_all(tokens.map(|token| is_told_that_it_is_revoked(&server, token))).await;
    assert!(ready.elapsed() <= PROMISE, "{signed_out} sign-outs were seen after {:?}", ready.elapsed());
}

/// The first verdict on a token; until then nobody may be told anything but to come back.
async fn first_answer(server: &GameServer, player: &Player) -> String {
    eventually("the account answers", || async {
        let answer = server.ask(&player.tokens.access_token).await;
        if answer.status != 200 {
            answer.could_not_tell();
            return None;
        }
        Some(answer.ok()["status"].as_str().unwrap().to_owned())
    })
    .await
}

#[expect(clippy::print_stdout, reason = "how long it takes is shown by `cargo test -- --nocapture`")]
async fn what_redis_lost_is_read_from_the_database(shape: Shape) {
    let mut redis = Redis::start().unwrap();
    let builder = Platform::build(shape).set("redis.url", &redis.url());
    // Nobody looks into the database unless there is a reason to.
    let mut platform = builder.set("account.follow.revocations_every", "1h").start().await;
    let askers = Askers::of(&mut platform).await;

    let ann = platform.register("ann").await;
    every_account_speaks_and_listens(&platform).await;
    redis.kill().unwrap();
    ann.logout().await.ok();
    let mut told = askers.told(&ann.tokens.access_token).await;
    told.sort();
    assert_eq!(told, ["revoked", "valid"], "one account was never told");
    redis.restart().unwrap();
    let took = askers.are_told_that_it_is_revoked(&ann.tokens.access_token).await;
    println!("redis is back, empty -> what was revoked meanwhile is refused by every account: {took:?}");
    assert!(took <= PROMISE, "{took:?}");

    for username in ["bob", "cid"] {
        let player = platform.register(username).await;
        every_account_speaks_and_listens(&platform).await;
        redis.ask("FLUSHALL").unwrap();
        player.logout().await.ok();
        let took = askers.are_told_that_it_is_revoked(&player.tokens.access_token).await;
        println!("redis is emptied, then a sign-out -> refused by every account: {took:?}");
        assert!(took <= PROMISE, "{took:?}");
    }
}

/// Waits for the two connections that each account has to Redis: what it has to say while one is missing, the others
/// would have to read.
async fn every_account_speaks_and_listens(platform: &Platform) {
    for operator in platform.operators(Role::Account) {
        eventually("the account speaks and listens", || async {
            let metrics = operator.get("/metrics").await.text;
            let connections = ["playgate_redis_up 1", "playgate_redis_feed_followers 1"];
            connections.iter().all(|sample| metrics.lines().any(|line| line == *sample)).then_some(())
        })
        .await;
    }
}

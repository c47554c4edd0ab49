//! Replicas of a fleet come and go under load: requests follow them, and none is lost.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use xtask::services::Nacos;

use crate::support::{
    Client, DnsServer, PATIENCE, Platform, Registry, Role, Shape, eventually, in_a_fleet, in_four_roles,
};

in_a_fleet!(
    an_account_that_drains_and_comes_back_loses_no_request,
    a_gateway_is_ready_once_it_has_found_an_account,
    a_gateway_that_starts_while_nacos_is_gone_goes_by_the_list_of_its_last_run,
);

in_four_roles!(accounts_behind_a_name_come_and_go_and_the_dns_server_falls_silent_and_no_request_is_lost);

const ASKERS: usize = 4;

/// Game servers that ask about a good token without a pause, through every gateway.
struct Load {
    stop: Arc<AtomicBool>,
    askers: JoinSet<usize>,
}

impl Load {
    fn start(platform: &Platform, token: &str) -> Self {
        let (stop, mut askers) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        for _ in 0..ASKERS {
            let (stop, server, token) = (Arc::clone(&stop), platform.game_server(), token.to_owned());
            askers.spawn(async move {
                let mut answers = 0;
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(server.verify(&token).await.status, "valid");
                    answers += 1;
                }
                answers
            });
        }
        Self { stop, askers }
    }

    /// Ends it and expects that every request was answered, with the truth. Answers how many there were.
    async fn ends_without_loss(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        let mut answers = 0;
        while let Some(asker) = self.askers.join_next().await {
            answers += asker.unwrap();
        }
        answers
    }
}

/// What Nacos and an account's metrics say about the account.
struct Seen {
    is_registered: bool,
    /// Calls it has answered since it was started.
    calls: u64,
}

impl Seen {
    /// `None` once the process is gone.
    async fn at(operator: &Client, registry: &Registry, address: &String) -> Option<Self> {
        let is_registered = registry.instances("account").await.contains(address);
        Some(Self { is_registered, calls: calls(operator).await? })
    }
}

/// Calls that a process has answered since it was started. `None` once it is gone.
async fn calls(operator: &Client) -> Option<u64> {
    let metrics = operator.try_send(operator.request(Method::GET, "/metrics")).await.ok()?.text;
    let calls = metrics.lines().filter(|line| line.starts_with("playgate_rpc_server_requests_total{"));
    Some(calls.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum())
}

#[expect(clippy::print_stdout, reason = "how long it takes is shown by `cargo test -- --nocapture`")]
async fn an_account_that_drains_and_comes_back_loses_no_request(shape: Shape) {
    let builder = Platform::build(shape).set("lifecycle.drain_delay", "3s");
    // The default: what is measured is how fast a push is.
    let mut platform = builder.set("nacos.refresh_interval", "5s").start().await;
    let (ann, leaving) = (platform.register("ann").await, Role::Account.replica(0));
    let load = Load::start(&platform, &ann.tokens.access_token);
    let (operator, registry, address) = (platform.operator(leaving), platform.registry(), platform.address_of(leaving));
    let look = async || Seen::at(&operator, &registry, &address).await;
    eventually("it gets requests", || async { Some(look().await?.calls).filter(|calls| *calls > 100) }).await;

    platform.terminate(leaving);
    let (told, mut deregistered, mut calls, mut last) = (Instant::now(), None, 0, Duration::ZERO);
    while let Some(seen) = look().await {
        if !seen.is_registered {
            deregistered.get_or_insert(told.elapsed());
        }
        if seen.calls > calls {
            (calls, last) = (seen.calls, told.elapsed());
        }
    }
    let ended = platform.ends_within(leaving, PATIENCE).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let deregistered = deregistered.expect("it takes itself off the list before it ends");
    println!("SIGTERM -> deregistered: {deregistered:?}");
    println!("deregistered -> its last request: {:?}", last.saturating_sub(deregistered));

    platform.restart(leaving).await;
    let (ready, mut registered, mut first) = (Instant::now(), None, None);
    while registered.is_none() || first.is_none() {
        let seen = look().await.expect("it runs");
        if seen.is_registered {
            registered.get_or_insert(ready.elapsed());
        }
        if seen.calls > 0 {
            first.get_or_insert(ready.elapsed());
        }
        assert!(ready.elapsed() < PATIENCE, "it is not found: {registered:?}, {first:?}");
    }
    let (registered, first) = (registered.unwrap(), first.unwrap());
    println!("ready -> registered: {registered:?}, ready -> its first request: {first:?}");
    println!("registered -> its first request: {:?}", first.saturating_sub(registered));
    println!("answers meanwhile, all of them good: {}", load.ends_without_loss().await);
}

async fn a_gateway_is_ready_once_it_has_found_an_account(shape: Shape) {
    let mut platform = Platform::start(shape).await;
    platform.terminate(Role::Account);
    assert!(platform.ends_within(Role::Account, PATIENCE).await.is_some_and(|status| status.success()));
    let gateway = platform.begin(Role::Gateway);
    let operator = platform.operator(gateway);
    eventually("everything but an account is there", || async {
        let answer = operator.try_send(operator.request(Method::GET, "/readyz")).await.ok()?;
        assert_eq!(answer.status, 503, "{answer:?}");
        (answer.json()["waiting_for"] == json!(["account instances"])).then_some(())
    })
    .await;
    platform.restart(Role::Account).await;
    platform.is_ready(gateway).await;

    platform.kill(Role::Account);
    let server = platform.game_server_at(gateway);
    server.ask("pg1.AAAA").await.could_not_tell();
    assert_eq!(operator.get("/readyz").await.status, 200, "it stays ready, whatever becomes of the accounts");
}

async fn a_gateway_that_starts_while_nacos_is_gone_goes_by_the_list_of_its_last_run(shape: Shape) {
    let mut nacos = Nacos::start().unwrap();
    let mut platform = Platform::build(shape).set("nacos.server", &nacos.address()).start().await;
    let (ann, gateway) = (platform.register("ann").await, Role::Gateway.replica(0));
    nacos.kill().unwrap();
    platform.kill(gateway);
    platform.restart(gateway).await;
    let server = platform.game_server_at(gateway);
    for _ in 0..4 {
        assert_eq!(server.verify(&ann.tokens.access_token).await.status, "valid");
    }
}

async fn accounts_behind_a_name_come_and_go_and_the_dns_server_falls_silent_and_no_request_is_lost(shape: Shape) {
    const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
    let dns = DnsServer::start(&[FIRST]).await;
    let mut platform = Platform::build(shape).found_by_dns(&dns).start().await;
    let ann = platform.register("ann").await;
    let load = Load::start(&platform, &ann.tokens.access_token);

    let second = platform.add(Role::Account).await;
    dns.accounts_are(&[FIRST, SECOND]);
    eventually("the second is asked", || async { (calls(&platform.operator(second)).await? > 0).then_some(()) }).await;

    dns.accounts_are(&[SECOND]);
    knows_accounts(&platform, 1).await;
    let first = Role::Account.replica(0);
    platform.terminate(first);
    let ended = platform.ends_within(first, PATIENCE).await;
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");

    dns.fall_silent();
    let (asked, answered) = (dns.questions(), calls(&platform.operator(second)).await.expect("it runs"));
    eventually("the silent server is asked again and again", || async {
        let more = calls(&platform.operator(second)).await? - answered;
        (dns.questions() >= asked + 6 && more > 100).then_some(())
    })
    .await;
    knows_accounts(&platform, 1).await;
    assert!(load.ends_without_loss().await > 0);
}

/// Waits until the gateway has a list of so many accounts.
async fn knows_accounts(platform: &Platform, number: usize) {
    let sample = format!("playgate_discovery_instances{{service=\"account\"}} {number}");
    eventually("the gateway has the list", || async {
        platform.metrics(Role::Gateway).await.lines().any(|line| line == sample).then_some(())
    })
    .await;
}

//! One of three instances is slow, hangs or refuses: what that costs the callers, in time that is moved by hand.

#![expect(clippy::print_stdout, reason = "the figures are shown by `cargo test -- --nocapture`")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use govern::rules::Rules;
use idl::account::AccountServiceClient;
use prometheus::Registry;
use tokio::{
    net::TcpListener,
    task::yield_now,
    time::{Instant, advance, sleep},
};
use tokio_util::task::TaskTracker;

use super::{
    harness::{Script, Server, Told, governed_parts, read, refusing_address, silent, stack, valid},
    scrape,
};
use crate::{
    governance::Governance,
    rpc::{ClientConfig, ServerConfig, Transport, account_client},
};

const MS: Duration = Duration::from_millis(1);

/// How often the runtime runs everything there is to run before a millisecond passes. Loopback is quicker than this.
const TURNS: usize = 40;

/// How the third instance does.
#[derive(Clone, Copy, Debug)]
enum Third {
    Slow,
    Hangs,
    Refuses,
}

struct Fleet {
    client: AccountServiceClient,
    registry: Registry,
    _servers: Vec<Server>,
    _silent: Option<TcpListener>,
    _time: std::sync::mpsc::Sender<()>,
}

impl Fleet {
    async fn start(third: Third, rules: Rules) -> Self {
        // Time moves only by hand, though the sockets are real: while a blocking task runs, tokio skips no time.
        let (hold, held) = std::sync::mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv().is_err());
        let mut servers = vec![server(Script::new()).await, server(Script::new()).await];
        let (mut listener, mut address) = (None, refusing_address().await);
        match third {
            Third::Slow => {
                servers.push(
                    server(Script::new().on_read(|_| async {
                        sleep(300 * MS).await;
                        valid().await
                    }))
                    .await,
                );
                address = servers[2].address;
            }
            Third::Hangs => {
                let (hanging, at) = silent().await;
                (listener, address) = (Some(hanging), at);
            }
            Third::Refuses => {}
        }
        let (registry, instances) = (Registry::new(), [servers[0].address, servers[1].address, address]);
        let client = client(instances, rules, &registry);
        Self { client, registry, _servers: servers, _silent: listener, _time: hold }
    }

    /// How long a read takes, in the time that is moved.
    async fn read(&self) -> Duration {
        let (client, began) = (self.client.clone(), Instant::now());
        let call = TaskTracker::new().spawn(async move {
            let answer = read(&client, "any").await;
            answer.map(|_| Instant::now())
        });
        loop {
            for _ in 0..TURNS {
                if call.is_finished() {
                    let ended = call.await.expect("no panic").expect("somebody answers");
                    return ended - began;
                }
                yield_now().await;
            }
            advance(MS).await;
        }
    }
}

async fn server(script: Script) -> Server {
    Server::start(stack(script, &Registry::new(), &TaskTracker::new()), &ServerConfig::default()).await
}

fn client(addresses: [SocketAddr; 3], rules: Rules, registry: &Registry) -> AccountServiceClient {
    let parts = governed_parts(registry, &Governance::new(rules));
    account_client(Transport::Wire(Arc::new(Told::about(addresses))), &ClientConfig::default(), &parts)
}

fn value(registry: &Registry, name: &str) -> usize {
    let counted = scrape(registry);
    let lines = counted.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line.rsplit_once(' ').expect("a sample").1.parse::<usize>().expect("a number")).sum()
}

async fn the_rest_carries_on(third: Third) {
    let fleet = Fleet::start(third, Rules::default()).await;
    let began = Instant::now();
    let (mut first_second, mut later) = (Vec::new(), Vec::new());
    while began.elapsed() < 10_000 * MS {
        let is_first = began.elapsed() < 1000 * MS;
        let took = fleet.read().await;
        if is_first {
            first_second.push(took);
        } else {
            later.push(took);
        }
        advance(5 * MS).await;
    }
    first_second.sort_unstable();
    later.sort_unstable();
    let p99 = |all: &[Duration]| all[all.len() * 99 / 100];
    println!(
        "third instance {third:?}: first second p99 {:?} of {}, later p99 {:?}, slowest {:?} of {}; ejections {}, backups {}",
        p99(&first_second),
        first_second.len(),
        p99(&later),
        later.last(),
        later.len(),
        value(&fleet.registry, "playgate_rpc_client_ejections_total"),
        value(&fleet.registry, "playgate_rpc_client_backups_sent_total"),
    );
    let slow = later.iter().filter(|took| **took > 20 * MS).count();
    assert!(slow * 100 < later.len(), "{slow} of {}", later.len());
    yield_now().await;
    assert_eq!(value(&fleet.registry, "playgate_rpc_client_attempts_in_flight"), 0, "who lost a race is gone");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_slow_costs_hardly_any_call_its_time() {
    the_rest_carries_on(Third::Slow).await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_hangs_costs_hardly_any_call_its_time() {
    the_rest_carries_on(Third::Hangs).await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_refuses_costs_hardly_any_call_its_time() {
    the_rest_carries_on(Third::Refuses).await;
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_hangs_is_left_out_and_none_of_the_others() {
    let mut rules = Rules::default();
    // As if it were the cheapest whenever nobody has asked it for a while.
    rules.callee.balance.force_after = 100 * MS;
    let fleet = Fleet::start(Third::Hangs, rules).await;
    for _ in 0..1000 {
        fleet.read().await;
        advance(5 * MS).await;
    }
    let ejected = "playgate_rpc_client_ejections_total{reason=\"unanswered\",service=\"account\"}";
    assert!(value(&fleet.registry, ejected) > 0);
    assert_eq!(value(&fleet.registry, "playgate_rpc_client_ejections_total"), value(&fleet.registry, ejected));
}

#[tokio::test(start_paused = true)]
async fn no_second_instance_is_asked_while_backups_and_retries_are_turned_off() {
    let mut rules = Rules::default();
    (rules.switches.backup, rules.switches.retry) = (false, false);
    let fleet = Fleet::start(Third::Slow, rules).await;
    for _ in 0..200 {
        fleet.read().await;
    }
    assert_eq!(value(&fleet.registry, "playgate_rpc_client_backups_sent_total"), 0);
}

//! Which of several instances is asked: by lane and load, and not one that refuses or hangs.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use govern::{lane::LaneName, rules::Rules};
use idl::account::AccountServiceClient;
use prometheus::Registry;
use tokio::{net::TcpListener, sync::Barrier, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    harness::{
        Script, Server, Told, client_parts, governed_parts, hanging_up, read, refusing_address, silent, stack, valid,
        write,
    },
    scrape,
};
use crate::{
    clock::testing::SeededRandom,
    context::RequestContext,
    governance::Governance,
    rpc::{CallError, ClientConfig, ServerConfig, Transport, account_client},
};

async fn server(script: Script) -> Server {
    Server::start(stack(script, &Registry::new(), &TaskTracker::new()), &ServerConfig::default()).await
}

/// A script that counts its reads.
fn counting(count: &Arc<AtomicUsize>) -> Script {
    let count = Arc::clone(count);
    Script::new().on_read(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        valid()
    })
}

fn client<const N: usize>(addresses: [SocketAddr; N], rules: Rules, registry: &Registry) -> AccountServiceClient {
    let parts = governed_parts(registry, &Governance::new(rules));
    account_client(Transport::Wire(Arc::new(Told::about(addresses))), &ClientConfig::default(), &parts)
}

/// Whoever fails three times in a row is left out for the rest of the test, and is tried whatever it seems to cost.
fn for_good() -> Rules {
    let mut rules = Rules::default();
    let hour = Duration::from_secs(3600);
    (rules.callee.ejection.shortest, rules.callee.ejection.longest) = (hour, hour);
    rules.callee.ejection.failures = 3;
    rules.callee.balance.failure_latency = Duration::ZERO;
    rules.switches.breaker = false;
    rules
}

#[tokio::test]
async fn a_read_whose_answer_is_lost_is_asked_again_elsewhere_and_the_instance_is_left_out() {
    let taken = Arc::new(AtomicUsize::new(0));
    let server = server(Script::new()).await;
    let registry = Registry::new();
    let client = client([hanging_up(&taken).await, server.address], for_good(), &registry);
    for _ in 0..200 {
        read(&client, "any").await.expect("the other instance answers");
    }
    let (taken, counted) = (taken.load(Ordering::SeqCst), scrape(&registry));
    assert!((1..=3).contains(&taken), "{taken}");
    assert!(
        counted.contains(&format!("playgate_rpc_client_retries_total{{service=\"account\"}} {taken}\n")),
        "{counted}"
    );
    let ejected = "playgate_rpc_client_ejections_total{reason=\"unanswered\",service=\"account\"} 1\n";
    assert_eq!(taken == 3, counted.contains(ejected), "{counted}");
}

#[tokio::test]
async fn an_instance_that_refuses_costs_no_call_and_is_left_out() {
    let server = server(Script::new()).await;
    let registry = Registry::new();
    let rules = Rules { switches: Default::default(), ..for_good() };
    let client = client([refusing_address().await, server.address], rules, &registry);
    let mut calls = 0;
    let ejected = "playgate_rpc_client_ejections_total{reason=\"refused\",service=\"account\"} 1\n";
    while !scrape(&registry).contains(ejected) {
        calls += 1;
        assert!(calls < 10_000, "{}", scrape(&registry));
        // At the same time, or the quicker one gets them all.
        let both = tokio::join!(read(&client, "any"), read(&client, "any"));
        both.0.and(both.1).expect("the other instance answers");
    }
    let moved_on = "playgate_rpc_client_moved_on_total{service=\"account\"} 3\n";
    assert!(scrape(&registry).contains(moved_on), "{}", scrape(&registry));
    for _ in 0..50 {
        read(&client, "any").await.expect("answered");
    }
    assert!(scrape(&registry).contains(moved_on), "{}", scrape(&registry));
}

#[tokio::test]
async fn an_instance_that_is_silent_on_writes_is_left_out_too() {
    let ((_one, one), (_other, other)) = (silent().await, silent().await);
    let registry = Registry::new();
    let (timeout, attempt_timeout) = (Duration::from_millis(40), Duration::from_millis(20));
    let config = ClientConfig { timeout, attempt_timeout, connect_timeout: timeout, ..ClientConfig::default() };
    let parts = governed_parts(&registry, &Governance::new(for_good()));
    let client = account_client(Transport::Wire(Arc::new(Told::about([one, other]))), &config, &parts);
    for _ in 0..8 {
        assert_eq!(write(&client).await, Err(CallError::DeadlineExceeded));
    }
    let counted = scrape(&registry);
    let ejected = "playgate_rpc_client_ejections_total{reason=\"unanswered\",service=\"account\"} 1\n";
    assert!(counted.contains(ejected), "one, because somebody has to be left: {counted}");
}

#[tokio::test]
async fn when_all_instances_refuse_nothing_was_sent() {
    let refusing = [refusing_address().await, refusing_address().await, refusing_address().await];
    let client = client(refusing, for_good(), &Registry::new());
    for _ in 0..10 {
        let refused = read(&client, "any").await;
        assert!(matches!(refused, Err(CallError::NotSent { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn when_all_instances_have_refused_the_first_that_comes_back_is_found() {
    let (gone, port) = (refusing_address().await, refusing_address().await);
    let mut rules = for_good();
    rules.switches.breaker = true;
    let client = client([gone, port], rules, &Registry::new());
    for _ in 0..40 {
        assert!(read(&client, "any").await.is_err());
    }
    let listener = TcpListener::bind(port).await.expect("still free");
    let stack = stack(Script::new(), &Registry::new(), &TaskTracker::new());
    let stopping = CancellationToken::new();
    let _serving = TaskTracker::new()
        .spawn(async move { crate::rpc::serve(listener, stack, &ServerConfig::default(), stopping).await });
    for _ in 0..40 {
        read(&client, "any").await.expect("found");
    }
}

#[tokio::test]
async fn without_an_instance_nothing_was_sent_and_the_first_that_comes_is_asked_at_once() {
    let told = Arc::new(Told::about([]));
    let client = account_client(
        Transport::Wire(Arc::clone(&told) as _),
        &ClientConfig::default(),
        &client_parts(&Registry::new()),
    );
    for _ in 0..20 {
        let CallError::NotSent { cause } = read(&client, "any").await.expect_err("nobody is there") else {
            panic!("nothing was sent")
        };
        assert_eq!(cause, "no instance of account is known");
    }
    let server = server(Script::new()).await;
    told.now([server.address]);
    read(&client, "any").await.expect("nothing was held against anybody");
}

#[tokio::test]
async fn calls_at_the_same_time_are_spread_over_the_instances() {
    let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let both = Arc::new(Barrier::new(2));
    let [one, other] = counts.clone().map(|count| {
        let both = Arc::clone(&both);
        Script::new().on_read(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            let both = Arc::clone(&both);
            async move {
                both.wait().await;
                valid().await
            }
        })
    });
    let (one, other) = (server(one).await, server(other).await);
    let client = client([one.address, other.address], Rules::default(), &Registry::new());
    for _ in 0..10 {
        // Neither is answered before the other has arrived somewhere.
        let both = tokio::join!(read(&client, "any"), read(&client, "any"));
        both.0.and(both.1).expect("answered");
    }
    assert_eq!(counts.map(|count| count.load(Ordering::SeqCst)), [10, 10]);
}

#[tokio::test]
async fn a_call_goes_to_its_lane_and_where_there_is_none_to_the_base() {
    let counts = [Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0))];
    let (base, blue) = (server(counting(&counts[0])).await, server(counting(&counts[1])).await);
    let told = Told::in_lanes([(base.address, None), (blue.address, Some("blue"))]);
    let client =
        account_client(Transport::Wire(Arc::new(told)), &ClientConfig::default(), &client_parts(&Registry::new()));
    let ask = async |lane: Option<&str>| {
        let lane = lane.map(|name| LaneName::parse(name).expect("a lane"));
        let context = RequestContext { lane, ..RequestContext::root(&SeededRandom::new(7)) };
        for _ in 0..10 {
            context.scope(read(&client, "any")).await.expect("answered");
        }
        [&counts[0], &counts[1]].map(|count| count.swap(0, Ordering::SeqCst))
    };
    assert_eq!(ask(Some("blue")).await, [0, 10]);
    assert_eq!(ask(Some("green")).await, [10, 0], "nobody is there");
    assert_eq!(ask(None).await, [10, 0]);
}

#[tokio::test]
async fn a_lane_whose_only_instance_refuses_is_served_by_the_base() {
    let count = Arc::new(AtomicUsize::new(0));
    let base = server(counting(&count)).await;
    let told = Told::in_lanes([(base.address, None), (refusing_address().await, Some("blue"))]);
    let client =
        account_client(Transport::Wire(Arc::new(told)), &ClientConfig::default(), &client_parts(&Registry::new()));
    let lane = LaneName::parse("blue").ok();
    let context = RequestContext { lane, ..RequestContext::root(&SeededRandom::new(7)) };
    for _ in 0..20 {
        context.scope(read(&client, "any")).await.expect("answered by the base");
    }
    assert_eq!(count.load(Ordering::SeqCst), 20);
}

#[tokio::test]
async fn what_is_known_of_an_instance_outlives_a_change_of_the_list() {
    let count = Arc::new(AtomicUsize::new(0));
    let (good, refusing) = (server(counting(&count)).await, refusing_address().await);
    let registry = Registry::new();
    let (told, governance) = (Arc::new(Told::about([good.address, refusing])), Governance::new(for_good()));
    let config = ClientConfig::default();
    let parts = governed_parts(&registry, &governance);
    let client = account_client(Transport::Wire(Arc::clone(&told) as _), &config, &parts);
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        calls.spawn(async move { read(&client, "any").await });
    }
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    let moved_on = || {
        let counted = scrape(&registry);
        let line =
            counted.lines().find(|line| line.starts_with("playgate_rpc_client_moved_on_total{")).expect("counted");
        line.to_owned()
    };
    assert!(scrape(&registry).contains("playgate_rpc_client_ejections_total{reason=\"refused\""));
    let before = moved_on();
    let other = server(counting(&count)).await;
    told.now([refusing, other.address, good.address]);
    for _ in 0..64 {
        read(&client, "any").await.expect("answered");
    }
    assert_eq!(moved_on(), before, "it is still left out");
}

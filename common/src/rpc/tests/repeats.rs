//! Who is asked again, how often, and who is not: the budget, the breaker, the bulkhead, and requests that are repeats.

#![expect(clippy::print_stdout, reason = "the figures are shown by `cargo test -- --nocapture`")]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use govern::rules::Rules;
use idl::account::{AccountServiceClient, TokenVerdict};
use prometheus::Registry;
use tokio::{sync::Notify, task::JoinSet, time::advance};
use tokio_util::task::TaskTracker;
use volo_thrift::ServerError;

use super::{
    harness::{Script, Server, Told, governed_parts, hanging_up, read, stack, valid, write},
    scrape,
};
use crate::{
    error_code::{ErrorCode, PublicError},
    governance::Governance,
    rpc::{CallError, ClientConfig, ServerConfig, Transport, account_client, error::refuse},
};

/// What a read is answered with.
type Answer = Result<TokenVerdict, ServerError>;

/// A fleet of two accounts that count what they are asked.
struct Fleet {
    client: AccountServiceClient,
    registry: Registry,
    governance: Governance,
    asked: Arc<AtomicUsize>,
    _servers: [Server; 2],
}

impl Fleet {
    /// Both answer reads with what `answer` gives for the number of the question.
    async fn start(rules: Rules, answer: impl Fn(usize) -> Answer + Clone + Send + Sync + 'static) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let script = || {
            let (asked, answer) = (Arc::clone(&asked), answer.clone());
            Script::new().on_read(move |_| std::future::ready(answer(asked.fetch_add(1, Ordering::SeqCst))))
        };
        let servers = [server(script()).await, server(script()).await];
        let (registry, governance) = (Registry::new(), Governance::new(rules));
        let client = client([servers[0].address, servers[1].address], &governance, &registry);
        Self { client, registry, governance, asked, _servers: servers }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The value of a sample that has these labels besides the service.
    fn sample(&self, name: &str, labels: &str) -> usize {
        sample(&self.registry, name, labels)
    }
}

async fn server(script: Script) -> Server {
    Server::start(stack(script, &Registry::new(), &TaskTracker::new()), &ServerConfig::default()).await
}

fn client(addresses: [SocketAddr; 2], governance: &Governance, registry: &Registry) -> AccountServiceClient {
    let transport = Transport::Wire(Arc::new(Told::about(addresses)));
    account_client(transport, &ClientConfig::default(), &governed_parts(registry, governance))
}

fn sample(registry: &Registry, name: &str, labels: &str) -> usize {
    let start = format!("playgate_rpc_client_{name}{{{labels}service=\"account\"}} ");
    let counted = scrape(registry);
    let value = counted.lines().find_map(|line| line.strip_prefix(&start));
    value.map_or(0, |value| value.parse().expect("a whole number"))
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of several answers")]
fn valid_now() -> Answer {
    Ok(TokenVerdict::default())
}

fn fault() -> Answer {
    Err(refuse(&PublicError::internal()))
}

fn without(turn_off: impl Fn(&mut govern::rules::Switches)) -> Rules {
    let mut rules = Rules::default();
    turn_off(&mut rules.switches);
    rules
}

/// Time that moves only when a test says so, though the sockets are real: while a blocking task runs, tokio does not
/// skip to the next timer.
fn hold_time() -> std::sync::mpsc::Sender<()> {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || held.recv().is_err());
    hold
}

#[tokio::test]
async fn a_callee_that_fails_half_of_all_reads_gets_a_tenth_more_of_them_and_the_floor() {
    const CALLS: usize = 1000;
    let fleet =
        Fleet::start(without(|switches| switches.breaker = false), |n| if n % 2 == 0 { valid_now() } else { fault() })
            .await;
    for _ in 0..CALLS {
        // Half of them fail.
        let _ = read(&fleet.client, "any").await;
    }
    let (asked, retries) = (fleet.asked(), fleet.sample("retries_total", ""));
    println!("{CALLS} reads, half of all answers faults: {asked} attempts, {retries} retries");
    assert!(retries > 30, "{retries}");
    assert!(asked <= CALLS + CALLS / 10 + 30 + 1, "{asked}");
    assert_eq!(asked, CALLS + retries);
    assert!(fleet.sample("not_retried_total", "reason=\"budget\",") > 0);
}

#[tokio::test]
async fn a_refusal_that_is_an_answer_is_asked_once_and_opens_no_breaker() {
    let refusal = || Err(refuse(&PublicError::unavailable(Duration::from_secs(2))));
    let fleet = Fleet::start(Rules::default(), move |_| refusal()).await;
    for _ in 0..50 {
        let refused = read(&fleet.client, "any").await;
        assert!(
            matches!(&refused, Err(CallError::Answered(answer)) if answer.code == ErrorCode::DEPENDENCY_UNAVAILABLE)
        );
    }
    assert_eq!((fleet.asked(), fleet.sample("retries_total", "")), (50, 0));
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_fails_is_hardly_asked_and_within_five_seconds_of_its_recovery_as_before() {
    let _time = hold_time();
    let is_well = Arc::new(AtomicBool::new(false));
    let health = Arc::clone(&is_well);
    let answer = move |_| if health.load(Ordering::SeqCst) { valid_now() } else { fault() };
    let fleet = Fleet::start(without(|switches| switches.retry = false), answer).await;
    let (mut asked, mut rejected) = (0, 0);
    for _ in 0..2000 {
        match read(&fleet.client, "any").await {
            Err(CallError::Rejected) => rejected += 1,
            _ => asked += 1,
        }
        advance(Duration::from_millis(5)).await;
    }
    println!("10 s of faults at 200 reads a second: {asked} asked, {rejected} rejected");
    assert!(rejected > 1500, "{rejected}");
    assert!(fleet.sample("breaker_rejections_total", "method=\"VerifyToken\",") == rejected);
    assert_eq!(write(&fleet.client).await.map(|answer| answer.revoked), Ok(1), "other methods have their own");

    is_well.store(true, Ordering::SeqCst);
    let mut last_rejection = Duration::ZERO;
    for step in 1..=1000_u32 {
        if read(&fleet.client, "any").await.is_err() {
            last_rejection = step * Duration::from_millis(5);
        }
        advance(Duration::from_millis(5)).await;
    }
    println!("the last rejection came {last_rejection:?} after the recovery");
    assert!(last_rejection < Duration::from_secs(5) && !last_rejection.is_zero(), "{last_rejection:?}");
    assert_eq!(fleet.sample("breaker_rejection_probability", "method=\"VerifyToken\","), 0);
}

#[tokio::test]
async fn what_the_breaker_rejects_can_be_turned_on_and_off_while_it_runs() {
    let fleet = Fleet::start(without(|switches| switches.retry = false), |_| fault()).await;
    let rejections = async |calls: usize| {
        let mut rejections = 0;
        for _ in 0..calls {
            rejections += usize::from(read(&fleet.client, "any").await == Err(CallError::Rejected));
        }
        rejections
    };
    assert!(rejections(100).await > 50);
    fleet.governance.put_in_force(without(|switches| (switches.retry, switches.breaker) = (false, false)));
    assert_eq!(rejections(100).await, 0);
    fleet.governance.put_in_force(without(|switches| switches.retry = false));
    assert!(rejections(100).await > 50);
}

#[tokio::test]
async fn retries_stop_while_they_are_turned_off() {
    let off = |switches: &mut govern::rules::Switches| (switches.retry, switches.breaker) = (false, false);
    let fleet = Fleet::start(without(|switches| switches.breaker = false), |_| fault()).await;
    assert!(read(&fleet.client, "any").await.is_err());
    assert_eq!(fleet.asked(), 2);
    fleet.governance.put_in_force(without(off));
    assert!(read(&fleet.client, "any").await.is_err());
    assert_eq!(fleet.asked(), 3);
}

#[tokio::test]
async fn a_repeat_is_not_repeated_further_down() {
    let asked = Arc::new(AtomicUsize::new(0));
    let failing = || {
        let asked = Arc::clone(&asked);
        Script::new().on_read(move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            std::future::ready(fault())
        })
    };
    let far = [server(failing()).await, server(failing()).await];
    let far_client = client([far[0].address, far[1].address], &Governance::default(), &Registry::new());
    let passing_on = || {
        let far_client = far_client.clone();
        Script::new().on_read(move |_| {
            let far_client = far_client.clone();
            async move { read(&far_client, "any").await.or_else(|_| fault()) }
        })
    };
    let near = [server(passing_on()).await, server(passing_on()).await];
    let near_client = client([near[0].address, near[1].address], &Governance::default(), &Registry::new());
    assert!(read(&near_client, "any").await.is_err());
    assert_eq!(asked.load(Ordering::SeqCst), 3, "twice for the first attempt, once for its repeat");
}

#[tokio::test]
async fn a_call_for_which_there_is_no_room_is_told_so_at_once_and_says_nothing_about_the_callee() {
    let (arrived, release) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (arrivals, released) = (Arc::clone(&arrived), Arc::clone(&release));
    let script = Script::new().on_read(move |_| {
        arrivals.fetch_add(1, Ordering::SeqCst);
        let released = Arc::clone(&released);
        async move {
            released.notified().await;
            valid().await
        }
    });
    let server = server(script).await;
    let (mut rules, registry) = (Rules::default(), Registry::new());
    rules.callee.in_flight = 2;
    let governance = Governance::new(rules);
    let client = client([server.address, server.address], &governance, &registry);
    let mut calls = JoinSet::new();
    for _ in 0..2 {
        let client = client.clone();
        calls.spawn(async move { read(&client, "any").await });
    }
    while arrived.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        assert_eq!(read(&client, "any").await, Err(CallError::NoRoom), "and never the breaker's");
    }
    assert_eq!(sample(&registry, "bulkhead_refusals_total", ""), 50);
    assert_eq!(sample(&registry, "attempts_in_flight", ""), 2);
    governance.put_in_force(without(|switches| switches.bulkhead = false));
    let third = {
        let client = client.clone();
        calls.spawn(async move { read(&client, "any").await })
    };
    while arrived.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    drop(third);
    release.notify_waiters();
    assert!(calls.join_all().await.iter().all(Result::is_ok));
    assert_eq!(sample(&registry, "attempts_in_flight", ""), 0);
}

#[tokio::test]
async fn when_nobody_answers_reads_are_asked_again_no_more_than_the_budget_allows() {
    const CALLS: usize = 100;
    let taken = Arc::new(AtomicUsize::new(0));
    let mut rules = without(|switches| switches.breaker = false);
    rules.callee.retry.floor_per_second = 0;
    let instances = [hanging_up(&taken).await, hanging_up(&taken).await];
    let client = client(instances, &Governance::new(rules), &Registry::new());
    for _ in 0..CALLS {
        let lost = read(&client, "any").await;
        assert!(matches!(lost, Err(CallError::LostAfterSend { .. })), "{lost:?}");
    }
    let taken = taken.load(Ordering::SeqCst);
    assert!((CALLS + 1..=CALLS + CALLS / 10).contains(&taken), "{taken}");
}

//! The gate from outside, in paused time: what is let in, what waits, what is refused, and that nothing is left behind.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use govern::{
    codel::CodelConfig,
    gradient::{Ending, GradientConfig},
    priority::{Class, InFlight, PriorityConfig},
    rules::{RouteRules, Rules, Switches},
};
use prometheus::Registry;
use proptest::prelude::*;
use tokio::{
    task::JoinSet,
    time::{Instant, advance, sleep},
};

use super::{gate::Gate, gates::Gates, processor::Sources, refusal::Reason};
use crate::{
    clock::testing::SeededRandom,
    context::{RequestContext, TraceId},
    governance::Governance,
};

const MS: Duration = Duration::from_millis(1);

/// A gate under a fixed limit.
struct Fixture {
    governance: Governance,
    registry: Registry,
    gate: Arc<Gate>,
}

impl Fixture {
    fn with(rules: Rules) -> Self {
        let (governance, registry) = (Governance::new(rules), Registry::new());
        let random = Arc::new(SeededRandom::new(7));
        let gates = Gates::with_threads(1, governance.clone(), random, &registry).unwrap();
        Self { gate: gates.open("test"), governance, registry }
    }

    fn of_limit(limit: u32) -> Self {
        Self::with(rules(limit))
    }

    fn nobody_is_left(&self) {
        assert_eq!(self.gate.in_flight(), InFlight::default());
        for class in Class::SHED_ORDER {
            assert_eq!(self.gate.waiting(class), 0, "{class:?}");
        }
        assert!(!self.gate.somebody_waits_from(Class::Ingest));
    }

    /// The sum of a family, as far as its labels have `value`.
    fn metric(&self, family: &str, value: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|known| known.name() == family).unwrap_or_else(|| panic!("no {family}"));
        let has_value =
            |metric: &&prometheus::proto::Metric| metric.get_label().iter().any(|label| label.value() == value);
        let sum =
            |metric: &prometheus::proto::Metric| metric.get_counter().get_value() + metric.get_gauge().get_value();
        family.get_metric().iter().filter(has_value).map(sum).sum()
    }
}

/// Nothing reserved and no latency learned from, so that numbers are what they look like.
fn rules(limit: u32) -> Rules {
    Rules {
        concurrency: GradientConfig { min: limit, initial: limit, max: limit, ..GradientConfig::default() },
        priority: PriorityConfig { pay_reserved: 0, ..PriorityConfig::default() },
        ..Rules::default()
    }
}

async fn within_a_deadline<F: Future>(left: Duration, future: F) -> F::Output {
    let trace = TraceId::from_u128(1).unwrap();
    let context = RequestContext { deadline: Some(Instant::now() + left), ..RequestContext::of_trace(trace, 0, false) };
    context.scope(future).await
}

#[tokio::test(start_paused = true)]
async fn verifications_come_in_while_logins_are_refused() {
    let test = Fixture::of_limit(10);
    let mut inside = Vec::new();
    for _ in 0..8 {
        inside.push(test.gate.enter(Class::Login).await.unwrap());
    }
    let refused = test.gate.enter(Class::Login).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Late);
    let began = Instant::now();
    inside.push(test.gate.enter(Class::Verify).await.unwrap());
    inside.push(test.gate.enter(Class::Verify).await.unwrap());
    assert_eq!(began.elapsed(), Duration::ZERO, "without waiting");
    assert_eq!(test.metric("playgate_shedding_admitted_total", "verify"), 2.0);
    assert_eq!(test.metric("playgate_shedding_refused_total", "late"), 1.0);
    assert_eq!(test.metric("playgate_shedding_in_flight", "general"), 10.0);
    drop(inside);
    test.nobody_is_left();
}

#[tokio::test(start_paused = true)]
async fn pay_callbacks_have_room_when_everything_is_full() {
    let priority = PriorityConfig { pay_reserved: 3, ..PriorityConfig::default() };
    let test = Fixture::with(Rules { priority, ..rules(10) });
    let mut inside = Vec::new();
    for _ in 0..7 {
        inside.push(test.gate.enter(Class::Verify).await.unwrap());
    }
    let waiting = test.gate.enter(Class::Verify);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::ZERO, &mut waiting).await.is_err(), "full");
    for _ in 0..3 {
        inside.push(test.gate.enter(Class::PayCallback).await.unwrap());
    }
    assert_eq!(test.gate.in_flight(), InFlight { general: 7, reserved: 3 });
    assert!(test.gate.enter(Class::PayCallback).await.is_err(), "the rest waits like everybody");
}

#[tokio::test(start_paused = true)]
async fn who_waits_comes_in_when_room_is_given_back_the_highest_class_first() {
    let test = Fixture::of_limit(1);
    let first = test.gate.enter(Class::Verify).await.unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut waiting = JoinSet::new();
    for class in [Class::Ingest, Class::Login, Class::Verify] {
        let (gate, order) = (Arc::clone(&test.gate), Arc::clone(&order));
        waiting.spawn(async move {
            let admission = gate.enter(class).await.unwrap();
            order.lock().unwrap().push(class);
            sleep(MS).await;
            admission.ended(Ending::Worked);
        });
        tokio::task::yield_now().await;
    }
    assert_eq!(test.gate.waiting(Class::Login), 1);
    drop(first);
    waiting.join_all().await;
    assert_eq!(*order.lock().unwrap(), [Class::Verify, Class::Login, Class::Ingest]);
    test.nobody_is_left();
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_an_interval_and_in_overload_than_the_target() {
    let test = Fixture::of_limit(1);
    let _inside = test.gate.enter(Class::Verify).await.unwrap();
    let waited = async || {
        let began = Instant::now();
        assert_eq!(test.gate.enter(Class::Verify).await.unwrap_err().reason, Reason::Late);
        began.elapsed()
    };
    let config = CodelConfig::default();
    let first = waited().await;
    assert!((config.interval..config.interval + 2 * MS).contains(&first), "{first:?}");
    let mut standing = JoinSet::new();
    for number in 0..150_u32 {
        let gate = Arc::clone(&test.gate);
        standing.spawn(async move {
            sleep(2 * MS * number).await;
            let began = Instant::now();
            _ = gate.enter(Class::Verify).await;
            (number, began.elapsed())
        });
    }
    // From then on the queue has not been empty for an interval.
    let since = u32::try_from(config.interval.as_millis() / 2 + 1).unwrap();
    for (number, waited) in standing.join_all().await.into_iter().filter(|(number, _)| *number > since) {
        assert!(waited <= config.target + 2 * MS, "{number}: {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_wait_than_may_and_in_overload_the_oldest_makes_room() {
    let queue = CodelConfig { capacity: 2, ..CodelConfig::default() };
    let test = Fixture::with(Rules { queue, ..rules(1) });
    let inside = test.gate.enter(Class::Verify).await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..5 {
        let gate = Arc::clone(&test.gate);
        waiting.spawn(async move { gate.enter(Class::Verify).await.map(drop).map_err(|refused| refused.reason) });
    }
    for _ in 0..3 {
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), Err(Reason::QueueFull));
    }
    assert_eq!(test.gate.waiting(Class::Verify), 2);
    drop(inside);
    assert_eq!(waiting.join_all().await, [Ok(()), Ok(())]);
    test.nobody_is_left();
}

#[tokio::test(start_paused = true)]
async fn who_has_no_time_to_wait_is_refused_at_once() {
    let test = Fixture::of_limit(1);
    let _inside = test.gate.enter(Class::Verify).await.unwrap();
    let began = Instant::now();
    let refused = within_a_deadline(Duration::ZERO, test.gate.enter(Class::Verify)).await.unwrap_err();
    assert_eq!((refused.reason, began.elapsed()), (Reason::Deadline, Duration::ZERO));
    let refused = within_a_deadline(20 * MS, test.gate.enter(Class::Verify)).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Deadline);
    assert!(began.elapsed() <= 22 * MS, "not the whole interval: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_usually_takes_longer_than_the_caller_waits_is_not_kept_waiting() {
    let mut rules = rules(4);
    rules.concurrency.window = 10 * MS;
    let test = Fixture::with(rules);
    for _ in 0..40 {
        let admission = test.gate.enter(Class::Login).await.unwrap();
        sleep(50 * MS).await;
        admission.ended(Ending::Worked);
    }
    let mut inside = Vec::new();
    for _ in 0..4 {
        inside.push(test.gate.enter(Class::Login).await.unwrap());
    }
    let began = Instant::now();
    let refused = within_a_deadline(40 * MS, test.gate.enter(Class::Login)).await.unwrap_err();
    assert_eq!((refused.reason, began.elapsed()), (Reason::Deadline, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_more_are_refused_the_longer_they_are_told_to_stay_away() {
    let test = Fixture::with(Rules { queue: CodelConfig { capacity: 1, ..CodelConfig::default() }, ..rules(1) });
    let _inside = test.gate.enter(Class::Verify).await.unwrap();
    let first = test.gate.enter(Class::Verify).await.unwrap_err().retry_after;
    let mut last = first;
    for _ in 0..50 {
        last = test.gate.enter(Class::Verify).await.unwrap_err().retry_after;
    }
    let base = Rules::default().retry_after.verify;
    assert!(first >= base && last > 3 * base, "{first:?}, {last:?}");
}

#[tokio::test(start_paused = true)]
async fn turning_shedding_off_lets_everybody_in_and_turning_it_on_counts_again() {
    let test = Fixture::of_limit(1);
    let inside = test.gate.enter(Class::Verify).await.unwrap();
    let mut waiting = JoinSet::new();
    for _ in 0..20 {
        let gate = Arc::clone(&test.gate);
        waiting.spawn(async move { gate.enter(Class::Ingest).await.is_ok() });
    }
    tokio::task::yield_now().await;
    assert_eq!(test.gate.waiting(Class::Ingest), 20);
    let began = Instant::now();
    let off = Switches { shedding: false, ..Switches::default() };
    test.governance.put_in_force(Rules { switches: off, ..rules(1) });
    assert_eq!(waiting.join_all().await, [true; 20]);
    let unlimited: Vec<_> = futures_util::future::join_all((0..50).map(|_| test.gate.enter(Class::Ingest))).await;
    assert!(unlimited.iter().all(Result::is_ok));
    assert_eq!(began.elapsed(), Duration::ZERO);
    test.governance.put_in_force(rules(1));
    assert!(test.gate.enter(Class::Verify).await.is_err(), "the first one is still there");
    drop((inside, unlimited));
    test.nobody_is_left();
}

#[tokio::test(start_paused = true)]
async fn other_rules_hold_for_a_gate_that_is_open() {
    let test = Fixture::of_limit(1);
    let _one = test.gate.enter(Class::Verify).await.unwrap();
    let second = test.gate.enter(Class::Verify);
    tokio::pin!(second);
    assert!(tokio::time::timeout(Duration::ZERO, &mut second).await.is_err());
    test.governance.put_in_force(rules(2));
    let began = Instant::now();
    let _second = second.await.unwrap();
    assert_eq!((began.elapsed(), test.gate.limit()), (Duration::ZERO, 2));
    let mut capped = rules(100);
    capped.routes.insert(Class::Login, RouteRules { in_flight: NonZeroU32::new(1), ..RouteRules::default() });
    test.governance.put_in_force(capped);
    let login = test.gate.enter(Class::Login).await.unwrap();
    assert_eq!(test.gate.enter(Class::Login).await.unwrap_err().reason, Reason::ClassFull);
    let _other = test.gate.enter(Class::Ingest).await.unwrap();
    drop(login);
    assert!(test.gate.enter(Class::Login).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn scarce_cpu_lowers_the_limit_only_while_requests_are_slower_than_usual() {
    let mut rules = rules(100);
    (rules.concurrency.min, rules.concurrency.window) = (1, 10 * MS);
    let test = Fixture::with(rules.clone());
    let work = async |took: Duration| {
        for _ in 0..30 {
            let admission = test.gate.enter(Class::Login).await.unwrap();
            sleep(took).await;
            admission.ended(Ending::Worked);
        }
    };
    work(10 * MS).await;
    test.gate.shared.processor.is_used(1.0);
    test.gate.divide();
    assert_eq!(test.gate.limit(), 100, "busy, and as quick as ever");
    work(30 * MS).await;
    assert_eq!(test.gate.limit(), 25);
    test.gate.shared.processor.is_used(0.95);
    test.gate.divide();
    assert_eq!(test.gate.limit(), 50);
    let off = Switches { cpu: false, ..Switches::default() };
    test.governance.put_in_force(Rules { switches: off, ..rules });
    assert_eq!(test.gate.limit(), 100);
}

#[tokio::test]
async fn the_quota_of_a_cgroup_counts_before_the_machine_and_what_is_not_there_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let (proc, cgroup) = (root.path().join("proc"), root.path().join("cgroup"));
    std::fs::create_dir_all(proc.join("self")).unwrap();
    std::fs::create_dir_all(cgroup.join("pod")).unwrap();
    let sources = Sources { proc: proc.clone(), cgroup: cgroup.clone() };
    let write = |path: std::path::PathBuf, text: &str| std::fs::write(path, text).unwrap();
    assert!(sources.read().await.is_err());
    write(proc.join("stat"), "cpu 100 0 0 100 0 0 0 0 0 0\n");
    let before = sources.read().await.unwrap();
    write(proc.join("stat"), "cpu 125 0 0 175 0 0 0 0 0 0\n");
    let quarter = 250 * MS;
    assert_eq!(sources.read().await.unwrap().share_since(before, quarter), Some(0.25));
    write(proc.join("self/cgroup"), "0::/pod\n");
    write(cgroup.join("pod/cpu.max"), "max 100000\n");
    write(cgroup.join("pod/cpu.stat"), "usage_usec 0\n");
    let before = sources.read().await.unwrap();
    assert_eq!(sources.read().await.unwrap().share_since(before, quarter), Some(0.0), "without a quota, the machine");
    write(cgroup.join("pod/cpu.max"), "50000 100000\n");
    let machine = before;
    let before = sources.read().await.unwrap();
    assert_eq!(before.share_since(machine, quarter), None);
    write(cgroup.join("pod/cpu.stat"), "usage_usec 100000\n");
    let share = sources.read().await.unwrap().share_since(before, quarter).unwrap();
    assert!((share - 0.8).abs() < 1e-9, "100 ms of 125: {share}");
    let container = Sources { proc: root.path().join("other"), cgroup: cgroup.join("pod") };
    assert!(container.read().await.is_ok(), "where all that is seen of cgroups is its own");
}

/// What may happen to a gate.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Somebody comes, and stays so long once inside.
    Comes(usize, u64),
    /// The caller of one who came leaves, wherever that one is.
    Vanishes(usize),
    /// Time passes.
    Passes(u64),
    /// Other rules: another limit, or none.
    Rules(Option<u32>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0_usize..6, 0_u64..60).prop_map(|(class, stays)| Step::Comes(class, stays)),
        3 => (0_usize..200).prop_map(Step::Vanishes),
        3 => (0_u64..40).prop_map(Step::Passes),
        1 => prop::option::weighted(0.8, 1_u32..8).prop_map(Step::Rules),
    ];
    prop::collection::vec(step, 1..150)
}

fn of(limit: Option<u32>) -> Rules {
    let queue = CodelConfig { capacity: 3, ..CodelConfig::default() };
    let priority = PriorityConfig { pay_reserved: 2, ..PriorityConfig::default() };
    let switches = Switches { shedding: limit.is_some(), ..Switches::default() };
    Rules { queue, priority, switches, ..rules(limit.unwrap_or(1)) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whoever comes, waits, is refused, works, or vanishes in the middle of any of it.
    #[test]
    fn nothing_is_left_behind_however_callers_come_and_go(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let test = Fixture::with(of(Some(4)));
            let mut came = Vec::new();
            for step in steps {
                match step {
                    Step::Comes(class, stays) => {
                        let (gate, mut tasks) = (Arc::clone(&test.gate), JoinSet::new());
                        tasks.spawn(async move {
                            if let Ok(admission) = gate.enter(Class::SHED_ORDER[class]).await {
                                sleep(Duration::from_millis(stays)).await;
                                admission.ended(Ending::Worked);
                            }
                        });
                        came.push(tasks);
                        tokio::task::yield_now().await;
                    }
                    Step::Vanishes(number) if !came.is_empty() => drop(came.swap_remove(number % came.len())),
                    Step::Vanishes(_) => {}
                    Step::Passes(millis) => advance(Duration::from_millis(millis)).await,
                    Step::Rules(limit) => test.governance.put_in_force(of(limit)),
                }
                for class in Class::SHED_ORDER {
                    prop_assert!(test.gate.waiting(class) <= 3);
                }
            }
            for mut tasks in came {
                while tasks.join_next().await.is_some() {}
            }
            tokio::task::yield_now().await;
            test.nobody_is_left();
            Ok(())
        })?;
    }
}

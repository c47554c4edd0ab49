//! The copies under load, before a store that answers as slowly as a distant one does, or not at all.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use pilota::FastStr;
use tokio::{sync::watch, time::sleep};

use super::{
    script::{cache_over, live, store_fails},
    *,
};
use crate::{
    domain::{Caller, Channel, evaluate},
    testing::START,
};

/// A store far away.
const LATENCY: Duration = Duration::from_millis(170);

/// How the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// Every app below 1000 is at this revision, the others have published nothing.
    At(i64),
    Fails,
    Hangs,
}

/// Counts the reads of each app, and answers after the latency.
#[derive(Clone)]
struct Distant {
    health: watch::Sender<Health>,
    reads: Arc<Mutex<HashMap<AppId, usize>>>,
    under_way: Arc<AtomicUsize>,
    most_under_way: Arc<AtomicUsize>,
}

impl Source for Distant {
    async fn load(&self, of: AppId, known: i64, _: Look) -> Result<Loaded, ReadFailure> {
        *self.reads.lock().expect("not poisoned").entry(of).or_default() += 1;
        let under_way = 1 + self.under_way.fetch_add(1, Ordering::Relaxed);
        self.most_under_way.fetch_max(under_way, Ordering::Relaxed);
        sleep(LATENCY).await;
        let health = *self.health.subscribe().wait_for(|health| *health != Health::Hangs).await.expect("it lives");
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        match health {
            Health::At(revision) if (1..1000).any(|id| app(id) == of) => {
                Ok(if known == revision { Loaded::Unchanged } else { Loaded::Newer(live(revision)) })
            }
            Health::At(_) => Ok(Loaded::Absent),
            Health::Fails | Health::Hangs => Err(store_fails()),
        }
    }
}

impl Distant {
    fn new() -> Self {
        Self {
            health: watch::Sender::new(Health::At(1)),
            reads: Arc::default(),
            under_way: Arc::default(),
            most_under_way: Arc::default(),
        }
    }

    fn reads(&self) -> usize {
        self.reads.lock().expect("not poisoned").values().sum()
    }

    fn most_reads_of_one(&self) -> usize {
        self.reads.lock().expect("not poisoned").values().copied().max().unwrap_or_default()
    }
}

/// A player like no other.
fn caller(number: usize) -> Caller {
    Caller {
        channel: Channel::parse(Some(FastStr::from(format!("channel-{number}")))).expect("a channel"),
        package: Some(FastStr::from(format!("com.example.package{number}"))),
        version: None,
        account: i64::try_from(number).ok(),
        device: None,
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_channels_and_packages_of_an_app_cost_one_read() {
    let store = Distant::new();
    let cache = cache_over(store.clone(), Config::default());
    let asking = (0..10_000).map(|number| {
        let cache = &cache;
        async move {
            let copied = cache.get(app(1), Wait::default()).await.expect("served");
            let settings = evaluate(&copied.live.snapshot, &caller(number), START);
            assert_eq!(settings.settings_json(), r#"{"n":1}"#);
        }
    });
    let start = Instant::now();
    join_all(asking).await;
    assert_eq!((store.reads(), start.elapsed()), (1, LATENCY));
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_unknown_apps_cost_one_read_each_at_most_and_no_reader_of_a_known_one_waits() {
    let store = Distant::new();
    let config = Config::default();
    let cache = cache_over(store.clone(), config.clone());
    cache.get(app(1), Wait::default()).await.expect("served");
    let unknown = join_all((1000..11_000).map(|id| cache.get(app(id), Wait::default())));
    let known = async {
        for _ in 0..1000 {
            let before = Instant::now();
            assert_eq!(cache.get(app(1), Wait::default()).await.expect("served").live.revision(), 1);
            assert_eq!(Instant::now(), before, "a reader waited");
            yield_now().await;
        }
    };
    let (unknown, ()) = tokio::join!(unknown, known);
    let told = |answer: &Result<Copied, GetSettingsError>| match answer {
        Ok(copied) => copied.live.revision() == 0,
        Err(refusal) => matches!(refusal, GetSettingsError::TooManyReads { .. }),
    };
    assert!(unknown.iter().all(told), "an answer or a time to come back");
    assert!(unknown.iter().any(Result::is_ok));
    assert_eq!(store.most_reads_of_one(), 1);
    assert!(store.most_under_way.load(Ordering::Relaxed) <= config.reads_max.get());
    // Asked again within their time, those that are known cost nothing.
    let reads = store.reads();
    for (id, _) in (1000..11_000).zip(&unknown).filter(|(_, answer)| answer.is_ok()) {
        cache.get(app(id), Wait::default()).await.expect("served");
    }
    assert_eq!(store.reads(), reads);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_hangs_for_an_hour_is_no_difference_to_readers_but_the_age() {
    for trouble in [Health::Fails, Health::Hangs] {
        let store = Distant::new();
        let config = Config { forget_idle_after: Duration::from_secs(7200), ..Config::default() };
        let cache = cache_over(store.clone(), config);
        cache.get(app(1), Wait::default()).await.expect("served");
        store.health.send_replace(trouble);
        for minute in 1..=60 {
            for _ in 0..60 {
                // The readers and the follower, as they come.
                tokio::join!(async { cache.get(app(1), Wait::default()).await.expect("served") }, async {
                    timeout(SECOND, cache.follow(Look::AtPointer)).await.ok()
                });
                let before = Instant::now();
                let copied = cache.get(app(1), Wait::default()).await.expect("served");
                assert_eq!((copied.live.revision(), Instant::now()), (1, before), "in minute {minute} of {trouble:?}");
                sleep(SECOND).await;
            }
        }
        let copied = cache.get(app(1), Wait::default()).await.expect("served");
        assert!(copied.age >= 3600 * SECOND, "{:?}", copied.age);
        assert!(store.reads() <= 3600 + 2, "{} reads", store.reads());
        assert_eq!(store.most_under_way.load(Ordering::Relaxed), 1);
        store.health.send_replace(Health::At(2));
        sleep(3 * SECOND).await;
        cache.follow(Look::AtPointer).await;
        let copied = cache.get(app(1), Wait::default()).await.expect("served");
        assert_eq!((copied.live.revision(), copied.age), (2, Duration::ZERO), "after {trouble:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_readers_a_second_of_fifty_apps_cost_no_more_than_following_them() {
    let store = Distant::new();
    let cache = cache_over(store.clone(), Config::default());
    join_all((1..=50).map(|id| cache.get(app(id), Wait::default()))).await;
    store.reads.lock().expect("not poisoned").clear();
    store.most_under_way.store(0, Ordering::Relaxed);
    for _ in 0..10 {
        for reader in 0..1000 {
            cache.get(app(1 + reader % 50), Wait::default()).await.expect("served");
        }
        cache.follow(Look::AtPointer).await;
    }
    assert_eq!(store.most_reads_of_one(), 10, "one look with each round");
    assert!(store.most_under_way.load(Ordering::Relaxed) <= Config::default().follow_parallel.get());
}

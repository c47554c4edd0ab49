//! The promises of the cache, on a source that answers when and what the test says.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroUsize,
};

use common::{clock::testing::SeededRandom, rpc::Refusal};
use pilota::FastStr;
use prometheus::Registry;
use tokio::{
    sync::{Mutex as AsyncMutex, mpsc},
    task::yield_now,
    time::advance,
};

use super::*;
use crate::domain::{AppDocument, AppId, Channel, ChannelDocument, DocumentError, merge};

const SECOND: Duration = Duration::from_secs(1);

/// Answers in the order they are given; a read waits until there is one.
struct Script {
    answers: AsyncMutex<mpsc::UnboundedReceiver<Result<Loaded, ReadFailure>>>,
    asked: watch::Sender<usize>,
}

impl Source for Arc<Script> {
    async fn load(&self, _: &Audience) -> Result<Loaded, ReadFailure> {
        self.asked.send_modify(|count| *count += 1);
        self.answers.lock().await.recv().await.expect("the test gives an answer or waits")
    }
}

struct Bench {
    cache: Arc<SettingsCache<Arc<Script>>>,
    script: Arc<Script>,
    answers: mpsc::UnboundedSender<Result<Loaded, ReadFailure>>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| ())
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let (answers, receiver) = mpsc::unbounded_channel();
        let script = Arc::new(Script { answers: AsyncMutex::new(receiver), asked: watch::Sender::new(0) });
        let metrics = Arc::new(Metrics::register(&Registry::new()).expect("names are free"));
        let random = Arc::new(SeededRandom::new(7));
        let cache = Arc::new(SettingsCache::new(Arc::clone(&script), config, random, metrics));
        Self { cache, script, answers }
    }

    fn answer(&self, loaded: Loaded) {
        self.answers.send(Ok(loaded)).expect("the source lives");
    }

    fn fail(&self, failure: ReadFailure) {
        self.answers.send(Err(failure)).expect("the source lives");
    }

    async fn get(&self) -> Result<i64, GetSettingsError> {
        self.cache.get(&audience(1), None).await.map(|snapshot| snapshot.revision)
    }

    fn asked(&self) -> usize {
        *self.script.asked.borrow()
    }

    /// Lets the reads that have their answer end.
    async fn settle(&self) {
        while !self.cache.inner.reads().is_empty() {
            yield_now().await;
        }
    }
}

fn audience(app: i64) -> Audience {
    let channel = Channel::parse(Some(FastStr::from_static_str("official"))).expect("a channel");
    Audience { app: AppId::parse(app).expect("an app id"), channel }
}

fn found(revision: i64) -> Loaded {
    let app = AppDocument { revision, settings: BTreeMap::new() };
    let settings = merge(app, ChannelDocument::default()).expect("merges");
    Loaded { snapshot: Snapshot::of(settings), exists: true }
}

fn absent() -> Loaded {
    Loaded { exists: false, ..found(0) }
}

fn store_fails() -> ReadFailure {
    opendal::Error::new(opendal::ErrorKind::Unexpected, "the disk is gone").into()
}

fn broken() -> ReadFailure {
    ReadFailure::Broken { path: "app.json".to_owned(), reason: DocumentError::TooLarge { bytes_max: 1 } }
}

#[tokio::test(start_paused = true)]
async fn many_first_readers_cause_one_read() {
    let bench = Bench::new();
    let readers: VecDeque<_> = (0..50)
        .map(|_| {
            let cache = Arc::clone(&bench.cache);
            #[expect(clippy::disallowed_methods, reason = "a test has no context to carry")]
            tokio::spawn(async move { cache.get(&audience(1), None).await })
        })
        .collect();
    bench.script.asked.subscribe().wait_for(|asked| *asked > 0).await.expect("somebody asks");
    bench.answer(found(1));
    for reader in readers {
        assert_eq!(reader.await.expect("no panic").expect("served").revision, 1);
    }
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_copy_within_its_time_is_answered_without_the_store() {
    let bench = Bench::new();
    bench.answer(found(1));
    assert_eq!(bench.get().await.expect("served"), 1);
    advance(bench.cache.inner.config.fresh_for.mul_f64(1.0 - DUE_JITTER_SHARE) - Duration::from_millis(1)).await;
    assert_eq!(bench.get().await.expect("served"), 1);
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_never_waits_for_the_refresh_of_something_there_is() {
    let bench = Bench::new();
    bench.answer(found(1));
    bench.get().await.expect("served");
    advance(10 * SECOND).await;
    let before = Instant::now();
    // The store hangs: no answer is there yet.
    for _ in 0..100 {
        assert_eq!(bench.get().await.expect("served"), 1);
    }
    assert_eq!(Instant::now(), before);
    bench.answer(found(2));
    bench.settle().await;
    assert_eq!(bench.get().await.expect("served"), 2);
    assert_eq!(bench.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_settings_outlive_a_store_that_fails_and_a_document_that_breaks() {
    let bench = Bench::new();
    bench.answer(found(1));
    bench.get().await.expect("served");
    for failure in [store_fails, broken, store_fails] {
        advance(10 * SECOND).await;
        bench.fail(failure());
        assert_eq!(bench.get().await.expect("served"), 1);
        bench.settle().await;
    }
    assert_eq!(bench.asked(), 4);
    assert_eq!(bench.cache.inner.metrics.reads.broken.get(), 1);
    assert_eq!(bench.cache.inner.metrics.reads.failed.get(), 2);
    advance(10 * SECOND).await;
    bench.answer(found(2));
    bench.get().await.expect("served");
    bench.settle().await;
    assert_eq!(bench.get().await.expect("served"), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_good_copy_a_failure_is_an_answer_of_its_own_and_is_remembered_for_a_moment() {
    for (failure, is_broken) in [(store_fails as fn() -> _, false), (broken, true)] {
        let bench = Bench::new();
        bench.fail(failure());
        for _ in 0..3 {
            let refusal = bench.get().await.expect_err("nothing good is known");
            assert_eq!(matches!(refusal, GetSettingsError::DocumentBroken { .. }), is_broken, "{refusal}");
            assert_eq!(refusal.public().http_status(), 503);
        }
        assert_eq!(bench.asked(), 1);
        advance(2 * SECOND).await;
        bench.answer(found(1));
        assert_eq!(bench.get().await.expect("served"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_reader_waits_no_longer_than_it_may_and_the_next_has_the_result() {
    let bench = Bench::new();
    let start = Instant::now();
    assert!(matches!(bench.get().await, Err(GetSettingsError::FirstReadSlow { .. })));
    assert_eq!(start.elapsed(), bench.cache.inner.config.first_read_wait);
    let start = Instant::now();
    let hurried = bench.cache.get(&audience(1), Some(Duration::from_millis(20))).await;
    assert!(matches!(hurried, Err(GetSettingsError::FirstReadSlow { .. })));
    assert_eq!(start.elapsed(), Duration::from_millis(20));
    bench.answer(found(1));
    bench.settle().await;
    assert_eq!(bench.get().await.expect("served"), 1);
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn settings_that_do_not_exist_are_remembered_for_a_shorter_time() {
    let bench = Bench::new();
    bench.answer(absent());
    assert_eq!(bench.get().await.expect("served"), 0);
    advance(bench.cache.inner.config.absent_fresh_for.mul_f64(1.0 + DUE_JITTER_SHARE)).await;
    bench.answer(found(1));
    bench.get().await.expect("served");
    bench.settle().await;
    assert_eq!(bench.get().await.expect("served"), 1);
}

#[tokio::test(start_paused = true)]
async fn reads_beyond_the_limit_are_refused_at_once_while_copies_are_still_served() {
    let bench = Bench::with(|config| config.reads_max = NonZeroUsize::MIN);
    bench.answer(found(1));
    bench.get().await.expect("served");
    advance(10 * SECOND).await;
    let second = audience(2);
    let mut hanging = pin!(bench.cache.get(&second, None));
    assert!(timeout(Duration::ZERO, &mut hanging).await.is_err());
    bench.script.asked.subscribe().wait_for(|asked| *asked == 2).await.expect("the second read starts");
    let before = Instant::now();
    let third = bench.cache.get(&audience(3), None).await;
    assert!(matches!(third, Err(GetSettingsError::TooManyReads { .. })));
    assert_eq!(bench.get().await.expect("served"), 1);
    assert_eq!(Instant::now(), before);
    assert_eq!(bench.asked(), 2);
    assert_eq!(bench.cache.inner.metrics.reads.skipped.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_memory_for_copies_is_bounded() {
    let bench = Bench::with(|config| config.cache_bytes_max = 10_000.try_into().expect("not zero"));
    for app in 1..=200 {
        bench.answer(found(app));
        let snapshot = bench.cache.get(&audience(app), None).await.expect("served, kept or not");
        assert_eq!(snapshot.revision, app);
    }
    bench.cache.inner.entries.run_pending_tasks().await;
    assert!(bench.cache.inner.entries.weighted_size() <= 10_000);
    assert_eq!(bench.cache.inner.entries.policy().time_to_idle(), Some(bench.cache.inner.config.forget_idle_after));
}

//! The promises of the copies, on a source that answers when and what the test says.

mod load;
mod script;

use std::num::NonZeroUsize;

use common::{error_code::ErrorCode, rpc::Refusal};
use futures_util::future::join_all;
use tokio::{task::yield_now, time::advance};

use self::script::{Bench, absent, broken, found, live, store_fails, unchanged};
use super::*;
use crate::testing::app;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn many_first_readers_cause_one_read() {
    let bench = Bench::new();
    let readers = join_all((0..10_000).map(|_| bench.get()));
    let (answers, ()) = tokio::join!(readers, async {
        bench.is_asked(1).await;
        bench.answer(found(1));
    });
    assert!(answers.into_iter().all(|answer| answer.expect("served") == 1));
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_copy_within_its_time_is_answered_without_the_store_and_says_how_old_it_is() {
    let bench = Bench::new();
    bench.answer(found(1));
    assert_eq!(bench.get().await.expect("served"), 1);
    let passed = bench.config().fresh_for.mul_f64(1.0 - DUE_JITTER_SHARE) - Duration::from_millis(1);
    advance(passed).await;
    assert_eq!(bench.copied().await.age, passed);
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
    assert_eq!(bench.metrics().reads.broken.get(), 1);
    assert_eq!(bench.metrics().reads.failed.get(), 2);
    advance(10 * SECOND).await;
    assert_eq!(bench.copied().await.age, 40 * SECOND, "a failure confirms nothing");
    bench.answer(found(2));
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
            assert_eq!(refusal.public().code, ErrorCode::DEPENDENCY_UNAVAILABLE);
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
    assert_eq!(start.elapsed(), bench.config().first_read_wait);
    let start = Instant::now();
    let hurried = Wait { patience: Some(Duration::from_millis(20)), min_revision: 0 };
    let hurried = bench.cache.get(app(1), hurried).await;
    assert!(matches!(hurried, Err(GetSettingsError::FirstReadSlow { .. })));
    assert_eq!(start.elapsed(), Duration::from_millis(20));
    bench.answer(found(1));
    bench.settle().await;
    assert_eq!(bench.get().await.expect("served"), 1);
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_app_without_settings_is_remembered_for_a_shorter_time() {
    let bench = Bench::new();
    bench.answer(absent());
    assert_eq!(bench.get().await.expect("served"), 0);
    advance(bench.config().absent_fresh_for.mul_f64(1.0 + DUE_JITTER_SHARE)).await;
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
    let mut hanging = pin!(bench.cache.get(app(2), Wait::default()));
    assert!(timeout(Duration::ZERO, &mut hanging).await.is_err());
    bench.is_asked(2).await;
    let before = Instant::now();
    let third = bench.cache.get(app(3), Wait::default()).await;
    assert!(matches!(third, Err(GetSettingsError::TooManyReads { .. })));
    assert_eq!(bench.get().await.expect("served"), 1);
    assert_eq!(Instant::now(), before);
    assert_eq!(bench.asked(), 2);
    assert_eq!(bench.metrics().reads.skipped.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_memory_for_copies_is_bounded() {
    let bench = Bench::with(|config| config.cache_bytes_max = 10_000.try_into().expect("not zero"));
    for id in 1..=200 {
        bench.answer(found(id));
        let copied = bench.cache.get(app(id), Wait::default()).await.expect("served, kept or not");
        assert_eq!(copied.live.revision(), id);
    }
    bench.cache.inner.copies.run_pending_tasks().await;
    assert!(bench.cache.inner.copies.weighted_size() <= 10_000);
    assert_eq!(bench.cache.inner.copies.policy().time_to_idle(), Some(bench.config().forget_idle_after));
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_on_when_its_reader_leaves() {
    let bench = Bench::new();
    {
        let mut leaving = pin!(bench.get());
        assert!(timeout(Duration::from_millis(1), &mut leaving).await.is_err());
    }
    bench.answer(found(1));
    bench.settle().await;
    assert_eq!(bench.get().await.expect("served"), 1);
    assert_eq!(bench.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_here_is_answered_at_once_and_not_undone_by_a_read_that_began_before() {
    let bench = Bench::new();
    bench.answer(found(1));
    bench.get().await.expect("served");
    advance(10 * SECOND).await;
    bench.get().await.expect("served, and a read begins");
    bench.is_asked(2).await;
    bench.cache.show(app(1), live(3)).await;
    assert_eq!(bench.get().await.expect("served"), 3);
    bench.answer(found(2));
    bench.settle().await;
    assert_eq!(bench.get().await.expect("served"), 3);
    // And of an app that nobody has asked for here.
    bench.cache.show(app(2), live(7)).await;
    assert_eq!(bench.cache.get(app(2), Wait::default()).await.expect("served").live.revision(), 7);
    assert_eq!(bench.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_has_seen_a_later_revision_waits_for_a_look_but_not_for_ever() {
    let bench = Bench::new();
    bench.answer(found(1));
    bench.get().await.expect("served");
    let later = |millis| Wait { patience: Some(Duration::from_millis(millis)), min_revision: 2 };
    // The store hangs.
    let start = Instant::now();
    assert_eq!(bench.cache.get(app(1), later(50)).await.expect("what there is").live.revision(), 1);
    assert_eq!(start.elapsed(), Duration::from_millis(50));
    // The read that is under way began before the revision was published; the next one has not.
    bench.answer(unchanged());
    bench.answer(found(2));
    assert_eq!(bench.cache.get(app(1), later(50)).await.expect("served").live.revision(), 2);
    assert_eq!(bench.asked(), 3);
    assert_eq!(bench.cache.get(app(1), later(50)).await.expect("served").live.revision(), 2);
    assert_eq!(bench.asked(), 3, "there is nothing to look for");
    // While the store fails, its failure is remembered and nobody waits.
    bench.fail(store_fails());
    let wait = Wait { min_revision: 3, ..later(50) };
    for _ in 0..10 {
        assert_eq!(bench.cache.get(app(1), wait).await.expect("what there is").live.revision(), 2);
    }
    assert_eq!(bench.asked(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_hint_is_a_reason_to_look_and_nothing_more() {
    let bench = Bench::new();
    bench.cache.hear(app(1), 5).await;
    assert_eq!(bench.asked(), 0, "nobody here has asked for that app");
    bench.answer(found(1));
    bench.get().await.expect("served");
    bench.cache.hear(app(1), 1).await;
    assert_eq!(bench.asked(), 1, "that is known");
    bench.answer(unchanged());
    bench.cache.hear(app(1), i64::MAX).await;
    assert_eq!((bench.asked(), bench.get().await.expect("served")), (2, 1), "what is told is not believed");
    bench.answer(found(2));
    bench.cache.hear(app(1), 2).await;
    assert_eq!(bench.get().await.expect("served"), 2);
}

#[tokio::test(start_paused = true)]
async fn apps_in_use_are_followed_and_others_are_left_alone() {
    let bench = Bench::new();
    for answer in [found(1), absent(), found(3)] {
        bench.answer(answer);
        let id = i64::try_from(bench.asked()).expect("small") + 1;
        bench.cache.get(app(id), Wait::default()).await.expect("served");
    }
    advance(bench.config().follow_idle_after - SECOND).await;
    // The third is asked for again.
    bench.answer(unchanged());
    bench.cache.get(app(3), Wait::default()).await.expect("served");
    bench.settle().await;
    let asked = bench.asked();
    advance(2 * SECOND).await;
    bench.answer(found(4));
    assert_eq!(bench.cache.follow(Look::AtPointer).await, Duration::ZERO);
    assert_eq!(bench.asked(), asked + 1);
    assert_eq!(bench.cache.get(app(3), Wait::default()).await.expect("served").live.revision(), 4);
    assert_eq!(bench.looks().last(), Some(&(app(3), 3, Look::AtPointer)));
}

#[tokio::test(start_paused = true)]
async fn the_first_publish_of_an_app_is_seen_as_soon_as_any_other_and_nonsense_is_followed_up_to_a_limit() {
    let bench = Bench::with(|config| config.follow_absent_max = 2);
    for id in 1..=5 {
        bench.answer(absent());
        bench.cache.get(app(id), Wait::default()).await.expect("served");
    }
    for _ in 0..2 {
        bench.answer(found(1));
    }
    bench.cache.follow(Look::AtPointer).await;
    assert_eq!(bench.asked(), 5 + 2, "the others are asked for by their readers");
    let followed = bench.looks()[5].0;
    assert_eq!(bench.cache.get(followed, Wait::default()).await.expect("served").live.revision(), 1);
}

#[tokio::test(start_paused = true)]
async fn following_tells_how_old_the_oldest_copy_is_and_backs_off_from_a_store_that_fails() {
    let bench = Bench::new();
    bench.answer(found(1));
    bench.get().await.expect("served");
    advance(3 * SECOND).await;
    bench.fail(store_fails());
    assert_eq!(bench.cache.follow(Look::Beyond).await, 3 * SECOND);
    assert_eq!(bench.looks().last(), Some(&(app(1), 1, Look::Beyond)));
    for _ in 0..5 {
        bench.cache.follow(Look::AtPointer).await;
    }
    assert_eq!(bench.asked(), 2, "its failure is remembered");
    advance(2 * SECOND).await;
    bench.answer(unchanged());
    assert_eq!(bench.cache.follow(Look::AtPointer).await, Duration::ZERO);
    // One that hangs does not hold up the others for ever.
    let start = Instant::now();
    bench.cache.follow(Look::AtPointer).await;
    assert_eq!(start.elapsed(), bench.config().first_read_wait);
}

#[tokio::test(start_paused = true)]
async fn a_revision_is_answered_from_memory_and_an_unknown_app_is_read_for_the_next_time() {
    let bench = Bench::new();
    assert_eq!(bench.cache.revision(app(1)).await, None);
    bench.is_asked(1).await;
    assert_eq!(bench.cache.revision(app(1)).await, None);
    bench.answer(found(4));
    bench.settle().await;
    assert_eq!(bench.cache.revision(app(1)).await, Some(4));
    assert_eq!(bench.asked(), 1);
}

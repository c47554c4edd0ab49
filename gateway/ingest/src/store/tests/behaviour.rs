//! What is stored, when it is acknowledged, and what is recognised.

use super::*;
use crate::{Checkpoint, DeadLine, DedupeConfig, Durability, RetentionConfig, parse::Refusal, segments};

#[tokio::test]
async fn what_is_acknowledged_is_in_a_segment_as_it_was_pushed() {
    let store = Store::open();
    let body = "{\"event_id\":\"e-1\", \"n\" : 1.50}\n{\"event_id\":7}\n{\"a\":1}";
    assert_eq!(store.accept("ads", body).await, receipt(3, 0));
    let mut follow = Follow::new(store.data_dir.path(), Family::Events, None, Stop::Newest);
    let first = follow.next_line().unwrap().unwrap();
    let line = Line::read(&first).unwrap();
    assert_eq!((&*line.partner, &*line.event_id, &*line.request_id), ("ads", "e-1", "r-1"));
    assert_eq!((line.event.get(), line.seq, line.more), ("{\"event_id\":\"e-1\",\"n\":1.50}", 0, 2));
    assert_eq!(line.received_at, 1_750_000_000_000);
    let ids = store.ids();
    assert_eq!((&*ids[0], &*ids[1], ids[2].len()), ("e-1", "7", 36), "the third was named here");
    store.ingest.close().await;
    assert_eq!((store.files("segments", ".ndjson"), store.files("segments", ".open")), (1, 0));
}

#[tokio::test]
async fn nothing_is_acknowledged_before_it_is_durable_and_a_duplicate_is_not_either() {
    let store = Store::open();
    store.disk.hold();
    let mut first = store.accept("ads", &named(["a"]));
    waits(&mut first).await;
    store.disk.wait_until_held();
    let mut again = store.accept("ads", &named(["a"]));
    waits(&mut again).await;
    let mut of_another = store.accept("other", &named(["a"]));
    waits(&mut of_another).await;
    store.disk.let_go();
    assert_eq!(first.await, receipt(1, 0));
    assert_eq!(again.await, receipt(0, 1));
    assert_eq!(of_another.await, receipt(1, 0), "another partner's event is another event");
    assert_eq!(store.ids(), ["a", "a"]);
}

#[tokio::test]
async fn a_duplicate_of_what_could_not_be_stored_fails_with_it() {
    let store = Store::open();
    store.disk.hold();
    store.disk.fail_syncs(Some(disk::EIO));
    let mut first = store.accept("ads", &named(["a"]));
    waits(&mut first).await;
    store.disk.wait_until_held();
    let mut again = store.accept("ads", &named(["a"]));
    waits(&mut again).await;
    store.disk.let_go();
    assert_eq!((label(&first.await), label(&again.await)), ("disk_failed", "disk_failed"));
    store.disk.fail_syncs(None);
    assert_eq!(store.accept("ads", &named(["a"])).await, receipt(1, 0));
    assert_eq!(store.ids(), ["a"]);
}

#[tokio::test]
async fn a_push_whose_caller_has_gone_is_stored_all_the_same() {
    let store = Store::open();
    store.disk.hold();
    let mut abandoned = store.accept("ads", &named(["a"]));
    waits(&mut abandoned).await;
    drop(abandoned);
    store.disk.let_go();
    assert_eq!(store.accept("ads", &named(["a"])).await, receipt(0, 1));
}

#[tokio::test]
async fn duplicates_within_a_push_and_of_earlier_ones_are_counted_and_stored_once() {
    let store = Store::open();
    assert_eq!(store.accept("ads", &named(["a", "b", "a"])).await, receipt(2, 1));
    assert_eq!(store.accept("ads", "[{\"event_id\":\"b\"},{\"event_id\":\"c\"}]").await, receipt(1, 1));
    assert_eq!(store.accept("ads", &named(["a", "b", "c"])).await, receipt(0, 3), "with nothing to write");
    assert_eq!(store.accept("ads", "[{},{}]").await, receipt(2, 0), "what has no name has no duplicate");
    assert_eq!(store.ids()[..3], ["a", "b", "c"]);
    assert!((store.metric("playgate_ingest_duplicates_total") - 5.0).abs() < 0.1);
    assert!((store.metric("playgate_ingest_accepted_total") - 5.0).abs() < 0.1);
}

#[tokio::test]
async fn events_are_recognised_after_a_restart_within_their_window() {
    let dedupe = DedupeConfig { entries: 3, age: Duration::from_secs(3600) };
    let store = Store::with(IngestConfig { dedupe, ..config() });
    for id in ["a", "b"] {
        store.accept("ads", &named([id])).await.unwrap();
    }
    let store = store.closed_and_reopened().await;
    for id in ["c", "d"] {
        store.accept("ads", &named([id])).await.unwrap();
    }
    let store = store.closed_and_reopened().await;
    assert_eq!(store.accept("ads", &named(["b", "c", "d"])).await, receipt(0, 3));
    assert_eq!(store.accept("ads", &named(["a"])).await, receipt(1, 0), "the fourth back is forgotten");
    store.clock.advance(Duration::from_secs(3600));
    assert_eq!(store.accept("ads", &named(["d"])).await, receipt(1, 0), "and so is what is an hour old");
    let places: Vec<_> = store.lines().into_iter().map(|(seq, _, _)| seq).collect();
    assert_eq!(places, [0, 1, 2, 3, 4, 5], "places go on across restarts");
}

#[tokio::test]
async fn places_and_numbers_go_on_although_every_segment_was_deleted() {
    let store = Store::open();
    store.accept("ads", &named(["a", "b"])).await.unwrap();
    store.ingest.close().await;
    for file in segments(&store.data_dir.path().join("segments"), Family::Events).unwrap() {
        fs::remove_file(file.path).unwrap();
    }
    let store = store.reopened();
    store.accept("ads", &named(["c"])).await.unwrap();
    assert_eq!(store.lines()[0].0, 2);
    let files = segments(&store.data_dir.path().join("segments"), Family::Events).unwrap();
    assert_eq!(files[0].name.number(), 1);
}

#[tokio::test]
async fn what_can_not_be_taken_is_told_and_kept_and_the_others_are_stored() {
    let store = Store::open();
    let outcome = store.accept("ads", "{\"event_id\":\"a\"}\n{broken\n[1]\n{\"event_id\":\"b\"}").await.unwrap();
    let refused: Vec<_> = outcome.refused.iter().map(|refused| (refused.index, refused.reason)).collect();
    assert_eq!(refused, [(1, Refusal::Malformed), (2, Refusal::NotAnObject)]);
    assert_eq!(outcome.accepted, 2);
    assert_eq!(store.accept("ads", "{broken again").await.unwrap().accepted, 0);
    store.ingest.close().await;
    assert_eq!(store.files("segments-dead", ".dead.ndjson"), 1);
    let mut follow = Follow::new(store.data_dir.path(), Family::Dead, None, Stop::Complete);
    let dead: Vec<_> = std::iter::from_fn(|| follow.next_line().unwrap())
        .map(|line| {
            let line = DeadLine::read(&line).unwrap();
            (line.seq, line.index, line.reason.into_owned(), line.raw.into_owned())
        })
        .collect();
    let letter = |seq, index, reason: &str, raw: &str| (seq, index, reason.to_owned(), raw.to_owned());
    assert_eq!(
        dead,
        [
            letter(0, 1, "malformed", "{broken"),
            letter(1, 2, "not_an_object", "[1]"),
            letter(2, 0, "malformed", "{broken again")
        ]
    );
    assert_eq!(store.ids(), ["a", "b"], "and shippers of events see none of it");
}

#[tokio::test]
async fn segments_are_completed_by_age_and_only_if_there_is_something_in_them() {
    let store = Store::open();
    store.ingest.housekept().await;
    assert_eq!(store.files("segments", ""), 0);
    store.accept("ads", &named(["a"])).await.unwrap();
    store.clock.advance(Duration::from_secs(59));
    store.ingest.housekept().await;
    assert_eq!(store.files("segments", ".open"), 1);
    assert!((store.metric("playgate_ingest_open_segment_age_seconds") - 59.0).abs() < 0.1);
    store.clock.advance(Duration::from_secs(1));
    store.ingest.housekept().await;
    assert_eq!((store.files("segments", ".open"), store.files("segments", ".ndjson")), (0, 1));
    store.clock.advance(Duration::from_secs(600));
    store.ingest.housekept().await;
    assert_eq!(store.files("segments", ""), 1);
}

#[tokio::test]
async fn segments_are_completed_by_size_and_none_is_larger() {
    let store = Store::with(IngestConfig { segment_bytes: bytes(64 << 10), ..config() });
    let pad = "x".repeat(1000);
    for n in 0..200 {
        store.accept("ads", &format!("{{\"event_id\":{n},\"pad\":\"{pad}\"}}")).await.unwrap();
    }
    let files = segments(&store.data_dir.path().join("segments"), Family::Events).unwrap();
    assert!((4..=6).contains(&files.len()), "{}", files.len());
    assert!(files.iter().all(|file| file.bytes <= 64 << 10));
    assert_eq!(store.ids(), (0..200).map(|n| n.to_string()).collect::<Vec<_>>(), "in order across files");
}

#[tokio::test]
async fn two_processes_never_write_one_directory() {
    let store = Store::open();
    let again = opened(store.data_dir.path(), &store.disk, &store.clock, &store.config);
    assert!(matches!(again, Err(OpenError::InUse { .. })));
    store.ingest.close().await;
    assert!(opened(store.data_dir.path(), &store.disk, &store.clock, &store.config).is_ok());
}

#[tokio::test]
async fn an_instance_has_one_name_for_ever_if_none_is_configured() {
    let store = Store::with(IngestConfig { instance: None, ..config() });
    store.accept("ads", &named(["a"])).await.unwrap();
    let store = store.closed_and_reopened().await;
    store.accept("ads", &named(["b"])).await.unwrap();
    let files = segments(&store.data_dir.path().join("segments"), Family::Events).unwrap();
    assert_eq!((files.len(), files[0].name.instance()), (2, files[1].name.instance()));
    assert_eq!(files[0].name.instance().len(), 8);
}

#[tokio::test]
async fn closing_writes_what_waits_and_takes_nothing_new() {
    let store = Store::open();
    store.disk.hold();
    let mut first = store.accept("ads", &named(["a"]));
    waits(&mut first).await;
    store.disk.wait_until_held();
    let mut second = store.accept("ads", &named(["b"]));
    waits(&mut second).await;
    let ingest = store.ingest.clone();
    let mut closing: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async move { ingest.close().await });
    let is_done = poll_fn(|context| Poll::Ready(closing.as_mut().poll(context).is_ready())).await;
    assert!(!is_done);
    assert_eq!(store.accept("ads", &named(["c"])).await, Err(IngestError::ShuttingDown));
    store.disk.let_go();
    closing.await;
    assert_eq!((first.await, second.await), (receipt(1, 0), receipt(1, 0)));
    assert_eq!(store.ids(), ["a", "b"]);
    store.ingest.close().await;
}

#[tokio::test]
async fn in_the_page_cache_nothing_waits_for_the_disk() {
    let store = Store::with(IngestConfig { durability: Durability::PageCache, ..config() });
    assert_eq!(store.accept("ads", &named(["a"])).await, receipt(1, 0));
    assert_eq!(store.accept("ads", &named(["b"])).await, receipt(1, 0));
    assert_eq!(store.disk.syncs(), 0);
    store.ingest.close().await;
    assert!(store.disk.syncs() > 0, "a complete segment is durable in any case");
}

#[tokio::test]
async fn old_segments_are_deleted_up_to_what_is_shipped() {
    let retention = RetentionConfig { keep_for: Duration::from_secs(3600), ..RetentionConfig::default() };
    let store = Store::with(IngestConfig { retention, ..config() });
    for id in ["a", "b", "c"] {
        store.accept("ads", &named([id])).await.unwrap();
        store.clock.advance(Duration::from_secs(60));
        store.ingest.housekept().await;
    }
    let files = segments(&store.data_dir.path().join("segments"), Family::Events).unwrap();
    Checkpoint::of(store.data_dir.path()).write(&files[1].name).unwrap();
    store.clock.advance(Duration::from_secs(2 * 3600));
    store.ingest.housekept().await;
    assert_eq!(store.ids(), ["c"], "old as well, and not shipped");
    fs::remove_file(store.data_dir.path().join("ingest/shipped")).unwrap();
    store.clock.advance(Duration::from_secs(60));
    store.ingest.housekept().await;
    assert_eq!(store.ids(), [""; 0], "without a checkpoint age decides");
}

#[tokio::test]
async fn for_space_the_oldest_segments_are_deleted_before_their_time_if_that_is_wanted() {
    let retention = RetentionConfig { evict_below_free_bytes: Some(bytes(1 << 30)), ..RetentionConfig::default() };
    let store = Store::with(IngestConfig { retention, ..config() });
    for id in ["a", "b"] {
        store.accept("ads", &named([id])).await.unwrap();
        store.clock.advance(Duration::from_secs(60));
        store.ingest.housekept().await;
    }
    store.disk.set_free_bytes((1 << 30) - 1);
    store.ingest.housekept().await;
    assert!(store.ids().len() < 2, "no more than is needed at each look");
}

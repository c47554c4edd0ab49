//! Whatever the disk does: what was acknowledged is there once, and in its order.

use super::*;

const CONNECTIONS: usize = 3;
const PUSHES: u64 = 12;

/// A body of one connection's push: two or three named events and one that is not.
fn body(connection: u64, number: u64) -> String {
    let ids = (0..2 + number % 2).map(|event| format!("c{connection}-{number:03}-{event}"));
    named(ids) + &format!("{{\"unnamed\":\"c{connection}-{number:03}\"}}\n")
}

fn named_ids(connection: u64, number: u64) -> Vec<String> {
    (0..2 + number % 2).map(|event| format!("c{connection}-{number:03}-{event}")).collect()
}

/// Pushes one after the other, each until it is acknowledged or the store has ended. Answers with what is left to push.
async fn connection(ingest: Ingest, connection: u64, from: u64, cut_at: Option<(Arc<TestDisk>, u64)>) -> u64 {
    for number in from..PUSHES {
        loop {
            if cut_at.as_ref().is_some_and(|(disk, syncs)| disk.syncs() >= *syncs) {
                if let Some((disk, _)) = &cut_at {
                    disk.cut_power();
                }
                return number;
            }
            match ingest.accept(push(&format!("p{}", connection % 2), &body(connection, number))).await {
                Ok(receipt) => {
                    assert_eq!(receipt.accepted + receipt.duplicates, named_ids(connection, number).len() + 1);
                    break;
                }
                // No room for the moment: the writer looks again.
                Err(IngestError::DiskFull { .. }) => ingest.housekept().await,
                Err(IngestError::DiskFailed { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    PUSHES
}

async fn all_connections(store: &Store, from: &mut [u64], cut_at: Option<u64>) {
    let mut running = tokio::task::JoinSet::new();
    for (number, from) in (0..).zip(from.iter()) {
        let cut_at = cut_at.map(|syncs| (store.disk.clone(), syncs));
        let (ingest, from) = (store.ingest.clone(), *from);
        running.spawn(async move { (number, connection(ingest, number, from, cut_at).await) });
    }
    while let Some(ended) = running.join_next().await {
        let (number, next) = ended.unwrap();
        from[usize::try_from(number).unwrap()] = next;
    }
}

/// Every named event is there once, and those of a connection are in its order, each push in one piece.
fn assert_whole(store: &Store, seed: u64) {
    let lines = store.lines();
    let ids: Vec<_> = lines.iter().map(|(_, _, id)| id.clone()).collect();
    for connection in (0..).take(CONNECTIONS) {
        let expected: Vec<_> = (0..PUSHES).flat_map(|number| named_ids(connection, number)).collect();
        let own = format!("c{connection}-");
        let found: Vec<_> = ids.iter().filter(|id| id.starts_with(&own)).cloned().collect();
        assert_eq!(found, expected, "seed {seed}");
    }
    let places: Vec<_> = lines.iter().map(|(seq, _, _)| *seq).collect();
    assert!(places.is_sorted_by(|one, other| one < other), "seed {seed}: {places:?}");
}

#[tokio::test]
async fn on_a_disk_that_fails_again_and_again_every_event_is_stored_once() {
    for seed in 0..25 {
        let store = Store::with(IngestConfig { segment_bytes: bytes(64 << 10), ..config() });
        store.disk.fail_one_in(3 + seed % 8, seed);
        let mut from = [0; CONNECTIONS];
        all_connections(&store, &mut from, None).await;
        store.disk.fail_one_in(0, seed);
        store.ingest.close().await;
        assert_whole(&store, seed);
        // Nobody would recognise these if they were stored twice.
        let unnamed = store.lines().len() - CONNECTIONS * usize::try_from(PUSHES * 5 / 2).unwrap();
        assert_eq!(unnamed, CONNECTIONS * usize::try_from(PUSHES).unwrap(), "seed {seed}");
        assert_eq!(store.files("segments", ".open"), 0);
    }
}

#[tokio::test]
async fn after_any_number_of_power_failures_what_was_acknowledged_is_there_once() {
    for seed in 0..30 {
        let mut store = Store::open();
        let mut from = [0; CONNECTIONS];
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..4 {
            let faults = if random.bool() { 12 } else { 0 };
            store.disk.fail_one_in(faults, seed);
            let syncs = store.disk.syncs() + random.u64(0..12);
            all_connections(&store, &mut from, Some(syncs)).await;
            store.disk.cut_power();
            store.ingest.close().await;
            store.disk.fail_one_in(0, random.u64(..));
            store.disk.restore_power();
            store = store.reopened();
        }
        all_connections(&store, &mut from, None).await;
        store.ingest.close().await;
        assert_whole(&store, seed);
    }
}

#[tokio::test]
async fn after_a_sync_that_failed_the_file_is_cut_back_and_a_fresh_one_is_begun() {
    let store = Store::open();
    assert_eq!(store.accept("ads", &named(["a"])).await, receipt(1, 0));
    store.disk.fail_syncs(Some(disk::EIO));
    assert_eq!(label(&store.accept("ads", &named(["b"])).await), "disk_failed");
    assert_eq!(label(&store.accept("ads", &named(["c"])).await), "disk_failed");
    assert_eq!(store.files("segments", ".ndjson"), 0, "what can't be cut back durably is not shipped");
    store.disk.fail_syncs(None);
    assert_eq!(store.accept("ads", &named(["c", "d"])).await, receipt(2, 0), "what failed is no duplicate");
    assert_eq!(store.ids(), ["a", "c", "d"]);
    assert_eq!((store.files("segments", ".ndjson"), store.files("segments", ".open")), (1, 1));
    assert!((store.metric("playgate_ingest_commit_failures_total") - 2.0).abs() < 0.1);
}

#[tokio::test]
async fn a_disk_that_is_full_refuses_early_and_goes_on_by_itself() {
    let store = Store::open();
    store.disk.fail_appends(Some(disk::ENOSPC));
    assert_eq!(label(&store.accept("ads", &named(["a"])).await), "disk_full");
    store.disk.fail_appends(None);
    store.ingest.housekept().await;
    assert_eq!(store.accept("ads", &named(["a"])).await, receipt(1, 0));

    let least = store.config.free_bytes_min;
    store.disk.set_free_bytes(least - 1);
    store.ingest.housekept().await;
    let written = store.disk.syncs();
    let refused = store.accept("ads", &named(["b"])).await;
    assert_eq!(label(&refused), "disk_full");
    assert!(refused.unwrap_err().retry_after().unwrap() >= Duration::from_secs(10));
    assert_eq!(store.disk.syncs(), written, "the disk was not tried");
    store.disk.set_free_bytes(least + 1);
    store.ingest.housekept().await;
    assert_eq!(label(&store.accept("ads", &named(["b"])).await), "disk_full", "not back and forth");
    store.disk.set_free_bytes(least * 2);
    store.ingest.housekept().await;
    assert_eq!(store.accept("ads", &named(["b"])).await, receipt(1, 0));
    assert_eq!(store.ids(), ["a", "b"]);
}

#[tokio::test]
async fn dead_letters_that_can_not_be_kept_fail_nothing_and_are_counted() {
    let store = Store::open();
    fs::remove_dir_all(store.data_dir.path().join("segments-dead")).unwrap();
    let outcome = store.accept("ads", "{\"a\":1}\nbroken\n").await.unwrap();
    assert_eq!((outcome.accepted, outcome.refused.len()), (1, 1));
    assert!((store.metric("playgate_ingest_dead_lost_total") - 1.0).abs() < 0.1);
}

//! What publishing and reading promise, on each kind of store; what a publisher leaves behind that ends half-way is written
//! by hand.

mod lost_answers;

use common::clock::testing::ManualClock;
use pilota::FastStr;
use tokio::task::JoinSet;

use super::*;
use crate::{
    store::testing::{TestStore, on_each_store},
    testing::{START, app},
};

fn opened(store: &TestStore, versions_kept: u32) -> VersionStore {
    let clock = Arc::new(ManualClock::at(START));
    VersionStore::new(store.open(), versions_kept, DocumentLimits::default(), clock)
}

fn document(number: i64) -> Box<str> {
    format!(r#"{{"settings":{{"n":{{"type":"number","value":{number}}}}}}}"#).into()
}

fn draft(number: i64) -> Draft {
    let (author, note) = (FastStr::from_static_str("ann"), FastStr::empty());
    Draft { document: document(number), author, note, rolled_back_to: None }
}

async fn publish(store: &VersionStore, base: i64) -> Outcome {
    let outcome = store.publish(app(1), base, &draft(base + 1), 0).await.expect("an answer");
    store.delete_oldest(app(1), base + 1).await;
    outcome
}

/// Publishes versions 1 to `count`, of which each says its number.
async fn publish_up_to(store: &VersionStore, count: i64) {
    for base in 0..count {
        let outcome = publish(store, base).await;
        assert!(matches!(&outcome, Outcome::Published { is_new: true, .. }), "{outcome:?}");
    }
}

/// What a publisher leaves behind that was killed between its two writes.
async fn leave_half_published(store: &VersionStore, number: i64) {
    let bytes = draft(number).version(number, START).to_bytes().expect("is JSON");
    store.objects.create(&version_path(app(1), number), bytes).await.expect("creates");
}

async fn pointer(store: &VersionStore) -> Option<i64> {
    store.pointer(app(1)).await.expect("reads")
}

/// The revision that a replica comes to, and whether that was new to it.
async fn load(store: &VersionStore, known: i64, look: Look) -> Result<Option<i64>, ReadFailure> {
    Ok(match store.load(app(1), known, look).await? {
        Loaded::Newer(live) => Some(live.revision()),
        Loaded::Absent => Some(0),
        Loaded::Unchanged => None,
    })
}

async fn cold(store: &VersionStore) -> Result<Option<i64>, ReadFailure> {
    load(store, 0, Look::Beyond).await
}

on_each_store! {
    async fn of_many_who_publish_on_one_revision_one_does_and_the_others_are_told_the_revision(store: TestStore) {
        for base in 0..12 {
            let mut publishing = JoinSet::new();
            for publisher in 0..4 {
                // Each is a process of its own.
                let replica = opened(&store, 1000);
                publishing.spawn(async move {
                    replica.publish(app(1), base, &draft(10 * base + publisher), 0).await.expect("an answer")
                });
            }
            let outcomes = publishing.join_all().await;
            let (mut published, mut told) = (0, Vec::new());
            for outcome in outcomes {
                match outcome {
                    Outcome::Published { version, is_new: true } => {
                        assert_eq!(version.info.version, base + 1);
                        published += 1;
                    }
                    Outcome::Changed { current } => told.push(current),
                    Outcome::Published { .. } => panic!("no two of them publish the same document"),
                }
            }
            assert_eq!((published, told), (1, vec![base + 1; 3]));
        }
        assert_eq!(cold(&opened(&store, 1000)).await.expect("loads"), Some(12));
    }

    async fn the_largest_document_is_published_by_one_of_those_who_try(store: TestStore) {
        let largest = || {
            let text = "x".repeat((1 << 20) - 200);
            let document = format!(r#"{{"settings":{{"text":{{"type":"string","value":"{text}"}}}}}}"#);
            Draft { document: document.into(), ..draft(1) }
        };
        let (one, two) = (opened(&store, 1000), opened(&store, 1000));
        let first = one.publish(app(1), 0, &largest(), 0).await.expect("an answer");
        assert!(matches!(first, Outcome::Published { is_new: true, .. }));
        assert!(matches!(two.take(app(1), 0, &draft(1)).await.expect("an answer"), Outcome::Changed { current: 1 }));
        let repeated = two.take(app(1), 0, &largest()).await.expect("an answer");
        assert!(matches!(repeated, Outcome::Published { is_new: false, .. }));
        assert_eq!(cold(&two).await.expect("loads"), Some(1));
    }

    async fn a_publish_that_ended_half_way_is_found_and_finished_by_the_next_who_comes(store: TestStore) {
        let replica = opened(&store, 1000);
        publish_up_to(&replica, 1).await;
        leave_half_published(&replica, 2).await;
        assert_eq!(pointer(&replica).await, Some(1));
        // Who has the first and asks the pointer alone sees the first; never anything torn.
        assert_eq!(load(&replica, 1, Look::AtPointer).await.expect("loads"), None);
        assert_eq!(load(&replica, 1, Look::Beyond).await.expect("loads"), Some(2));
        assert_eq!(pointer(&replica).await, Some(2), "the pointer is repaired");
        leave_half_published(&replica, 3).await;
        assert_eq!(cold(&replica).await.expect("loads"), Some(3));
        leave_half_published(&replica, 4).await;
        let outcome = publish(&replica, 3).await;
        assert!(matches!(outcome, Outcome::Published { is_new: false, .. }), "it is the same document: {outcome:?}");
        leave_half_published(&replica, 5).await;
        let outcome = replica.publish(app(1), 4, &draft(0), 0).await.expect("an answer");
        assert!(matches!(outcome, Outcome::Changed { current: 5 }), "{outcome:?}");
        publish(&replica, 5).await;
        assert_eq!((pointer(&replica).await, cold(&replica).await.expect("loads")), (Some(6), Some(6)));
    }

    async fn the_first_publish_of_an_app_may_end_half_way_too(store: TestStore) {
        let replica = opened(&store, 1000);
        leave_half_published(&replica, 1).await;
        assert_eq!(pointer(&replica).await, None);
        assert_eq!(cold(&replica).await.expect("loads"), Some(1));
        assert_eq!(pointer(&replica).await, Some(1));
    }

    async fn a_pointer_that_is_behind_lost_or_broken_is_repaired_and_takes_nobody_back(store: TestStore) {
        let replica = opened(&store, 1000);
        publish_up_to(&replica, 15).await;
        let path = pointer_path(app(1));
        // Further behind than is walked, a little behind, at nothing, and half of one.
        for bad in [version::pointer_to(1), version::pointer_to(13), Vec::new(), b"{\"revi".to_vec()] {
            replica.objects.replace(&path, bad.clone()).await.expect("writes");
            assert_eq!(load(&replica, 15, Look::AtPointer).await.expect("loads"), None, "{bad:?}");
            replica.objects.replace(&path, bad).await.expect("writes");
            assert_eq!(cold(&replica).await.expect("loads"), Some(15));
            assert_eq!(pointer(&replica).await, Some(15));
        }
        replica.objects.delete(&path).await.expect("deletes");
        assert!(matches!(publish(&replica, 0).await, Outcome::Changed { current: 15 }));
        assert_eq!(pointer(&replica).await, Some(15));
        assert!(matches!(publish(&replica, 15).await, Outcome::Published { is_new: true, .. }));
    }

    async fn a_version_that_is_broken_or_gone_is_a_failure_with_its_path_and_the_next_one_heals_it(store: TestStore) {
        let replica = opened(&store, 1000);
        let path = version_path(app(1), 2);
        publish_up_to(&replica, 2).await;
        let good = replica.objects.read(&path).await.expect("reads").expect("is there");
        let another = draft(3).version(3, START).to_bytes().expect("is JSON");
        let too_large = vec![b' '; (1 << 20) + (64 << 10)];
        let unpublishable = Draft { document: r#"{"settings":1}"#.into(), ..draft(2) }.version(2, START);
        for bad in [b"{".to_vec(), Vec::new(), another, too_large, unpublishable.to_bytes().expect("is JSON")] {
            replica.objects.replace(&path, bad).await.expect("writes");
            for known in [0, 1] {
                let failure = load(&replica, known, Look::AtPointer).await.expect_err("broken");
                assert!(matches!(failure, ReadFailure::Broken { .. }), "{failure}");
                assert!(failure.to_string().contains("apps/1/versions/2.json"), "{failure}");
            }
        }
        replica.objects.delete(&path).await.expect("deletes");
        assert!(matches!(cold(&replica).await, Err(ReadFailure::Broken { .. })));
        replica.objects.replace(&path, good[..good.len() - 1].to_vec()).await.expect("writes");
        assert!(matches!(publish(&replica, 2).await, Outcome::Published { is_new: true, .. }));
        assert_eq!((cold(&replica).await.expect("loads"), load(&replica, 1, Look::AtPointer).await.expect("loads")), (Some(3), Some(3)));
    }

    async fn a_store_that_was_emptied_takes_nobody_back(store: TestStore) {
        let replica = opened(&store, 1000);
        publish_up_to(&replica, 2).await;
        for path in [pointer_path(app(1)), version_path(app(1), 1), version_path(app(1), 2)] {
            replica.objects.delete(&path).await.expect("deletes");
        }
        assert_eq!(cold(&replica).await.expect("loads"), Some(0));
        assert!(load(&replica, 2, Look::AtPointer).await.is_err());
        assert_eq!(pointer(&replica).await, None, "and points at nothing that is not there");
    }

    async fn the_oldest_versions_give_way_and_numbers_stay(store: TestStore) {
        let replica = opened(&store, 5);
        publish_up_to(&replica, 9).await;
        let mut kept = replica.listed(app(1)).await.expect("lists");
        kept.sort_unstable();
        assert_eq!(kept, [5, 6, 7, 8, 9]);
        // Who keeps fewer from now on comes down to it, two with each publish.
        let fewer = opened(&store, 3);
        publish(&fewer, 9).await;
        let mut kept = fewer.listed(app(1)).await.expect("lists");
        kept.sort_unstable();
        assert_eq!(kept, [7, 8, 9, 10]);
        assert_eq!(replica.version(app(1), 4).await.expect("reads"), None);
        assert_eq!(cold(&replica).await.expect("loads"), Some(10));
        // A pointer that names one that has given way.
        fewer.objects.replace(&pointer_path(app(1)), version::pointer_to(2)).await.expect("writes");
        assert_eq!(cold(&fewer).await.expect("loads"), Some(10));
        fewer.objects.replace(&pointer_path(app(1)), version::pointer_to(2)).await.expect("writes");
        assert!(matches!(publish(&fewer, 2).await, Outcome::Changed { current: 10 }));
    }

    async fn who_stood_still_while_all_kept_versions_changed_has_published_nothing(store: TestStore) {
        let replica = opened(&store, 3);
        publish_up_to(&replica, 8).await;
        // It saw that 1 is current, a long time ago.
        let outcome = replica.take(app(1), 1, &draft(99)).await.expect("an answer");
        assert!(matches!(outcome, Outcome::Changed { current: 8 }), "{outcome:?}");
        assert_eq!(replica.version(app(1), 2).await.expect("reads"), None);
        assert_eq!((pointer(&replica).await, cold(&replica).await.expect("loads")), (Some(8), Some(8)));
    }

    async fn hundreds_of_versions_are_kept_and_listed(store: TestStore) {
        let replica = opened(&store, crate::Config::default().versions_kept);
        publish_up_to(&replica, 305).await;
        let (mut seen, mut newest) = (Vec::new(), 305);
        loop {
            let page = replica.list(app(1), newest, 100).await.expect("lists");
            assert!(page.versions.len() <= 100);
            seen.extend(page.versions.iter().map(|version| version.info.version));
            for version in &page.versions {
                assert_eq!(version.document, document(version.info.version));
            }
            match page.next_before {
                Some(before) => newest = before - 1,
                None => break,
            }
        }
        assert_eq!(seen, (1..=305).rev().collect::<Vec<i64>>());
    }

    async fn a_list_ends_where_versions_are_not_kept_any_more_and_leaves_out_broken_ones(store: TestStore) {
        let replica = opened(&store, 1000);
        publish_up_to(&replica, 6).await;
        replica.objects.delete(&version_path(app(1), 2)).await.expect("deletes");
        replica.objects.replace(&version_path(app(1), 5), b"{".to_vec()).await.expect("writes");
        let page = replica.list(app(1), 6, 100).await.expect("lists");
        let listed: Vec<i64> = page.versions.iter().map(|version| version.info.version).collect();
        assert_eq!((listed, page.next_before), (vec![6, 4, 3], None));
        let page = replica.list(app(1), 6, 2).await.expect("lists");
        assert_eq!((page.versions.len(), page.next_before), (1, Some(5)));
    }
}

#[test]
fn the_names_of_versions_are_their_numbers() {
    assert_eq!(version_of("12.json"), Some(12));
    for other in ["0.json", "-1.json", "12", "a.json", ".unfinished-00", "12.json.bak", ""] {
        assert_eq!(version_of(other), None, "{other}");
    }
}

//! Who gets in, and who has to come again.

use std::num::NonZeroU32;

use super::*;

/// A body of one event of about so many bytes.
fn large(id: &str, size: usize) -> String {
    format!("{{\"event_id\":\"{id}\",\"pad\":\"{}\"}}", "x".repeat(size))
}

#[tokio::test]
async fn a_hot_partner_does_not_hold_up_another() {
    let store = Store::open();
    store.disk.hold();
    let mut hot = vec![store.accept("hot", &large("h0", 100))];
    waits(&mut hot[0]).await;
    store.disk.wait_until_held();
    // Twenty times what a turn gives, behind the write that is under way.
    for n in 1..=20 * 128 {
        let mut push = store.accept("hot", &large(&format!("h{n}"), 1000));
        waits(&mut push).await;
        hot.push(push);
    }
    let mut cold = store.accept("cold", &named(["c"]));
    waits(&mut cold).await;
    store.disk.let_go();
    assert_eq!(cold.await, receipt(1, 0));
    for push in hot {
        push.await.unwrap();
    }
    let place = store.ids().iter().position(|id| id == "c").unwrap();
    // A share of a half is turns of 128 KiB.
    assert!(place <= 128, "behind one turn of the hot one, not behind {place} events");
}

#[tokio::test]
async fn pushes_of_a_partner_stay_in_their_order_and_in_one_piece() {
    let store = Store::open();
    store.disk.hold();
    let mut pushes = Vec::new();
    for n in 0..50 {
        let mut push = store.accept(["a", "b"][n % 2], &named((0..7).map(|event| format!("{n:02}-{event}"))));
        waits(&mut push).await;
        pushes.push(push);
    }
    store.disk.let_go();
    for push in pushes {
        assert_eq!(push.await, receipt(7, 0));
    }
    let ids = store.ids();
    for piece in ids.chunks(7) {
        let whole: Vec<_> = (0..7).map(|event| format!("{}-{event}", &piece[0][..2])).collect();
        assert_eq!(piece, whole);
    }
    for own in [0, 1] {
        let of_one: Vec<_> = ids.iter().filter(|id| id[..2].parse::<u32>().unwrap() % 2 == own).collect();
        assert!(of_one.is_sorted());
    }
}

#[tokio::test]
async fn when_the_disk_stalls_memory_is_bounded_and_a_partner_has_no_more_than_its_share() {
    let store = Store::open();
    let most = store.config.queue_bytes.get();
    store.disk.hold();
    let mut waiting = Vec::new();
    let mut fill = async |partner: &str| {
        for n in 0.. {
            let mut push = store.accept(partner, &large(&format!("{n}"), 60_000));
            match poll_fn(|context| Poll::Ready(push.as_mut().poll(context))).await {
                Poll::Pending => waiting.push(push),
                Poll::Ready(refused) => {
                    assert_eq!(label(&refused), "overloaded");
                    let retry_after = refused.unwrap_err().retry_after().unwrap();
                    assert!(retry_after > Duration::from_millis(500) && retry_after < Duration::from_secs(2));
                    return n;
                }
            }
            let held = store.ingest.0.0.lock().queue.held();
            assert!(held <= most, "{held}");
        }
        unreachable!()
    };
    let hot = fill("hot").await;
    let half = usize::try_from(most / 2 / 60_000).unwrap();
    assert!((half - 5..=half).contains(&hot), "{hot}: half of the queue");
    let other = fill("other").await;
    assert!(other > half - 5, "{other}: the rest was left for others");
    assert_eq!(fill("third").await, 0, "now there is none");
    store.disk.let_go();
    for push in waiting {
        assert_eq!(push.await, receipt(1, 0));
    }
    assert_eq!(store.ingest.0.0.lock().queue.held(), 0);
    assert_eq!(store.accept("third", &large("0", 60_000)).await, receipt(1, 0));
    assert_eq!(store.ids().len(), hot + other + 1);
}

#[tokio::test]
async fn on_a_slow_disk_nobody_is_let_into_a_queue_that_is_longer_than_their_patience() {
    // Half of `ack_timeout` is the time of three writes.
    let store = Store::open();
    store.ingest.0.0.lock().backlog.note(store.config.ack_timeout / 6);
    store.disk.hold();
    let mut waiting = Vec::new();
    let mut fill = async |partner: &str| {
        for n in 0.. {
            let mut push = store.accept(partner, &large(&format!("{n}"), 60_000));
            match poll_fn(|context| Poll::Ready(push.as_mut().poll(context))).await {
                Poll::Pending => waiting.push(push),
                Poll::Ready(refused) => {
                    assert_eq!(label(&refused), "overloaded");
                    return n;
                }
            }
        }
        unreachable!()
    };
    let write = usize::try_from(store.config.commit_bytes.get() / 60_000).unwrap();
    let hot = fill("hot").await;
    assert!((3 * write..=4 * write + 2).contains(&hot), "{hot}: three writes, and the one that is begun");
    let other = fill("other").await;
    assert!((write..=2 * write + 1).contains(&other), "{other}: half of the turns are its own");
    store.disk.let_go();
    for push in waiting {
        assert_eq!(push.await, receipt(1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_longer_than_is_allowed_is_told_that_nobody_knows() {
    let store = Store::open();
    store.disk.hold();
    let outcome = store.accept("ads", &named(["a"])).await;
    assert_eq!(label(&outcome), "slow");
    store.disk.let_go();
    // It became durable after all, and is recognised.
    store.ingest.close().await;
    assert_eq!(store.ids(), ["a"]);
}

#[tokio::test]
async fn whoever_pushes_too_fast_is_told_when_to_come_again_and_others_are_not() {
    let store = Store::open();
    let limits = PartnerLimits {
        events_per_second: NonZeroU32::new(1).unwrap(),
        burst_events: NonZeroU32::new(2).unwrap(),
        ..PartnerLimits::default()
    };
    let limited = |body: &str| store.ingest.accept(Push { limits, ..push("fast", body) });
    assert_eq!(limited(&named(["a", "b"])).await, receipt(2, 0));
    let refused = limited(&named(["c"])).await;
    assert_eq!(label(&refused), "rate_limited");
    let retry_after = refused.unwrap_err().retry_after().unwrap();
    assert!(retry_after > Duration::from_millis(500) && retry_after <= Duration::from_millis(1300), "{retry_after:?}");
    assert_eq!(store.accept("other", &named(["c"])).await, receipt(1, 0));
    assert!((store.metric("playgate_ingest_refused_pushes_total") - 1.0).abs() < 0.1);
}

#[tokio::test]
async fn pushes_that_come_while_the_disk_is_busy_share_the_next_write() {
    let store = Store::open();
    store.disk.hold();
    let mut pushes = Vec::new();
    for n in 0..100 {
        let mut push = store.accept("ads", &named([n]));
        waits(&mut push).await;
        if n == 0 {
            store.disk.wait_until_held();
        }
        pushes.push(push);
    }
    store.disk.let_go();
    for push in pushes {
        push.await.unwrap();
    }
    assert_eq!(store.disk.syncs(), 2, "the first, and one for all others");
}

#[tokio::test]
async fn everybody_counts_once() {
    let store = Store::open();
    let mut running = tokio::task::JoinSet::new();
    for partner in ["a", "b", "c"] {
        for n in 0..50 {
            running.spawn(store.accept(partner, &named([n % 25])));
        }
    }
    let outcomes = running.join_all().await;
    let accepted: usize = outcomes.iter().map(|outcome| outcome.as_ref().unwrap().accepted).sum();
    assert_eq!(accepted, 75);
    let stored = counted(store.lines().into_iter().map(|(_, partner, id)| (partner, id)));
    assert_eq!((stored.len(), stored.values().max()), (75, Some(&1)));
}

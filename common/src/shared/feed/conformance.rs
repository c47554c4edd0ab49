//! The promises of [`Feed`], as checks that every implementation runs.

#![expect(clippy::expect_used, reason = "a feed that takes no entries has failed its test")]

use std::collections::HashSet;

use super::{Feed, FeedPosition, Followed, Follower};
use crate::clock::{SystemClock, SystemRandom, new_uuid};

/// The bound that the feed under test is made with. It may keep some more, but not ten times as many.
pub const BOUND: usize = 100;

/// Runs every check.
pub async fn check(feed: &dyn Feed) {
    a_follower_is_told_to_load_and_then_sees_every_entry_in_order(feed).await;
    what_was_appended_before_is_not_repeated(feed).await;
    every_follower_sees_every_entry(feed).await;
    streams_do_not_mix(feed).await;
    a_follower_waits_for_an_entry(feed).await;
    a_follower_that_falls_too_far_behind_is_told_of_the_gap(feed).await;
    an_entry_is_any_bytes(feed).await;
}

async fn a_follower_is_told_to_load_and_then_sees_every_entry_in_order(feed: &dyn Feed) {
    let stream = fresh("order");
    let mut follower = begun(feed, &stream).await;
    let mut appended = Vec::new();
    for number in 0..20_u8 {
        appended.push((feed.append(&stream, &[number]).await.expect("appended"), vec![number]));
    }
    assert_eq!(read(&mut *follower, 20).await, appended);
    assert!(appended.is_sorted_by(|(before, _), (after, _)| after.is_next_after(Some(*before))), "{appended:?}");
}

async fn what_was_appended_before_is_not_repeated(feed: &dyn Feed) {
    let stream = fresh("late");
    feed.append(&stream, b"before").await.expect("appended");
    let mut follower = begun(feed, &stream).await;
    let position = feed.append(&stream, b"after").await.expect("appended");
    assert_eq!(read(&mut *follower, 1).await, [(position, b"after".to_vec())]);
}

async fn every_follower_sees_every_entry(feed: &dyn Feed) {
    let stream = fresh("several");
    let (mut one, mut other) = (begun(feed, &stream).await, begun(feed, &stream).await);
    for number in 0..3_u8 {
        feed.append(&stream, &[number]).await.expect("appended");
    }
    assert_eq!(read(&mut *one, 3).await, read(&mut *other, 3).await);
}

async fn streams_do_not_mix(feed: &dyn Feed) {
    let (stream, other) = (fresh("mine"), fresh("theirs"));
    let mut follower = begun(feed, &stream).await;
    feed.append(&other, b"theirs").await.expect("appended");
    let position = feed.append(&stream, b"mine").await.expect("appended");
    assert_eq!(read(&mut *follower, 1).await, [(position, b"mine".to_vec())]);
}

async fn a_follower_waits_for_an_entry(feed: &dyn Feed) {
    let stream = fresh("wait");
    let mut follower = begun(feed, &stream).await;
    let append = async {
        tokio::task::yield_now().await;
        feed.append(&stream, b"at last").await.expect("appended")
    };
    let (entries, position) = tokio::join!(read(&mut *follower, 1), append);
    assert_eq!(entries, [(position, b"at last".to_vec())]);
}

async fn a_follower_that_falls_too_far_behind_is_told_of_the_gap(feed: &dyn Feed) {
    let stream = fresh("behind");
    let mut follower = begun(feed, &stream).await;
    for _ in 0..BOUND * 10 {
        feed.append(&stream, b"missed").await.expect("appended");
    }
    assert_eq!(follower.next().await, Followed::Gap);
    let position = feed.append(&stream, b"seen").await.expect("appended");
    assert_eq!(read(&mut *follower, 1).await, [(position, b"seen".to_vec())]);
}

async fn an_entry_is_any_bytes(feed: &dyn Feed) {
    let stream = fresh("bytes");
    let mut follower = begun(feed, &stream).await;
    let entry: Vec<u8> = (0..=255).collect();
    let mut positions = HashSet::new();
    for payload in [&entry[..], b""] {
        let position = feed.append(&stream, payload).await.expect("appended");
        assert!(positions.insert((position.life, position.number)));
        assert_eq!(read(&mut *follower, 1).await, [(position, payload.to_vec())]);
    }
}

async fn begun(feed: &dyn Feed, stream: &str) -> Box<dyn Follower> {
    let mut follower = feed.follow(stream);
    assert_eq!(follower.next().await, Followed::Gap, "whoever begins has to load first");
    follower
}

async fn read(follower: &mut dyn Follower, count: usize) -> Vec<(FeedPosition, Vec<u8>)> {
    let mut read = Vec::new();
    while read.len() < count {
        let Followed::Entries(entries) = follower.next().await else { panic!("a gap after {read:?}") };
        assert!(!entries.is_empty());
        read.extend(entries.into_iter().map(|entry| (entry.position, entry.payload.to_vec())));
    }
    read
}

fn fresh(kind: &str) -> String {
    format!("conformance:{kind}:{}", new_uuid(&SystemClock, &SystemRandom))
}

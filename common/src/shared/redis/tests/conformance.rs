//! The same promises as in memory.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use super::{super::testing, whole_rate, with_fallback};
use crate::shared::{
    Feed, SharedState,
    conformance::{self, Subject},
    feed::conformance::{self as feed_conformance, BOUND},
};

/// A server's clock can't be moved, only waited for, and it may be a little behind.
fn wait(time: Duration) -> BoxFuture<'static, ()> {
    Box::pin(tokio::time::sleep(time + Duration::from_millis(20)))
}

pub(super) async fn check_state(state: impl SharedState) {
    conformance::check(&Subject { state: Arc::new(state), advance: Box::new(wait) }).await;
}

pub(super) async fn check_feed(feed: &dyn Feed) {
    feed_conformance::check(feed).await;
}

pub(super) fn bound() -> NonZeroUsize {
    NonZeroUsize::new(BOUND).expect("positive")
}

#[tokio::test]
async fn redis_keeps_the_promises_of_every_shared_state() {
    check_state(testing::opened(&testing::config_for(&testing::redis_url())).await.state()).await;
}

#[tokio::test]
async fn redis_with_its_fallback_keeps_them_too() {
    let config = whole_rate(testing::config_for(&testing::redis_url()));
    check_state(with_fallback(&testing::opened(&config).await)).await;
}

#[tokio::test]
async fn redis_keeps_the_promises_of_every_feed() {
    let redis = testing::opened(&testing::config_for(&testing::redis_url())).await;
    check_feed(&redis.feed(bound())).await;
}

#[tokio::test]
async fn the_keys_of_two_platforms_do_not_meet() {
    let (one, other) = (testing::config_for(&testing::redis_url()), testing::config_for(&testing::redis_url()));
    let (one, other) = (testing::opened(&one).await.state(), testing::opened(&other).await.state());
    assert_eq!(one.set_if_absent("key", Duration::from_secs(5)).await, Ok(true));
    assert_eq!(other.set_if_absent("key", Duration::from_secs(5)).await, Ok(true));
}

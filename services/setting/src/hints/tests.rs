//! What replicas tell each other.

use std::{num::NonZeroUsize, time::Duration};

use common::{
    config::Secret,
    shared::{FeedPosition, MemoryFeed, Redis, RedisConfig},
};
use prometheus::Registry;
use tokio::task::JoinSet;

use super::*;
use crate::{
    Config,
    testing::{Service, app, running},
};

const ONE: &str = r#"{"settings":{"n":{"type":"number","value":1}}}"#;
const TWO: &str = r#"{"settings":{"n":{"type":"number","value":2}}}"#;

/// Replicas that don't look by themselves within the time a test has.
fn rarely() -> Config {
    let hour = Duration::from_secs(3600);
    Config { fresh_for: hour, forget_idle_after: 2 * hour, follow_every: hour, ..Config::default() }
}

fn many() -> NonZeroUsize {
    NonZeroUsize::MIN.saturating_add(99)
}

/// Two replicas with everything running; what one publishes the other answers with.
async fn assert_heard(feed: Arc<dyn Feed>) {
    let service = Service::start_with(rarely(), Some(feed));
    service.publish(1, 0, ONE).await.expect("published");
    let other = service.replica();
    let _running: [JoinSet<()>; 2] = [running(&service), running(&other)];
    // Until it follows, nothing is told to it: so it is told until it hears.
    assert_eq!(other.revision(1).await, 1);
    service.publish(1, 1, TWO).await.expect("published");
    other
        .eventually(async || {
            service.parts().hints.as_ref().expect("a feed").add(app(1), 2);
            tokio::time::sleep(Duration::from_millis(10)).await;
            other.revision(1).await == 2
        })
        .await;
    assert!(other.parts().metrics.hints.heard.get() > 0);
}

#[tokio::test]
async fn a_replica_hears_of_what_another_publishes() {
    assert_heard(Arc::new(MemoryFeed::new(many()))).await;
}

#[tokio::test]
async fn what_can_not_be_understood_or_is_not_true_changes_nothing() {
    let service = Service::start();
    service.publish(1, 0, ONE).await.expect("published");
    let payloads: [&[u8]; 6] = [b"", b"\xff", b"1", b"0 1", b"1 x", b"1 9007199254740993"];
    let entries: Vec<FeedEntry> = payloads
        .iter()
        .map(|payload| FeedEntry { position: FeedPosition { life: 0, number: 0 }, payload: (*payload).into() })
        .collect();
    hear(&service.setting, &entries).await;
    assert_eq!(service.parts().metrics.hints.heard.get(), 1);
    assert_eq!(service.revision(1).await, 1);
}

#[tokio::test]
async fn a_feed_that_is_away_costs_no_publish_and_is_counted() {
    let url = Some(Secret::new("redis://127.0.0.1:1/"));
    let config = RedisConfig { url, ..RedisConfig::default() };
    let away = Redis::open(&config, Arc::new(common::clock::SystemRandom), &Registry::new());
    let away = away.expect("a good configuration").expect("a URL").feed(NonZeroUsize::MIN);
    let service = Service::start_with(Config::default(), Some(Arc::new(away)));
    service.publish(1, 0, ONE).await.expect("published");
    service.parts().hints.as_ref().expect("a feed").tell_pending().await;
    assert_eq!(service.parts().metrics.hints.lost.get(), 1);
    assert_eq!(service.revision(1).await, 1);
}

#[tokio::test]
async fn hints_that_wait_are_bounded() {
    let service = Service::start_with(Config::default(), Some(Arc::new(MemoryFeed::new(many()))));
    let hints = service.parts().hints.as_ref().expect("a feed");
    for revision in 0..1005 {
        hints.add(app(1), revision);
    }
    assert_eq!(service.parts().metrics.hints.lost.get(), 5);
}

#[test]
fn a_hint_is_read_as_it_was_written() {
    let hint = Hint { app: app(100_001), revision: 12 };
    assert_eq!(Hint::decode(hint.encode().as_bytes()), Some(hint));
}

mod redis {
    use common::shared::redis::testing;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn replicas_hear_of_each_other_through_redis() {
        let redis = testing::opened(&testing::config_for(&testing::redis_url())).await;
        assert_heard(Arc::new(redis.feed(many()))).await;
    }
}

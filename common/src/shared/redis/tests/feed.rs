//! Feeds through outages: a follower never misses anything without being told.

use prometheus::Registry;
use xtask::services::Redis as Server;

use super::{super::testing, answered, conformance::bound, until};
use crate::shared::{Feed, Followed, Follower, Redis};

const STREAM: &str = "revocations";

async fn followed(server: &Server) -> (Redis, Box<dyn Follower>) {
    let redis = testing::opened(&testing::config_for(&server.url())).await;
    let mut follower = redis.feed(bound()).follow(STREAM);
    assert_eq!(answered(follower.next()).await, Followed::Gap);
    (redis, follower)
}

fn followers(registry: &Registry) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == "playgate_redis_feed_followers").expect("registered");
    family.get_metric()[0].get_gauge().get_value()
}

/// Appends as soon as Redis takes it, and expects the follower to see it next.
async fn assert_passes(redis: &Redis, follower: &mut dyn Follower, entry: &[u8]) {
    let feed = redis.feed(bound());
    let position = until(|| feed.append(STREAM, entry), Result::is_ok).await.expect("appended");
    let Followed::Entries(entries) = answered(follower.next()).await else { panic!("a gap") };
    assert_eq!(entries.iter().map(|entry| entry.position).collect::<Vec<_>>(), [position]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_a_follower_is_told_to_load_and_goes_on() {
    let mut server = Server::start().unwrap();
    let (redis, mut follower) = followed(&server).await;
    assert_passes(&redis, &mut *follower, b"before").await;
    server.kill().unwrap();
    server.restart().unwrap();
    assert_eq!(answered(follower.next()).await, Followed::Gap);
    assert_passes(&redis, &mut *follower, b"after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_waits_through_an_outage_and_is_told() {
    let mut server = Server::start().unwrap();
    let (redis, mut follower) = followed(&server).await;
    server.kill().unwrap();
    let waiting = tokio::task::JoinSet::from_iter([async move {
        let told = follower.next().await;
        (told, follower)
    }]);
    answered(redis.is_up(false)).await;
    server.restart().unwrap();
    let (told, mut follower) = answered(waiting.join_all()).await.pop().expect("one");
    assert_eq!(told, Followed::Gap);
    assert_passes(&redis, &mut *follower, b"after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_a_redis_that_hung_is_told() {
    let (mut server, registry) = (Server::start().unwrap(), Registry::new());
    let redis = testing::opened_and_measured(&testing::config_for(&server.url()), &registry).await;
    let mut follower = redis.feed(bound()).follow(STREAM);
    assert_eq!(answered(follower.next()).await, Followed::Gap);
    assert!(followers(&registry) > 0.0);
    server.freeze().unwrap();
    let waiting = tokio::task::JoinSet::from_iter([async move {
        let told = follower.next().await;
        (told, follower)
    }]);
    until(|| async { followers(&registry) }, |followers| *followers == 0.0).await;
    server.thaw().unwrap();
    let (told, mut follower) = answered(waiting.join_all()).await.pop().expect("one");
    assert_eq!(told, Followed::Gap);
    assert_passes(&redis, &mut *follower, b"after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_lost_while_the_connection_lives_is_a_gap() {
    let server = Server::start().unwrap();
    let (redis, mut follower) = followed(&server).await;
    assert_passes(&redis, &mut *follower, b"before").await;
    server.ask("FLUSHALL").unwrap();
    redis.feed(bound()).append(STREAM, b"lost on the way").await.expect("appended");
    assert_eq!(answered(follower.next()).await, Followed::Gap);
    assert_passes(&redis, &mut *follower, b"after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_loses_nothing() {
    let server = Server::start().unwrap();
    let (redis, mut follower) = followed(&server).await;
    for _ in 0..3 {
        tokio::select! {
            biased;
            told = follower.next() => panic!("nothing was appended: {told:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    assert_passes(&redis, &mut *follower, b"entry").await;
}

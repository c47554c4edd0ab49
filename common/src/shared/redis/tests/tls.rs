//! Through TLS: the same promises, and nobody else is taken for Redis.

use xtask::services::{Certificates, Redis as Server, RedisCluster, RedisSentinels};

use super::{
    super::testing,
    answered,
    conformance::{bound, check_feed, check_state},
};
use crate::shared::{RedisConfig, SharedError, SharedState};

fn config_for(url: &str, trusted: &Certificates) -> RedisConfig {
    RedisConfig { ca_file: Some(trusted.authority()), ..testing::config_for(url) }
}

/// Whether a question is answered at all.
async fn answers(config: &RedisConfig) -> bool {
    let redis = answered(testing::opened(config)).await;
    !matches!(answered(redis.state().counter("key")).await, Err(SharedError::Unavailable(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_keeps_the_promises_through_tls() {
    let certificates = Certificates::for_loopback().unwrap();
    let server = Server::start_with_tls(&certificates).unwrap();
    let redis = testing::opened(&config_for(&server.tls_url(), &certificates)).await;
    check_state(redis.state()).await;
    check_feed(&redis.feed(bound())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_under_sentinels_are_found_and_used_through_tls() {
    let certificates = Certificates::for_loopback().unwrap();
    let servers = RedisSentinels::start_with_tls(&certificates).unwrap();
    let url = format!("rediss+sentinel://{}", servers.tls_addresses());
    let redis = testing::opened(&config_for(&url, &certificates)).await;
    check_state(redis.state()).await;
    check_feed(&redis.feed(bound())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_master_of_a_cluster_is_used_through_tls() {
    let certificates = Certificates::for_loopback().unwrap();
    let cluster = RedisCluster::start_with_tls(&certificates).unwrap();
    let url = format!("rediss+cluster://{}", cluster.tls_addresses());
    let redis = testing::opened(&config_for(&url, &certificates)).await;
    check_state(redis.state()).await;
    check_feed(&redis.feed(bound())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_prove_who_it_is_is_no_redis_of_ours() {
    let (own, strange) = (Certificates::for_loopback().unwrap(), Certificates::for_loopback().unwrap());
    let other_host = Certificates::for_name("DNS:elsewhere.example").unwrap();
    let server = Server::start_with_tls(&own).unwrap();
    let server_of_another = Server::start_with_tls(&other_host).unwrap();
    assert!(answers(&config_for(&server.tls_url(), &own)).await);
    assert!(!answers(&config_for(&server.tls_url(), &strange)).await, "nobody we trust vouches for it");
    assert!(!answers(&testing::config_for(&server.tls_url())).await, "no public authority does either");
    assert!(!answers(&config_for(&server_of_another.tls_url(), &other_host)).await, "it is another host's certificate");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_not_spoken_to_in_plain_when_tls_was_asked_for() {
    let certificates = Certificates::for_loopback().unwrap();
    let server = Server::start().unwrap();
    let url = server.url().replace("redis://", "rediss://");
    assert!(!answers(&config_for(&url, &certificates)).await);
}

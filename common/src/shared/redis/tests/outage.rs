//! Killed, frozen, restarted: nobody waits for Redis, and it is found again.

use std::time::{Duration, Instant};

use xtask::services::Redis as Server;

use super::{super::testing, FOR_EVER, answered, until};
use crate::{
    clock::SystemRandom,
    context::RequestContext,
    shared::{RedisConfig, SharedError, SharedState},
};

const LIFETIME: Duration = Duration::from_secs(60);

fn is_unavailable<T>(answer: &Result<T, SharedError>) -> bool {
    matches!(answer, Err(SharedError::Unavailable(_)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_killed_is_found_again_when_it_is_back() {
    let mut server = Server::start().unwrap();
    let redis = testing::opened(&testing::config_for(&server.url())).await;
    let state = redis.state();
    assert_eq!(state.increment("key", 1, LIFETIME).await, Ok(1));

    server.kill().unwrap();
    assert!(is_unavailable(&answered(state.increment("key", 1, LIFETIME)).await));
    answered(redis.is_up(false)).await;
    let asked = Instant::now();
    assert!(is_unavailable(&answered(state.increment("key", 1, LIFETIME)).await));
    println!("a question to a Redis known to be away took {:?}", asked.elapsed());

    server.restart().unwrap();
    let back = Instant::now();
    answered(redis.is_up(true)).await;
    println!("found again {:?} after it was back", back.elapsed());
    assert_eq!(state.increment("key", 1, LIFETIME).await, Ok(1), "a restart has forgotten everything, scripts too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_is_given_up_and_found_again_when_it_moves() {
    let mut server = Server::start().unwrap();
    let redis = testing::opened(&testing::config_for(&server.url())).await;
    let state = redis.state();
    assert_eq!(state.increment("key", 1, LIFETIME).await, Ok(1));

    server.freeze().unwrap();
    let mut longest = Duration::ZERO;
    for _ in 0..50 {
        let asked = Instant::now();
        assert!(is_unavailable(&answered(state.counter("key")).await));
        longest = longest.max(asked.elapsed());
    }
    println!("the longest of 50 questions to a frozen Redis took {longest:?}");
    answered(redis.is_up(false)).await;

    server.thaw().unwrap();
    answered(redis.is_up(true)).await;
    assert_eq!(state.counter("key").await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_while_redis_is_away() {
    let mut server = Server::start().unwrap();
    server.kill().unwrap();
    let redis = answered(testing::opened(&testing::config_for(&server.url()))).await;
    assert!(is_unavailable(&answered(redis.state().counter("key")).await));
    server.restart().unwrap();
    answered(redis.is_up(true)).await;
    assert_eq!(redis.state().counter("key").await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_while_redis_hangs() {
    let mut server = Server::start().unwrap();
    server.freeze().unwrap();
    let redis = answered(testing::opened(&testing::config_for(&server.url()))).await;
    assert!(is_unavailable(&answered(redis.state().counter("key")).await));
    server.thaw().unwrap();
    answered(redis.is_up(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_server_closes_is_replaced() {
    let server = Server::start().unwrap();
    let redis = testing::opened(&testing::config_for(&server.url())).await;
    let state = redis.state();
    assert_eq!(state.increment("key", 1, LIFETIME).await, Ok(1));
    server.ask("CLIENT KILL TYPE normal SKIPME yes").unwrap();
    assert_eq!(until(|| state.counter("key"), Result::is_ok).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_become_a_replica_is_left() {
    let (server, master) = (Server::start().unwrap(), Server::start().unwrap());
    let redis = testing::opened(&testing::config_for(&server.url())).await;
    let state = redis.state();
    server.ask(&format!("REPLICAOF 127.0.0.1 {}", master.port())).unwrap();
    assert!(is_unavailable(&state.increment("key", 1, LIFETIME).await), "a replica takes no writes");
    answered(redis.is_up(false)).await;
    server.ask("REPLICAOF NO ONE").unwrap();
    assert_eq!(until(|| state.increment("key", 1, LIFETIME), Result::is_ok).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_waits_no_longer_than_it_has_itself() {
    let mut server = Server::start().unwrap();
    let config = RedisConfig { response_timeout: FOR_EVER * 2, ..testing::config_for(&server.url()) };
    let redis = testing::opened(&config).await;
    server.freeze().unwrap();
    let caller = RequestContext::root(&SystemRandom).within(Duration::from_millis(20));
    assert!(is_unavailable(&answered(caller.scope(redis.state().counter("key"))).await));
    server.thaw().unwrap();
    assert_eq!(redis.state().counter("key").await, Ok(0), "the connection was not given up for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_redis_answers_does_not_cost_the_connection() {
    let server = Server::start().unwrap();
    let config = testing::config_for(&server.url());
    let redis = testing::opened(&config).await;
    server.ask(&format!("SET {}count:key text", config.key_prefix)).unwrap();
    assert!(is_unavailable(&redis.state().increment("key", 1, LIFETIME).await));
    assert_eq!(redis.state().counter("other").await, Ok(0));
}

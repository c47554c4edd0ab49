//! A cluster of three masters.

use std::time::Duration;

use xtask::services::RedisCluster;

use super::{
    super::{Redis, testing},
    answered,
    conformance::{bound, check_feed, check_state},
    until,
};
use crate::shared::SharedState;

const LIFETIME: Duration = Duration::from_secs(60);

/// Enough to have some on every master.
const KEYS: usize = 60;

async fn opened(cluster: &RedisCluster) -> Redis {
    testing::opened(&testing::config_for(&format!("redis+cluster://{}", cluster.addresses()))).await
}

async fn answers(redis: &Redis) -> usize {
    let (state, mut answers) = (redis.state(), 0);
    for key in 0..KEYS {
        answers += usize::from(answered(state.increment(&key.to_string(), 1, LIFETIME)).await.is_ok());
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_cluster_keeps_the_promises() {
    let cluster = RedisCluster::start().unwrap();
    let redis = opened(&cluster).await;
    check_state(redis.state()).await;
    check_feed(&redis.feed(bound())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_one_master_is_gone_the_others_answer_and_nobody_waits() {
    let mut cluster = RedisCluster::start().unwrap();
    let redis = opened(&cluster).await;
    assert_eq!(until(|| answers(&redis), |answers| *answers == KEYS).await, KEYS);
    cluster.masters()[0].kill().unwrap();
    let some = until(|| answers(&redis), |answers| (1..KEYS).contains(answers)).await;
    println!("{some} of {KEYS} questions are answered while one of three masters is gone");
    cluster.masters()[0].restart().unwrap();
    assert_eq!(until(|| answers(&redis), |answers| *answers == KEYS).await, KEYS);
}

//! A pair of servers under sentinels.

use std::time::{Duration, Instant};

use xtask::services::RedisSentinels;

use super::{
    super::testing,
    conformance::{bound, check_feed},
    until,
};
use crate::shared::SharedState;

const LIFETIME: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn the_master_is_found_through_redis_sentinels_and_followed_when_it_changes() {
    let mut servers = RedisSentinels::start().unwrap();
    let redis = testing::opened(&testing::config_for(&format!("redis+sentinel://{}", servers.addresses()))).await;
    let state = redis.state();
    assert_eq!(state.increment("key", 1, LIFETIME).await, Ok(1));
    check_feed(&redis.feed(bound())).await;

    servers.first_master().kill().unwrap();
    let killed = Instant::now();
    assert!(until(|| state.increment("key", 1, LIFETIME), Result::is_ok).await.is_ok());
    println!("the new master took a write {:?} after the old one was killed", killed.elapsed());
    assert!(servers.first_replica().ask("ROLE").unwrap().starts_with("master"));
}

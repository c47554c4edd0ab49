//! Redis for tests.
//!
//! A test that needs a server has `redis` in its path, so that `cargo test -- --skip redis` is the run without
//! servers.

#![expect(clippy::expect_used, reason = "a test without its server has failed")]

use std::{sync::Arc, time::Duration};

use prometheus::Registry;
use tokio_util::task::TaskTracker;

use super::{Redis, RedisConfig};
use crate::{
    clock::{SystemClock, SystemRandom, new_uuid},
    config::Secret,
};

/// Where the Redis for tests listens: `redis://127.0.0.1:6379/`.
pub const REDIS_URL_VARIABLE: &str = "PLAYGATE_TEST_REDIS_URL";

/// The URL of the server that [`REDIS_URL_VARIABLE`] names.
pub fn redis_url() -> String {
    std::env::var(REDIS_URL_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{REDIS_URL_VARIABLE} is not set: run `cargo xtask test`, or `cargo xtask services` and set what it \
             prints, or skip these tests with `cargo test -- --skip redis`"
        )
    })
}

/// A configuration for the server at `url`, with a key prefix that no other test uses, and with more patience than
/// production has: a busy build machine is no outage.
pub fn config_for(url: &str) -> RedisConfig {
    let key_prefix = format!("test:{}:", new_uuid(&SystemClock, &SystemRandom).simple());
    RedisConfig {
        url: Some(Secret::new(url)),
        key_prefix,
        connect_timeout: Duration::from_secs(1),
        response_timeout: Duration::from_secs(1),
        ..RedisConfig::default()
    }
}

/// Opens what is configured and keeps it as long as the test's runtime lives. The first attempt to connect is over.
pub async fn opened(config: &RedisConfig) -> Redis {
    opened_and_measured(config, &Registry::new()).await
}

/// The same, with its metrics.
pub async fn opened_and_measured(config: &RedisConfig, registry: &Registry) -> Redis {
    let redis = Redis::open(config, Arc::new(SystemRandom), registry);
    let redis = redis.expect("a configuration that can be used").expect("a URL");
    TaskTracker::new().spawn(redis.keep());
    redis.settled().await;
    redis
}

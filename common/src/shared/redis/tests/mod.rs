//! Against real servers.
//!
//! `conformance` and `rate` need only a server; the others start their own, to kill and to freeze it.

#![expect(clippy::print_stdout, reason = "how long an outage was felt is of interest, and no test depends on it")]

mod cluster;
mod conformance;
mod fallback;
mod feed;
mod ladder;
mod outage;
mod rate;
mod sentinel;
mod tls;
mod traces;

use std::{future::Future, sync::Arc, time::Duration};

use prometheus::Registry;

use super::{Redis, RedisConfig};
use crate::{
    clock::SystemClock,
    shared::{FallbackState, SharedConfig},
};

/// Far longer than anything here may take, and far shorter than what a frozen server would take: for ever.
const FOR_EVER: Duration = Duration::from_secs(30);

/// Fails when `future` hangs.
async fn answered<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(FOR_EVER, future).await.expect("nothing waits for a server that does not answer")
}

/// Repeats a question until the answer is as wanted.
async fn until<T, F: Future<Output = T>>(mut ask: impl FnMut() -> F, wanted: impl Fn(&T) -> bool) -> T {
    answered(async {
        loop {
            let answer = ask().await;
            if wanted(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// The state as services use it. Its own part of a rate is the whole, so that one replica is judged by the usual rules.
fn with_fallback(redis: &Redis) -> FallbackState {
    FallbackState::new(redis, SharedConfig::default(), Arc::new(SystemClock), &Registry::new()).expect("a new registry")
}

fn whole_rate(config: RedisConfig) -> RedisConfig {
    RedisConfig { fallback_rate_divisor: std::num::NonZeroU32::MIN, ..config }
}

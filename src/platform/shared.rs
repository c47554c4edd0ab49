//! What replicas share besides SQL: on Redis where one is configured, otherwise in the memory of this process.

use std::sync::Arc;

use common::shared::{FallbackState, Feed, MemoryState, Redis, SharedState};

use super::Process;
use crate::config::Configuration;

/// The Redis of this process, if it has one.
#[derive(Debug)]
pub(super) struct Shared {
    redis: Option<Redis>,
}

impl Shared {
    /// For a role that shares nothing.
    pub(super) fn none() -> Self {
        Self { redis: None }
    }

    /// Opens Redis and waits until it is reached or found to be away. A Redis that is away keeps no process from
    /// starting.
    pub(super) async fn open(configuration: &Configuration, process: &Process) -> anyhow::Result<Self> {
        let redis = Redis::open(&configuration.redis, process.random.clone(), &process.registry)?;
        if let Some(redis) = &redis {
            process.lifecycle.spawn_background("redis", redis.keep());
            redis.settled().await;
        }
        Ok(Self { redis })
    }

    /// Counters, once-only keys and rates.
    pub(super) fn state(
        &self,
        configuration: &Configuration,
        process: &Process,
    ) -> anyhow::Result<Arc<dyn SharedState>> {
        let (bounds, clock) = (configuration.shared, process.clock.clone());
        Ok(match &self.redis {
            Some(redis) => Arc::new(FallbackState::new(redis, bounds, clock, &process.registry)?),
            None => Arc::new(MemoryState::new(bounds, clock)),
        })
    }

    /// Feeds to the other replicas. None without Redis: then there are no others, or they read SQL.
    pub(super) fn feed(&self, configuration: &Configuration) -> Option<Arc<dyn Feed>> {
        let redis = self.redis.as_ref()?;
        Some(Arc::new(redis.feed(configuration.shared.feed_entries)))
    }
}

//! What replicas share besides SQL: on Redis where one is configured, otherwise in the memory of this process.

use std::{num::NonZeroU32, sync::Arc};

use common::shared::{FallbackState, Feed, MemoryState, Redis, SharedState};

use super::Process;
use crate::config::Configuration;

/// What this process shares with other replicas. Roles in one process share one state.
#[derive(Debug)]
pub(super) struct Shared {
    redis: Option<Redis>,
    state: Arc<dyn SharedState>,
}

impl Shared {
    /// For a role that shares nothing.
    pub(super) fn none(configuration: &Configuration, process: &Process) -> Self {
        Self { redis: None, state: Arc::new(MemoryState::new(configuration.shared, process.clock.clone())) }
    }

    /// Opens Redis and waits until it is reached or found to be away. A Redis that is away keeps no process from
    /// starting.
    pub(super) async fn open(configuration: &Configuration, process: &Process) -> anyhow::Result<Self> {
        let Some(redis) = Redis::open(&configuration.redis, process.random.clone(), &process.registry)? else {
            return Ok(Self::none(configuration, process));
        };
        process.lifecycle.spawn_background("redis", redis.keep());
        redis.settled().await;
        let state = FallbackState::new(&redis, configuration.shared, process.clock.clone(), &process.registry)?;
        Ok(Self { redis: Some(redis), state: Arc::new(state) })
    }

    /// Counters, once-only keys and rates.
    pub(super) fn state(&self) -> Arc<dyn SharedState> {
        Arc::clone(&self.state)
    }

    /// How many replicas share rates, as configured. Without Redis each process has its own.
    pub(super) fn replicas(&self, configuration: &Configuration) -> NonZeroU32 {
        self.redis.as_ref().map_or(NonZeroU32::MIN, |_| configuration.redis.fallback_rate_divisor)
    }

    /// Feeds to the other replicas. None without Redis: then there are no others, or they read SQL or the store of settings.
    pub(super) fn feed(&self, configuration: &Configuration) -> Option<Arc<dyn Feed>> {
        let redis = self.redis.as_ref()?;
        Some(Arc::new(redis.feed(configuration.shared.feed_entries)))
    }
}

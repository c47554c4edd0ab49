//! A shared state that can hold a sign-in between its proof and its session: where it forgives the failures before.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use common::shared::{
    Climb, Decision, Ladder, Lease, MemoryState, Rate, SharedConfig, SharedError, SharedState, Standing,
};
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::Semaphore;

use super::Service;

/// Open until it is closed. Holds the first that comes then, and nobody after it.
#[derive(Debug)]
pub(crate) struct Gate {
    state: MemoryState,
    closed: AtomicBool,
    reached: Semaphore,
    opened: Semaphore,
}

impl Gate {
    pub(crate) fn new(service: &Service) -> Arc<Self> {
        Arc::new(Self {
            state: MemoryState::new(SharedConfig::default(), service.clock.clone()),
            closed: AtomicBool::new(false),
            reached: Semaphore::new(0),
            opened: Semaphore::new(0),
        })
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Until somebody waits at it.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.expect("never closed").forget();
    }

    /// Lets whoever waits go on.
    pub(crate) fn open(&self) {
        self.opened.add_permits(1);
    }
}

impl SharedState for Gate {
    fn set_if_absent<'a>(&'a self, key: &'a str, ttl: Duration) -> BoxFuture<'a, Result<bool, SharedError>> {
        self.state.set_if_absent(key, ttl)
    }

    fn remove_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        self.state.remove_key(key)
    }

    fn increment<'a>(&'a self, key: &'a str, by: u64, ttl: Duration) -> BoxFuture<'a, Result<u64, SharedError>> {
        self.state.increment(key, by, ttl)
    }

    fn counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64, SharedError>> {
        self.state.counter(key)
    }

    fn reset_counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        self.state.reset_counter(key)
    }

    fn gcra<'a>(&'a self, key: &'a str, rate: &'a Rate, cost: u32) -> BoxFuture<'a, Result<Decision, SharedError>> {
        self.state.gcra(key, rate, cost)
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<Lease, SharedError>> {
        self.state.lease(key, rate, units)
    }

    fn give_back<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<(), SharedError>> {
        self.state.give_back(key, rate, units)
    }

    fn standing<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        self.state.standing(key)
    }

    fn climb<'a>(&'a self, key: &'a str, ladder: &'a Ladder) -> BoxFuture<'a, Result<Climb, SharedError>> {
        self.state.climb(key, ladder)
    }

    fn forgive<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Duration>, SharedError>> {
        async move {
            if self.closed.swap(false, Ordering::SeqCst) {
                self.reached.add_permits(1);
                self.opened.acquire().await.expect("never closed").forget();
            }
            self.state.forgive(key).await
        }
        .boxed()
    }

    fn unlock<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        self.state.unlock(key)
    }
}

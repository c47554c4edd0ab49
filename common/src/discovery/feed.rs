//! How a list that changes reaches its readers. Who finds the list out is not known here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{sync::watch, time::timeout};

use super::{
    Instances,
    metrics::{DiscoveryMetrics, FeedMetrics},
};
use crate::clock::{SharedClock, Timestamp};

/// The list of one service, written by the task that follows the service.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) service: String,
    instances: watch::Sender<Arc<Instances>>,
    settled: watch::Sender<bool>,
    metrics: FeedMetrics,
    clock: SharedClock,
}

/// The feeds of a process, one for each service that somebody watches.
#[derive(Debug)]
pub(super) struct Feeds {
    feeds: Mutex<HashMap<String, Arc<Feed>>>,
    metrics: DiscoveryMetrics,
    clock: SharedClock,
}

impl Feed {
    /// The list now.
    pub(super) fn current(&self) -> Arc<Instances> {
        Arc::clone(&self.instances.borrow())
    }

    /// Hands a list to the readers, if it is another one.
    pub(super) fn publish(&self, instances: Instances) {
        self.metrics.instances.set(i64::try_from(instances.len()).unwrap_or(i64::MAX));
        self.instances.send_if_modified(|current| {
            let differs = **current != instances;
            if differs {
                tracing::info!(service = self.service, instances = instances.len(), "the instances changed");
                *current = Arc::new(instances);
            }
            differs
        });
    }

    /// Notes that whoever knows has just answered. Returns when that was.
    pub(super) fn confirm(&self) -> Timestamp {
        let now = self.clock.now();
        self.settle_as_of(now);
        now
    }

    /// Something is known from now on, and whoever knows said so then.
    pub(super) fn settle_as_of(&self, confirmed_at: Timestamp) {
        self.metrics.refreshed.set(confirmed_at.as_millis() / 1000);
        self.settle();
    }

    /// Something is known from now on.
    pub(super) fn settle(&self) {
        self.settled.send_replace(true);
    }

    async fn until_settled(&self) {
        // The sender lives in `self`: the wait can't end without an answer.
        let _ = self.settled.subscribe().wait_for(|settled| *settled).await;
    }
}

impl Feeds {
    pub(super) fn new(metrics: DiscoveryMetrics, clock: SharedClock) -> Self {
        Self { feeds: Mutex::default(), metrics, clock }
    }

    /// The readers' end of a service's list. `follow` is called with the writers' end the first time somebody asks.
    pub(super) fn watch(&self, service: &str, follow: impl FnOnce(Arc<Feed>)) -> watch::Receiver<Arc<Instances>> {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feeds.get(service) {
            return feed.instances.subscribe();
        }
        let feed = Arc::new(Feed {
            service: service.to_owned(),
            instances: watch::Sender::default(),
            settled: watch::Sender::default(),
            metrics: self.metrics.of(service),
            clock: Arc::clone(&self.clock),
        });
        feeds.insert(service.to_owned(), Arc::clone(&feed));
        let receiver = feed.instances.subscribe();
        follow(feed);
        receiver
    }

    /// Waits until something is known of every service, at most `limit`.
    pub(super) async fn settled(&self, limit: Duration) {
        let feeds: Vec<_> = self.feeds.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        if timeout(limit, join_all(feeds.iter().map(|feed| feed.until_settled()))).await.is_err() {
            tracing::warn!(waited_ms = limit.as_millis(), "starting without knowing the instances of every service");
        }
    }
}

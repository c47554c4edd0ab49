//! Telling the other replicas of a new revision at once, instead of letting them find it with their next look.
//!
//! Nobody waits for this and nothing depends on it: what is not told is found with the next look at the store. What is told
//! is only a reason to look there.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use common::shared::{Feed, FeedEntry, Followed, Follower};
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;

use crate::{domain::AppId, metrics::Metrics, service::Setting};

/// The stream's name in the feed.
const STREAM: &str = "setting-changes";

/// Hints that may wait. Protects memory while the feed is slow; beyond it the others look for themselves.
const MOST_PENDING: usize = 1000;

/// Apps that are looked at because of hints at one moment. Protects the store.
const MOST_HEARD_AT_ONCE: usize = 16;

/// The way to the other replicas.
#[derive(Debug)]
pub(crate) struct Hints {
    feed: Arc<dyn Feed>,
    pending: Mutex<Vec<Hint>>,
    added: Notify,
    metrics: Arc<Metrics>,
}

/// An app is at a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hint {
    app: AppId,
    revision: i64,
}

impl Hints {
    pub(crate) fn new(feed: Arc<dyn Feed>, metrics: Arc<Metrics>) -> Self {
        Self { feed, pending: Mutex::default(), added: Notify::new(), metrics }
    }

    /// Leaves it to [`tell`] to tell the others.
    pub(crate) fn add(&self, app: AppId, revision: i64) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if pending.len() < MOST_PENDING {
            pending.push(Hint { app, revision });
        } else {
            self.metrics.hints.lost.inc();
        }
        self.added.notify_one();
    }

    async fn tell_pending(&self) {
        let pending = mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        for hint in pending {
            if self.feed.append(STREAM, hint.encode().as_bytes()).await.is_err() {
                // Not logged: that the feed is away is told once, by what keeps the connection.
                self.metrics.hints.lost.inc();
            }
        }
    }
}

impl Hint {
    fn encode(self) -> String {
        format!("{} {}", self.app, self.revision)
    }

    /// `None` for what another version of this program says.
    fn decode(payload: &[u8]) -> Option<Self> {
        let (app, revision) = std::str::from_utf8(payload).ok()?.split_once(' ')?;
        Some(Self { app: AppId::parse(app.parse().ok()?).ok()?, revision: revision.parse().ok()? })
    }
}

/// Tells what is added, for as long as the service runs.
pub(crate) async fn tell(setting: Setting) {
    let Some(hints) = &setting.parts().hints else { return std::future::pending().await };
    loop {
        hints.added.notified().await;
        hints.tell_pending().await;
    }
}

/// Hears what others tell, for as long as the service runs.
pub(crate) async fn listen(setting: Setting) {
    let Some(hints) = &setting.parts().hints else { return std::future::pending().await };
    let mut follower: Box<dyn Follower> = hints.feed.follow(STREAM);
    loop {
        match follower.next().await {
            Followed::Entries(entries) => hear(&setting, &entries).await,
            // What was missed is found by looking, which goes on all the time.
            Followed::Gap => {}
        }
    }
}

async fn hear(setting: &Setting, entries: &[FeedEntry]) {
    let parts = setting.parts();
    let hints = entries.iter().filter_map(|entry| Hint::decode(&entry.payload));
    stream::iter(hints)
        .for_each_concurrent(MOST_HEARD_AT_ONCE, |hint| async move {
            parts.metrics.hints.heard.inc();
            parts.settings.hear(hint.app, hint.revision).await;
        })
        .await;
}

#[cfg(test)]
mod tests;

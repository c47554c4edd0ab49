//! [`MemoryFeed`]: feeds within one process.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::watch;

use super::{Feed, FeedEntry, FeedPosition, Followed, Follower};
use crate::shared::SharedError;

/// Streams that the tasks of one process share. They live as long as the process, so each has only one life.
#[derive(Debug)]
pub struct MemoryFeed {
    streams: Mutex<HashMap<String, Arc<Stream>>>,
    bound: NonZeroUsize,
}

#[derive(Debug)]
struct Stream {
    /// Watched by those who wait for the next entry.
    entries: watch::Sender<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    /// The number of the first of `kept`.
    first: u64,
    kept: VecDeque<Bytes>,
}

#[derive(Debug)]
struct MemoryFollower {
    entries: watch::Receiver<Entries>,
    /// The number of the entry to read next; `None` until the follower has said that it begins.
    next: Option<u64>,
}

impl MemoryFeed {
    /// Streams that keep at most `bound` entries each.
    pub fn new(bound: NonZeroUsize) -> Self {
        Self { streams: Mutex::default(), bound }
    }

    fn stream(&self, name: &str) -> Arc<Stream> {
        let mut streams: MutexGuard<'_, _> = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = streams.get(name) {
            return Arc::clone(stream);
        }
        let stream = Arc::new(Stream { entries: watch::Sender::new(Entries::default()) });
        streams.insert(name.to_owned(), Arc::clone(&stream));
        stream
    }
}

impl Feed for MemoryFeed {
    fn append<'a>(&'a self, stream: &'a str, entry: &'a [u8]) -> BoxFuture<'a, Result<FeedPosition, SharedError>> {
        let mut number = 0;
        self.stream(stream).entries.send_modify(|entries| {
            if entries.kept.len() >= self.bound.get() {
                entries.kept.pop_front();
                entries.first += 1;
            }
            entries.kept.push_back(Bytes::copy_from_slice(entry));
            number = entries.end() - 1;
        });
        Box::pin(ready(Ok(FeedPosition { life: 0, number })))
    }

    fn follow(&self, stream: &str) -> Box<dyn Follower> {
        Box::new(MemoryFollower { entries: self.stream(stream).entries.subscribe(), next: None })
    }
}

impl Entries {
    /// The number that the next entry will have.
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn from(&self, number: u64) -> Vec<FeedEntry> {
        (self.first..)
            .zip(&self.kept)
            .filter(|(kept, _)| *kept >= number)
            .map(|(number, payload)| FeedEntry { position: FeedPosition { life: 0, number }, payload: payload.clone() })
            .collect()
    }
}

impl Follower for MemoryFollower {
    fn next(&mut self) -> BoxFuture<'_, Followed> {
        Box::pin(async move {
            let Some(next) = self.next else { return self.begin() };
            let Ok(entries) = self.entries.wait_for(|entries| entries.end() > next).await else {
                // The feed is gone, so nothing will ever come.
                return std::future::pending().await;
            };
            let (trimmed, end) = (entries.first > next, entries.end());
            let new = if trimmed { Vec::new() } else { entries.from(next) };
            drop(entries);
            if trimmed {
                return self.begin();
            }
            self.next = Some(end);
            Followed::Entries(new)
        })
    }
}

impl MemoryFollower {
    fn begin(&mut self) -> Followed {
        self.next = Some(self.entries.borrow_and_update().end());
        Followed::Gap
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::feed::conformance::{self, BOUND};

    #[tokio::test]
    async fn it_keeps_the_promises_of_every_feed() {
        conformance::check(&MemoryFeed::new(NonZeroUsize::new(BOUND).expect("positive"))).await;
    }
}

//! [`Feed`]: short messages that every replica sees soon.
//!
//! A feed is a hint, not a store: it is bounded, and it may lose what was written last. What it never does is lose
//! something silently. Whoever follows is told of every possible loss ([`Followed::Gap`]) and then reads the truth
//! again from where it is kept.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod memory;

use std::fmt;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use self::memory::MemoryFeed;
use super::SharedError;

/// Streams of messages, each with a name that code chooses (never a caller's input).
pub trait Feed: Send + Sync + fmt::Debug + 'static {
    /// Adds an entry behind all others. The oldest give way when the stream is at its bound.
    fn append<'a>(&'a self, stream: &'a str, entry: &'a [u8]) -> BoxFuture<'a, Result<FeedPosition, SharedError>>;

    /// Follows a stream from its end on.
    fn follow(&self, stream: &str) -> Box<dyn Follower>;
}

/// Reads a stream as it grows.
pub trait Follower: Send + fmt::Debug {
    /// Waits for what comes next, also through outages. A call that is given up loses nothing: the next one answers
    /// the same entries, or says that there may be a gap.
    fn next(&mut self) -> BoxFuture<'_, Followed>;
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// Entries may have been missed: the answer to the first call, after a lost connection, and when entries gave way
    /// before they were read. What is appended from this moment on will be seen, so whoever reads the truth after
    /// this answer misses nothing.
    Gap,
    /// The next entries, at least one, without a gap to what came before.
    Entries(Vec<FeedEntry>),
}

/// A message and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEntry {
    /// Where it is in the stream.
    pub position: FeedPosition,
    /// What was appended.
    pub payload: Bytes,
}

/// A place in a stream. Within one life of the stream the numbers have no holes, which is how a gap is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeedPosition {
    /// A stream that was lost with its server begins a new life, with a greater number.
    pub life: u64,
    /// Counts the entries of one life, from 0.
    pub number: u64,
}

impl FeedPosition {
    /// Whether nothing can be missing between `last` (`None` before the first entry of a stream) and this entry.
    pub fn is_next_after(self, last: Option<Self>) -> bool {
        match last {
            Some(last) => self.life == last.life && last.number.checked_add(1) == Some(self.number),
            None => self.number == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_next_number_of_the_same_life_leaves_no_gap() {
        let at = |life, number| FeedPosition { life, number };
        assert!(at(7, 4).is_next_after(Some(at(7, 3))));
        assert!(at(7, 0).is_next_after(None));
        for (next, last) in [(at(7, 5), Some(at(7, 3))), (at(8, 4), Some(at(7, 3))), (at(8, 0), Some(at(7, 3)))] {
            assert!(!next.is_next_after(last), "{next:?} after {last:?}");
        }
        assert!(!at(7, 1).is_next_after(None));
    }
}

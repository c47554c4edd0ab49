//! What replicas share besides SQL: counters that expire, keys that are taken once, rates, and feeds.
//!
//! Everything here is allowed to be lost: a lost counter means a limit that starts again, never a session that ends.
//! What must not be lost belongs into SQL.
//!
//! In reading order:
//! - [`SharedState`]: the questions, asked by limits, nonces and codes. The rule of its rates is [`govern::gcra`].
//! - `ladder`: the rule that makes whoever fails again and again wait longer and longer.
//! - `memory`: [`MemoryState`], for one process.
//! - [`Feed`]: short messages to every replica; [`MemoryFeed`], for one process.
//! - [`redis`]: both on a Redis server that all replicas use.
//! - `fallback`: [`FallbackState`]: Redis while it answers, memory while it does not, decided per use.
//!
//! The suites in `conformance` and `feed::conformance` hold both kinds to the same promises.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod expiring;
mod fallback;
pub mod feed;
mod ladder;
mod memory;
pub mod redis;
mod state;

pub use self::{
    fallback::FallbackState,
    feed::{Feed, FeedEntry, FeedPosition, Followed, Follower, MemoryFeed},
    ladder::{Climb, Ladder, MOST_FAILURES, Rung, Standing},
    memory::{MemoryState, SharedConfig},
    redis::{OnceOnlyFallback, Redis, RedisConfig},
    state::{Lease, SharedError, SharedState},
};
pub use govern::gcra::{Decision, Rate};

//! [`SharedState`]: what can be asked, whoever keeps the answers.

use std::{fmt, num::NonZeroU32, time::Duration};

use futures_util::future::BoxFuture;

use super::{Climb, Decision, Ladder, Rate, Standing};
use crate::error_code::PublicError;

/// How long callers are asked to wait while the shared state can't be asked.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Counters, once-only keys, rates and failure ladders. Every operation is atomic across all replicas that share the state.
///
/// Keys are built by their owners with a prefix of their own (`nonce:…`, `login-failures:…`) and must not contain
/// secrets in the clear. Counters, once-only keys, rates and ladders are separate spaces: the same key may exist in each.
pub trait SharedState: Send + Sync + fmt::Debug + 'static {
    /// Takes a key for `ttl`. `true` for the one caller that took it, `false` while it is taken.
    fn set_if_absent<'a>(&'a self, key: &'a str, ttl: Duration) -> BoxFuture<'a, Result<bool, SharedError>>;

    /// Gives a key back before its time.
    fn remove_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>>;

    /// Adds to a counter and answers its new value. The counter lives for `ttl` from its first increment; later
    /// increments do not prolong it.
    fn increment<'a>(&'a self, key: &'a str, by: u64, ttl: Duration) -> BoxFuture<'a, Result<u64, SharedError>>;

    /// A counter's value; zero if it does not exist.
    fn counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64, SharedError>>;

    /// Forgets a counter.
    fn reset_counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>>;

    /// Asks whether something of weight `cost` may happen now under `rate`, and charges it if so. A refusal charges
    /// nothing.
    fn gcra<'a>(&'a self, key: &'a str, rate: &'a Rate, cost: u32) -> BoxFuture<'a, Result<Decision, SharedError>>;

    /// Takes up to `units` of a rate at once, for a replica that gives them out itself (see [`govern::lease`]). The key is
    /// one of a rate: units that [`gcra`](Self::gcra) charges and leased ones are the same. Fails while it can't be said
    /// for every replica: who leases knows what to do alone.
    fn lease<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<Lease, SharedError>>;

    /// Gives back units that were leased and are not needed. Only who has them may do this.
    fn give_back<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<(), SharedError>>;

    /// Where a key stands on its ladder. Changes nothing.
    fn standing<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>>;

    /// Notes a failure. Of many at once only those before the next lock are counted; the others are told of the lock.
    fn climb<'a>(&'a self, key: &'a str, ladder: &'a Ladder) -> BoxFuture<'a, Result<Climb, SharedError>>;

    /// Forgets a key's failures unless it is locked. Answers for how long it is.
    fn forgive<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Duration>, SharedError>>;

    /// Forgets a key's failures and its lock. Answers where it stood. An error when that can't be said for every replica:
    /// whoever asks wants a lock to be gone, and must not be told so by the one replica that happened to be asked.
    fn unlock<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>>;
}

/// What was leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Units, from none to all that were wanted.
    pub granted: u32,
    /// When the next unit would be there, if none is left for another replica now; zero otherwise.
    pub next_in: Duration,
}

/// The question could not be answered. A limit then lets the request pass; a once-only key must not be taken for
/// free, so there the request is answered 503.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    /// The bound on once-only keys is reached.
    #[error("the shared state holds as many once-only keys as it may ({limit})")]
    Full {
        /// The bound.
        limit: usize,
    },
    /// The server that keeps the state did not answer.
    #[error("the shared state is unavailable: {0}")]
    Unavailable(String),
}

impl SharedError {
    /// What the outside is told: 503 with a time to ask again.
    pub fn public(&self) -> PublicError {
        match self {
            Self::Full { .. } | Self::Unavailable(_) => PublicError::unavailable(RETRY_AFTER),
        }
    }
}

impl From<SharedError> for PublicError {
    fn from(error: SharedError) -> Self {
        error.public()
    }
}

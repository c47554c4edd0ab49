//! [`MemoryState`]: the shared state of one process.

use std::{
    future::ready,
    hash::{BuildHasher, RandomState},
    num::{NonZeroU32, NonZeroUsize},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use govern::{
    Moment,
    gcra::{self, take_up_to},
};
use serde::{Deserialize, Serialize};

use super::{
    Climb, Decision, Ladder, Lease, Rate, SharedError, SharedState, Standing,
    expiring::{Entry, Expiring},
    ladder,
};
use crate::{clock::SharedClock, config::Section};

/// Locks that operations are spread over.
const SHARDS: usize = 16;

/// Bounds of what replicas share. An entry takes about 200 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SharedConfig {
    /// Once-only keys (nonces, codes) held in memory. Beyond it further ones are refused with 503, never forgotten:
    /// a forgotten nonce could be replayed.
    pub memory_keys: NonZeroUsize,
    /// Counters held in memory. Beyond it the one that would expire first is forgotten.
    pub memory_counters: NonZeroUsize,
    /// Rate limits in use held in memory. Beyond it the one that is used least is forgotten: a flood of fresh keys
    /// pushes itself out, not the keys that are being limited.
    pub memory_rates: NonZeroUsize,
    /// Failure ladders in use held in memory. Beyond it the one that would expire first is forgotten.
    pub memory_ladders: NonZeroUsize,
    /// Entries that a feed keeps, in memory or in Redis. Beyond it the oldest give way; a replica that has not read
    /// them by then reads the truth again. An entry takes about 100 bytes.
    pub feed_entries: NonZeroUsize,
}

impl Default for SharedConfig {
    fn default() -> Self {
        let bound = NonZeroUsize::MIN.saturating_add(199_999);
        let feed_entries = NonZeroUsize::MIN.saturating_add(9_999);
        Self { memory_keys: bound, memory_counters: bound, memory_rates: bound, memory_ladders: bound, feed_entries }
    }
}

impl Section for SharedConfig {
    const NAME: &'static str = "shared";
}

/// Shared state that is shared by the tasks of one process only. A restart forgets it.
#[derive(Debug)]
pub struct MemoryState {
    shards: Vec<Mutex<Shard>>,
    /// Keyed at random, so that nobody can aim keys at one shard.
    hasher: RandomState,
    clock: SharedClock,
    config: SharedConfig,
}

#[derive(Debug)]
struct Shard {
    keys: Expiring,
    counters: Expiring,
    rates: Expiring,
    ladders: Expiring,
}

impl MemoryState {
    /// An empty state.
    pub fn new(config: SharedConfig, clock: SharedClock) -> Self {
        let share = |bound: NonZeroUsize| Expiring::new(bound.get().div_ceil(SHARDS));
        let shard = || Shard {
            keys: share(config.memory_keys),
            counters: share(config.memory_counters),
            rates: share(config.memory_rates),
            ladders: share(config.memory_ladders),
        };
        let shards = (0..SHARDS).map(|_| Mutex::new(shard())).collect();
        Self { shards, hasher: RandomState::new(), clock, config }
    }

    /// Whether a once-only key is taken.
    pub(super) fn holds_key(&self, key: &str) -> bool {
        self.shard(key).keys.get(key, self.now_us()).is_some()
    }

    /// Notes what a counter is elsewhere, to go on from there.
    pub(super) fn note_counter(&self, key: &str, value: u64, left: Duration) {
        let now_us = self.now_us();
        self.shard(key).counters.set(key, Entry { value, expires_us: after(now_us, left) }, now_us);
    }

    /// Notes how far the theoretical arrival time of a rate is ahead elsewhere, to go on from there.
    pub(super) fn note_rate(&self, key: &str, ahead: Duration) {
        let now_us = self.now_us();
        let arrival_us = after(now_us, ahead);
        self.shard(key).rates.set(key, Entry { value: arrival_us, expires_us: arrival_us }, now_us);
    }

    /// Notes where a key stands on its ladder elsewhere, to go on from there.
    pub(super) fn note_ladder(&self, key: &str, standing: Standing, left: Duration) {
        let now_us = self.now_us();
        let locked_until_ms = after(now_us, standing.locked_for) / 1000;
        let value = ladder::number(standing.failures, locked_until_ms);
        self.shard(key).ladders.set(key, Entry { value, expires_us: after(now_us, left) }, now_us);
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let shards = self.shards.len() as u64;
        let index = usize::try_from(self.hasher.hash_one(key) % shards).unwrap_or(0);
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.clock.now().as_millis()).unwrap_or(0).saturating_mul(1000)
    }
}

impl SharedState for MemoryState {
    fn set_if_absent<'a>(&'a self, key: &'a str, ttl: Duration) -> BoxFuture<'a, Result<bool, SharedError>> {
        let (now_us, mut shard) = (self.now_us(), self.shard(key));
        let answer = if shard.keys.get(key, now_us).is_some() {
            Ok(false)
        } else if shard.keys.has_room(now_us) {
            shard.keys.set(key, Entry { value: 0, expires_us: after(now_us, ttl) }, now_us);
            Ok(true)
        } else {
            Err(SharedError::Full { limit: self.config.memory_keys.get() })
        };
        Box::pin(ready(answer))
    }

    fn remove_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        self.shard(key).keys.remove(key);
        Box::pin(ready(Ok(())))
    }

    fn increment<'a>(&'a self, key: &'a str, by: u64, ttl: Duration) -> BoxFuture<'a, Result<u64, SharedError>> {
        let (now_us, mut shard) = (self.now_us(), self.shard(key));
        let fresh = Entry { value: 0, expires_us: after(now_us, ttl) };
        let counter = shard.counters.get(key, now_us).unwrap_or(fresh);
        let value = counter.value.saturating_add(by);
        shard.counters.set(key, Entry { value, ..counter }, now_us);
        Box::pin(ready(Ok(value)))
    }

    fn counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64, SharedError>> {
        let value = self.shard(key).counters.get(key, self.now_us()).map_or(0, |counter| counter.value);
        Box::pin(ready(Ok(value)))
    }

    fn reset_counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        self.shard(key).counters.remove(key);
        Box::pin(ready(Ok(())))
    }

    fn gcra<'a>(&'a self, key: &'a str, rate: &'a Rate, cost: u32) -> BoxFuture<'a, Result<Decision, SharedError>> {
        let (now_us, mut shard) = (self.now_us(), self.shard(key));
        let verdict = gcra::decide(&rate.in_micros(), shard.arrival(key, now_us), moment(now_us), cost);
        if verdict.decision.is_allowed() {
            shard.note_arrival(key, verdict.arrival, now_us);
        }
        Box::pin(ready(Ok(verdict.decision)))
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<Lease, SharedError>> {
        let (now_us, mut shard) = (self.now_us(), self.shard(key));
        let grant = take_up_to(&rate.in_micros(), shard.arrival(key, now_us), moment(now_us), units.get());
        if grant.granted > 0 {
            shard.note_arrival(key, grant.arrival, now_us);
        }
        Box::pin(ready(Ok(Lease { granted: grant.granted, next_in: grant.next_in })))
    }

    fn give_back<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<(), SharedError>> {
        let (now_us, mut shard) = (self.now_us(), self.shard(key));
        let given = rate.interval_us().saturating_mul(u64::from(units.get()));
        let left = shard.rates.get(key, now_us).map_or(0, |stored| stored.value.saturating_sub(given));
        if left > now_us {
            shard.rates.set(key, Entry { value: left, expires_us: left }, now_us);
        } else {
            shard.rates.remove(key);
        }
        Box::pin(ready(Ok(())))
    }

    fn standing<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        let (now_us, shard) = (self.now_us(), self.shard(key));
        let stored = shard.ladders.get(key, now_us).map_or(0, |stored| stored.value);
        Box::pin(ready(Ok(ladder::standing(stored, now_us / 1000))))
    }

    fn climb<'a>(&'a self, key: &'a str, rule: &'a Ladder) -> BoxFuture<'a, Result<Climb, SharedError>> {
        let (now_us, mut shard) = (self.now_us(), self.shard(key));
        let stored = shard.ladders.get(key, now_us).unwrap_or(Entry { value: 0, expires_us: 0 });
        let step = ladder::climb(rule, stored.value, stored.expires_us / 1000, now_us / 1000);
        if let Climb::Climbed(_) = step.climb {
            let entry = Entry { value: step.stored, expires_us: step.expires_ms.saturating_mul(1000) };
            shard.ladders.set(key, entry, now_us);
        }
        Box::pin(ready(Ok(step.climb)))
    }

    fn forgive<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Duration>, SharedError>> {
        let (now_us, mut shard) = (self.now_us(), self.shard(key));
        let stored = shard.ladders.get(key, now_us).map_or(0, |stored| stored.value);
        let Standing { locked_for, .. } = ladder::standing(stored, now_us / 1000);
        if locked_for.is_zero() {
            shard.ladders.remove(key);
        }
        Box::pin(ready(Ok((!locked_for.is_zero()).then_some(locked_for))))
    }

    fn unlock<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        let (now_us, mut shard) = (self.now_us(), self.shard(key));
        let stored = shard.ladders.get(key, now_us).map_or(0, |stored| stored.value);
        shard.ladders.remove(key);
        Box::pin(ready(Ok(ladder::standing(stored, now_us / 1000))))
    }
}

impl Shard {
    /// The theoretical arrival time of a rate.
    fn arrival(&self, key: &str, now_us: u64) -> Moment {
        moment(self.rates.get(key, now_us).map_or(0, |stored| stored.value))
    }

    fn note_arrival(&mut self, key: &str, arrival: Moment, now_us: u64) {
        let arrival_us = arrival.as_nanos() / 1000;
        self.rates.set(key, Entry { value: arrival_us, expires_us: arrival_us }, now_us);
    }
}

/// Of a clock that counts microseconds since the Unix epoch. Nanoseconds since then fit until 2554.
fn moment(since_epoch_us: u64) -> Moment {
    Moment::from_nanos(since_epoch_us.saturating_mul(1000))
}

fn after(now_us: u64, ttl: Duration) -> u64 {
    now_us.saturating_add(u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::testing::ManualClock,
        shared::conformance::{self, Subject},
    };

    const MINUTE: Duration = Duration::from_secs(60);

    fn bounded(bound: usize) -> (Arc<ManualClock>, MemoryState) {
        let clock = Arc::new(ManualClock::default());
        let bound = NonZeroUsize::new(bound).expect("positive");
        let config =
            SharedConfig { memory_keys: bound, memory_counters: bound, memory_rates: bound, ..SharedConfig::default() };
        (Arc::clone(&clock), MemoryState::new(config, clock))
    }

    #[tokio::test]
    async fn it_keeps_the_promises_of_every_shared_state() {
        let (clock, state) = bounded(100_000);
        let advance = move |by| {
            clock.advance(by);
            Box::pin(ready(())) as BoxFuture<'static, ()>
        };
        conformance::check(&Subject { state: Arc::new(state), advance: Box::new(advance) }).await;
    }

    #[tokio::test]
    async fn beyond_the_bound_a_once_only_key_is_refused_and_none_is_forgotten() {
        let (clock, state) = bounded(SHARDS);
        let (mut taken, mut refused) = (Vec::new(), 0);
        for key in (0..200).map(|number| format!("nonce:{number}")) {
            match state.set_if_absent(&key, MINUTE).await {
                Ok(true) => taken.push(key),
                outcome => {
                    assert_eq!(outcome, Err(SharedError::Full { limit: SHARDS }));
                    refused += 1;
                }
            }
        }
        assert!(taken.len() <= SHARDS && refused >= 200 - SHARDS);
        for key in &taken {
            assert_eq!(state.set_if_absent(key, MINUTE).await, Ok(false));
        }
        clock.advance(MINUTE);
        assert_eq!(state.set_if_absent(&taken[0], MINUTE).await, Ok(true));
    }

    #[tokio::test]
    async fn a_flood_of_fresh_keys_does_not_free_a_key_that_is_being_limited() {
        let (_clock, state) = bounded(SHARDS * 4);
        let rate = Rate::new(std::num::NonZeroU32::MIN.saturating_add(9), MINUTE);
        while let Ok(Decision::Allowed { .. }) = state.gcra("address:attacker", &rate, 1).await {}
        for number in 0..5_000 {
            state.gcra(&format!("address:{number}"), &rate, 1).await.expect("never full");
        }
        let outcome = state.gcra("address:attacker", &rate, 1).await;
        assert!(matches!(outcome, Ok(Decision::Refused { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn concurrent_increments_are_all_counted() {
        let (_clock, state) = bounded(1000);
        let state = Arc::new(state);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let state = Arc::clone(&state);
            tasks.spawn_blocking(move || {
                for _ in 0..1000 {
                    let counted = futures_util::FutureExt::now_or_never(state.increment("hits", 1, MINUTE));
                    assert!(matches!(counted, Some(Ok(_))));
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(state.counter("hits").await, Ok(8000));
    }
}

//! [`FallbackState`]: Redis while it answers, this process's memory while it does not.
//!
//! A Redis outage must not stop a request that could be answered, and must not open a door either. So while Redis
//! answers, what it says is also noted in memory; when it does not, this replica goes on from there:
//!
//! | use | while Redis is away | afterwards |
//! |---|---|---|
//! | rate | this replica limits alone, at the rate and burst divided by `redis.fallback_rate_divisor`, from the last state it saw | Redis does not know what happened meanwhile |
//! | lease of a rate | fails: whoever leases limits alone, at its share ([`govern::lease`]) | it leases again |
//! | ladder | this replica counts alone, from the last standing it saw, and locks after as many failures divided by `redis.fallback_rate_divisor` | Redis does not know what happened meanwhile |
//! | counter | this replica counts alone, from the last value it saw | the same |
//! | reset of a counter | done here | Redis still has the old value until it expires: the strict side |
//! | once-only key, `local` | taken if this replica has not seen it, neither before the outage nor during it | this replica refuses what it let through, although Redis would not |
//! | once-only key, `refuse` | nothing is taken, the request is answered 503 | |
//! | unlocking a key | fails: the lock would stay at the other replicas, and come back with Redis | other replicas that noted the lock before Redis forgot it have it again in an outage, until they see the key anew |
//! | giving a key back | done here | Redis still has it until it expires |
//!
//! What must not happen twice under any circumstances (a payment, a redeemed code) is a unique key in SQL, not a key
//! here.

use std::{num::NonZeroU32, time::Duration};

use futures_util::future::BoxFuture;
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use super::{
    Climb, Decision, Ladder, Lease, MemoryState, Rate, SharedConfig, SharedError, SharedState, Standing,
    redis::{OnceOnlyFallback, Redis, RedisState},
};
use crate::clock::SharedClock;

/// The shared state as services use it when there is a Redis. Never waits longer than `redis.response_timeout`.
#[derive(Debug)]
pub struct FallbackState {
    redis: RedisState,
    /// What this replica goes on with.
    memory: MemoryState,
    /// Once-only keys that were taken while Redis was away, and that Redis therefore does not know.
    taken_alone: MemoryState,
    once_only: OnceOnlyFallback,
    rate_divisor: NonZeroU32,
    answers: Answers,
}

/// Counts what was answered from memory, by use.
#[derive(Debug)]
struct Answers {
    rate: IntCounter,
    ladder: IntCounter,
    counter: IntCounter,
    once_only: IntCounter,
}

impl FallbackState {
    /// The state on `redis`, with a memory of its own.
    ///
    /// # Errors
    /// When the registry has these metrics already.
    pub fn new(
        redis: &Redis,
        bounds: SharedConfig,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            redis: redis.state(),
            memory: MemoryState::new(bounds, clock.clone()),
            taken_alone: MemoryState::new(bounds, clock),
            once_only: redis.config().fallback_once_only,
            rate_divisor: redis.config().fallback_rate_divisor,
            answers: Answers::register(registry)?,
        })
    }

    async fn take(&self, key: &str, ttl: Duration) -> Result<bool, SharedError> {
        let unavailable = match self.redis.set_if_absent(key, ttl).await {
            Ok(false) => return Ok(false),
            Ok(true) => {
                // Noted for an outage to come. A full memory only means that less is known then.
                let _ = self.memory.set_if_absent(key, ttl).await;
                return Ok(!self.taken_alone.holds_key(key));
            }
            Err(error) => error,
        };
        self.answers.once_only.inc();
        match self.once_only {
            OnceOnlyFallback::Refuse => Err(unavailable),
            OnceOnlyFallback::Local => {
                let taken = self.memory.set_if_absent(key, ttl).await?;
                if taken {
                    self.taken_alone.set_if_absent(key, ttl).await?;
                }
                Ok(taken)
            }
        }
    }

    async fn count(&self, key: &str, by: u64, ttl: Duration) -> Result<u64, SharedError> {
        match self.redis.count(key, by, ttl).await {
            Ok(counted) => {
                self.memory.note_counter(key, counted.value, counted.left);
                Ok(counted.value)
            }
            Err(_) => {
                self.answers.counter.inc();
                self.memory.increment(key, by, ttl).await
            }
        }
    }

    async fn charge(&self, key: &str, rate: &Rate, cost: u32) -> Result<Decision, SharedError> {
        match self.redis.charge(key, rate, cost).await {
            Ok(charged) => {
                self.memory.note_rate(key, charged.ahead);
                Ok(charged.decision)
            }
            Err(_) => {
                self.answers.rate.inc();
                self.memory.gcra(key, &share_of(rate, self.rate_divisor, cost), cost).await
            }
        }
    }

    async fn step(&self, key: &str, ladder: &Ladder) -> Result<Climb, SharedError> {
        match self.redis.step(key, ladder).await {
            Ok(climbed) => {
                self.memory.note_ladder(key, climbed.standing, climbed.left);
                Ok(climbed.climb)
            }
            Err(_) => {
                self.answers.ladder.inc();
                self.memory.climb(key, &ladder.divided_by(self.rate_divisor)).await
            }
        }
    }
}

impl SharedState for FallbackState {
    fn set_if_absent<'a>(&'a self, key: &'a str, ttl: Duration) -> BoxFuture<'a, Result<bool, SharedError>> {
        Box::pin(self.take(key, ttl))
    }

    fn remove_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        Box::pin(async move {
            self.memory.remove_key(key).await?;
            self.taken_alone.remove_key(key).await?;
            if self.redis.remove_key(key).await.is_err() {
                self.answers.once_only.inc();
            }
            Ok(())
        })
    }

    fn increment<'a>(&'a self, key: &'a str, by: u64, ttl: Duration) -> BoxFuture<'a, Result<u64, SharedError>> {
        Box::pin(self.count(key, by, ttl))
    }

    fn counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64, SharedError>> {
        Box::pin(async move {
            if let Ok(value) = self.redis.counter(key).await {
                return Ok(value);
            }
            self.answers.counter.inc();
            self.memory.counter(key).await
        })
    }

    fn reset_counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        Box::pin(async move {
            self.memory.reset_counter(key).await?;
            if self.redis.reset_counter(key).await.is_err() {
                self.answers.counter.inc();
            }
            Ok(())
        })
    }

    fn gcra<'a>(&'a self, key: &'a str, rate: &'a Rate, cost: u32) -> BoxFuture<'a, Result<Decision, SharedError>> {
        Box::pin(self.charge(key, rate, cost))
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<Lease, SharedError>> {
        self.redis.lease(key, rate, units)
    }

    fn give_back<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<(), SharedError>> {
        self.redis.give_back(key, rate, units)
    }

    fn standing<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        Box::pin(async move {
            if let Ok(standing) = self.redis.standing(key).await {
                return Ok(standing);
            }
            self.answers.ladder.inc();
            self.memory.standing(key).await
        })
    }

    fn climb<'a>(&'a self, key: &'a str, ladder: &'a Ladder) -> BoxFuture<'a, Result<Climb, SharedError>> {
        Box::pin(self.step(key, ladder))
    }

    fn forgive<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Duration>, SharedError>> {
        Box::pin(async move {
            let here = self.memory.forgive(key).await?;
            if let Ok(locked) = self.redis.forgive(key).await {
                return Ok(locked);
            }
            self.answers.ladder.inc();
            Ok(here)
        })
    }

    fn unlock<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        Box::pin(async move {
            let standing = self.redis.unlock(key).await?;
            self.memory.unlock(key).await?;
            Ok(standing)
        })
    }
}

impl Answers {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let answers = IntCounterVec::new(
            Opts::new("playgate_shared_fallback_answers_total", "Questions that the fallback decided, by use."),
            &["use"],
        )?;
        registry.register(Box::new(answers.clone()))?;
        let of = |label| answers.with_label_values(&[label]);
        Ok(Self { rate: of("rate"), ladder: of("ladder"), counter: of("counter"), once_only: of("once_only") })
    }
}

/// One replica's part of a rate. A request that the whole rate could allow can still be allowed, only more rarely.
fn share_of(rate: &Rate, divisor: NonZeroU32, cost: u32) -> Rate {
    let least = NonZeroU32::new(cost.min(rate.burst.get())).unwrap_or(NonZeroU32::MIN);
    let burst = NonZeroU32::new(rate.burst.get() / divisor).unwrap_or(NonZeroU32::MIN).max(least);
    Rate { limit: rate.limit, per: rate.per.saturating_mul(divisor.get()), burst }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positive(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).expect("positive")
    }

    #[test]
    fn a_replicas_part_of_a_rate_is_slower_and_bursts_less() {
        let rate = Rate::new(positive(10), Duration::from_secs(1)).burst(positive(9));
        let part = share_of(&rate, positive(3), 1);
        assert_eq!(part, Rate::new(positive(10), Duration::from_secs(3)).burst(positive(3)));
    }

    #[test]
    fn what_the_whole_rate_could_allow_is_never_refused_for_good() {
        let rate = Rate::new(positive(10), Duration::from_secs(1)).burst(positive(4));
        assert_eq!(share_of(&rate, positive(8), 1).burst, positive(1));
        assert_eq!(share_of(&rate, positive(8), 4).burst, positive(4));
        assert_eq!(share_of(&rate, positive(8), 5).burst, positive(4), "this the whole rate refuses, too");
    }
}

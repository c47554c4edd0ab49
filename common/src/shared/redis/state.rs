//! [`RedisState`]: the shared state on a Redis server. Expiry and rates follow the server's clock.

use std::{fmt, num::NonZeroU32, time::Duration};

use futures_util::future::BoxFuture;
use govern::lease::script_arguments;
use redis::FromRedisValue;

use super::{link::Link, scripts};
use crate::shared::{Climb, Decision, Ladder, Lease, Rate, SharedError, SharedState, Standing};

/// The largest number that a script's doubles hold exactly with room to add two of them; in microseconds 142 years.
const EXACT: u64 = 1 << 52;

/// The shared state of all replicas that use one Redis server. While Redis is away every question fails, at once.
#[derive(Clone)]
pub struct RedisState {
    link: Link,
    prefix: String,
}

/// A counter as it is after an increment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shared) struct Counted {
    pub(in crate::shared) value: u64,
    /// How long the counter has to live.
    pub(in crate::shared) left: Duration,
}

/// A decision, and what a replica needs to go on deciding by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shared) struct Charged {
    pub(in crate::shared) decision: Decision,
    /// How far the theoretical arrival time is ahead of now.
    pub(in crate::shared) ahead: Duration,
}

/// A step on a ladder, and what a replica needs to go on by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shared) struct Climbed {
    pub(in crate::shared) climb: Climb,
    /// Where the key stands now.
    pub(in crate::shared) standing: Standing,
    /// How long that is remembered.
    pub(in crate::shared) left: Duration,
}

impl RedisState {
    pub(super) fn new(link: Link, prefix: &str) -> Self {
        Self { link, prefix: prefix.to_owned() }
    }

    /// Like [`SharedState::increment`], with what is left of the counter's life.
    pub(in crate::shared) async fn count(&self, key: &str, by: u64, ttl: Duration) -> Result<Counted, SharedError> {
        let mut script = scripts::INCREMENT.key(self.key("count", key));
        script.arg(by.min(EXACT)).arg(milliseconds(ttl));
        let (value, left) = self.run("INCREMENT", script).await?;
        Ok(Counted { value, left: Duration::from_millis(left) })
    }

    /// Like [`SharedState::gcra`], with what it leaves behind.
    pub(in crate::shared) async fn charge(&self, key: &str, rate: &Rate, cost: u32) -> Result<Charged, SharedError> {
        let mut script = scripts::GCRA.key(self.key("rate", key));
        for microseconds in rule_of(rate, cost) {
            script.arg(microseconds);
        }
        self.run("GCRA", script).await.map(charged)
    }

    /// Like [`SharedState::climb`], with what it leaves behind.
    pub(in crate::shared) async fn step(&self, key: &str, ladder: &Ladder) -> Result<Climbed, SharedError> {
        let mut script = scripts::CLIMB.key(self.key("ladder", key));
        for argument in arguments_of(ladder) {
            script.arg(argument);
        }
        self.run("CLIMB", script).await.map(climbed)
    }

    /// Leases units, or gives them back if there are less than none. Answers what was granted, and microseconds.
    async fn leased(&self, name: &'static str, key: &str, rate: &Rate, units: i64) -> Result<(i64, u64), SharedError> {
        let mut script = scripts::LEASE.key(self.key("rate", key));
        for argument in script_arguments(rate, units) {
            script.arg(argument);
        }
        self.run(name, script).await
    }

    async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        script: redis::ScriptInvocation<'_>,
    ) -> Result<T, SharedError> {
        self.link.ask(name, |mut connection| async move { script.invoke_async(&mut connection).await }).await
    }

    async fn command<T: FromRedisValue>(&self, name: &'static str, command: redis::Cmd) -> Result<T, SharedError> {
        self.link.ask(name, |mut connection| async move { command.query_async(&mut connection).await }).await
    }

    fn key(&self, kind: &str, key: &str) -> String {
        format!("{}{kind}:{key}", self.prefix)
    }
}

/// A caller whose answer was lost may be told `false` for a key that it took itself; never is a key taken twice.
impl SharedState for RedisState {
    fn set_if_absent<'a>(&'a self, key: &'a str, ttl: Duration) -> BoxFuture<'a, Result<bool, SharedError>> {
        let mut command = redis::cmd("SET");
        command.arg(self.key("once", key)).arg(1).arg("NX").arg("PX").arg(milliseconds(ttl));
        Box::pin(async move { Ok(self.command::<Option<String>>("SET", command).await?.is_some()) })
    }

    fn remove_key<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        let mut command = redis::cmd("DEL");
        command.arg(self.key("once", key));
        Box::pin(async move { self.command("DEL", command).await })
    }

    fn increment<'a>(&'a self, key: &'a str, by: u64, ttl: Duration) -> BoxFuture<'a, Result<u64, SharedError>> {
        Box::pin(async move { Ok(self.count(key, by, ttl).await?.value) })
    }

    fn counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64, SharedError>> {
        let mut command = redis::cmd("GET");
        command.arg(self.key("count", key));
        Box::pin(async move { Ok(self.command::<Option<u64>>("GET", command).await?.unwrap_or(0)) })
    }

    fn reset_counter<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<(), SharedError>> {
        let mut command = redis::cmd("DEL");
        command.arg(self.key("count", key));
        Box::pin(async move { self.command("DEL", command).await })
    }

    fn gcra<'a>(&'a self, key: &'a str, rate: &'a Rate, cost: u32) -> BoxFuture<'a, Result<Decision, SharedError>> {
        Box::pin(async move { Ok(self.charge(key, rate, cost).await?.decision) })
    }

    fn lease<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<Lease, SharedError>> {
        Box::pin(async move {
            let (granted, next_in) = self.leased("LEASE", key, rate, i64::from(units.get())).await?;
            let granted = u32::try_from(granted).unwrap_or(0).min(units.get());
            Ok(Lease { granted, next_in: Duration::from_micros(next_in) })
        })
    }

    fn give_back<'a>(
        &'a self,
        key: &'a str,
        rate: &'a Rate,
        units: NonZeroU32,
    ) -> BoxFuture<'a, Result<(), SharedError>> {
        Box::pin(async move { self.leased("GIVE_BACK", key, rate, -i64::from(units.get())).await.map(drop) })
    }

    fn standing<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        Box::pin(async move {
            let script = scripts::STANDING.key(self.key("ladder", key));
            let (failures, left) = self.run("STANDING", script).await?;
            Ok(Standing { failures, locked_for: Duration::from_millis(left) })
        })
    }

    fn climb<'a>(&'a self, key: &'a str, ladder: &'a Ladder) -> BoxFuture<'a, Result<Climb, SharedError>> {
        Box::pin(async move { Ok(self.step(key, ladder).await?.climb) })
    }

    fn forgive<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Duration>, SharedError>> {
        Box::pin(async move {
            let left = self.run("FORGIVE", scripts::FORGIVE.key(self.key("ladder", key))).await?;
            Ok((left > 0).then(|| Duration::from_millis(left)))
        })
    }

    fn unlock<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Standing, SharedError>> {
        Box::pin(async move {
            let script = scripts::UNLOCK.key(self.key("ladder", key));
            let (failures, left) = self.run("UNLOCK", script).await?;
            Ok(Standing { failures, locked_for: Duration::from_millis(left) })
        })
    }
}

impl fmt::Debug for RedisState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisState").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// What the script takes: interval, capacity, charge.
pub(super) fn rule_of(rate: &Rate, cost: u32) -> [u64; 3] {
    let interval = rate.interval_us();
    let of = |units: u32| interval.saturating_mul(u64::from(units)).min(EXACT);
    [interval.min(EXACT), of(rate.burst.get()), of(cost)]
}

/// What the script answers.
pub(super) fn charged((allowed, number, ahead_us): (bool, u64, u64)) -> Charged {
    let decision = if allowed {
        let full_in = Duration::from_micros(ahead_us);
        Decision::Allowed { remaining: u32::try_from(number).unwrap_or(u32::MAX), full_in }
    } else {
        Decision::Refused { retry_after: Duration::from_micros(number) }
    };
    Charged { decision, ahead: Duration::from_micros(ahead_us) }
}

/// What the script takes: the window, then each rung.
pub(super) fn arguments_of(ladder: &Ladder) -> Vec<u64> {
    let rungs = ladder.rungs.iter().flat_map(|rung| [u64::from(rung.failures), milliseconds(rung.wait)]);
    std::iter::once(milliseconds(ladder.window)).chain(rungs).collect()
}

/// What the script answers.
pub(super) fn climbed((counted, failures, locked, left): (bool, u32, u64, u64)) -> Climbed {
    let standing = Standing { failures, locked_for: Duration::from_millis(locked) };
    let climb = if counted { Climb::Climbed(standing) } else { Climb::Locked(standing.locked_for) };
    Climbed { climb, standing, left: Duration::from_millis(left) }
}

/// Redis refuses to let a key live for less than a millisecond.
fn milliseconds(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_micros().div_ceil(1000)).unwrap_or(EXACT).clamp(1, EXACT)
}

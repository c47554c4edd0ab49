//! What each use does while Redis is away, and afterwards.

use std::{future::ready, num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use prometheus::Registry;
use xtask::services::Redis as Server;

use super::{super::testing, answered, whole_rate, with_fallback};
use crate::{
    clock::testing::ManualClock,
    shared::{
        Climb, Decision, FallbackState, Ladder, OnceOnlyFallback, Rate, Redis, RedisConfig, Rung, SharedConfig,
        SharedError, SharedState, Standing,
        conformance::{self, Subject},
    },
};

const LIFETIME: Duration = Duration::from_secs(60);

async fn started(change: impl FnOnce(RedisConfig) -> RedisConfig) -> (Server, Redis, FallbackState) {
    let server = Server::start().unwrap();
    let redis = testing::opened(&change(testing::config_for(&server.url()))).await;
    let state = with_fallback(&redis);
    (server, redis, state)
}

async fn kill(server: &mut Server, redis: &Redis) {
    server.kill().unwrap();
    answered(redis.is_up(false)).await;
}

async fn restart(server: &mut Server, redis: &Redis) {
    server.restart().unwrap();
    answered(redis.is_up(true)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_promises_are_kept_within_the_process() {
    let (mut server, redis, _) = started(whole_rate).await;
    kill(&mut server, &redis).await;
    let clock = Arc::new(ManualClock::default());
    let state = FallbackState::new(&redis, SharedConfig::default(), clock.clone(), &Registry::new());
    let advance = move |by| {
        clock.advance(by);
        Box::pin(ready(())) as BoxFuture<'static, ()>
    };
    let subject = Subject { state: Arc::new(state.expect("new")), advance: Box::new(advance) };
    conformance::check_what_may_be_answered_alone(&subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_goes_on_from_where_it_was() {
    let (mut server, redis, state) = started(whole_rate).await;
    let elsewhere = with_fallback(&redis);
    assert_eq!(elsewhere.increment("failures", 4, LIFETIME).await, Ok(4));
    assert_eq!(state.increment("failures", 1, LIFETIME).await, Ok(5));
    kill(&mut server, &redis).await;
    assert_eq!(state.counter("failures").await, Ok(5));
    assert_eq!(state.increment("failures", 1, LIFETIME).await, Ok(6));
    assert_eq!(state.reset_counter("failures").await, Ok(()));
    assert_eq!(state.counter("failures").await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_gives_nobody_a_fresh_burst() {
    let (mut server, redis, state) = started(whole_rate).await;
    let rate = Rate::new(NonZeroU32::MIN.saturating_add(2), LIFETIME);
    while let Decision::Allowed { .. } = state.gcra("address", &rate, 1).await.unwrap() {}
    kill(&mut server, &redis).await;
    let decision = state.gcra("address", &rate, 1).await.unwrap();
    assert!(matches!(decision, Decision::Refused { .. }), "{decision:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_a_replica_allows_only_its_part() {
    let (mut server, redis, state) =
        started(|config| RedisConfig { fallback_rate_divisor: NonZeroU32::MIN.saturating_add(3), ..config }).await;
    kill(&mut server, &redis).await;
    let rate = Rate::new(NonZeroU32::MIN.saturating_add(7), LIFETIME);
    let mut allowed = 0;
    while let Decision::Allowed { .. } = state.gcra("address", &rate, 1).await.unwrap() {
        allowed += 1;
    }
    assert_eq!(allowed, 2, "a quarter of eight");
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_a_replica_goes_on_up_a_ladder_and_locks_after_a_part_of_the_failures() {
    let (mut server, redis, state) =
        started(|config| RedisConfig { fallback_rate_divisor: NonZeroU32::MIN.saturating_add(1), ..config }).await;
    let ladder = Ladder { rungs: vec![Rung { failures: 7, wait: LIFETIME }], window: LIFETIME };
    for failures in 1..=3 {
        let free = Standing { failures, locked_for: Duration::ZERO };
        assert_eq!(state.climb("player", &ladder).await, Ok(Climb::Climbed(free)));
    }
    kill(&mut server, &redis).await;
    let locked = Standing { failures: 4, locked_for: LIFETIME };
    assert_eq!(state.climb("player", &ladder).await, Ok(Climb::Climbed(locked)), "half of seven");
    let kept = state.forgive("player").await.unwrap();
    assert!(kept.is_some(), "a lock is not forgiven");
    assert_eq!(state.forgive("somebody else").await, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_locked_when_redis_goes_away_stays_locked() {
    let (mut server, redis, state) = started(whole_rate).await;
    let ladder = Ladder { rungs: vec![Rung { failures: 1, wait: LIFETIME }], window: LIFETIME };
    state.climb("player", &ladder).await.unwrap();
    kill(&mut server, &redis).await;
    let standing = state.standing("player").await.unwrap();
    assert!(!standing.locked_for.is_zero() && standing.locked_for <= LIFETIME, "{standing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_lifted_everywhere_or_the_caller_is_told_that_it_is_not() {
    let (mut server, redis, state) = started(whole_rate).await;
    let ladder = Ladder { rungs: vec![Rung { failures: 1, wait: LIFETIME }], window: LIFETIME };
    for key in ["lifted", "kept"] {
        state.climb(key, &ladder).await.unwrap();
    }
    assert!(!state.unlock("lifted").await.unwrap().locked_for.is_zero());
    kill(&mut server, &redis).await;
    assert_eq!(state.standing("lifted").await, Ok(Standing::default()), "here it is not remembered either");
    let refused = state.unlock("kept").await;
    assert!(matches!(refused, Err(SharedError::Unavailable(_))), "{refused:?}");
    assert!(!state.standing("kept").await.unwrap().locked_for.is_zero(), "and nothing is pretended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_taken_before_an_outage_or_during_it_stays_taken() {
    let (mut server, redis, state) = started(whole_rate).await;
    assert_eq!(state.set_if_absent("before", LIFETIME).await, Ok(true));
    kill(&mut server, &redis).await;
    assert_eq!(state.set_if_absent("before", LIFETIME).await, Ok(false));
    assert_eq!(state.set_if_absent("during", LIFETIME).await, Ok(true));
    assert_eq!(state.set_if_absent("during", LIFETIME).await, Ok(false));
    restart(&mut server, &redis).await;
    assert_eq!(state.set_if_absent("during", LIFETIME).await, Ok(false), "Redis does not know it");
    assert_eq!(state.set_if_absent("after", LIFETIME).await, Ok(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_given_back_by_another_replica_can_be_taken_again() {
    let (_server, redis, state) = started(whole_rate).await;
    assert_eq!(state.set_if_absent("key", LIFETIME).await, Ok(true));
    assert_eq!(with_fallback(&redis).remove_key("key").await, Ok(()));
    assert_eq!(state.set_if_absent("key", LIFETIME).await, Ok(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn if_so_configured_once_only_keys_are_refused_and_not_used_up() {
    let refuse = |config| RedisConfig { fallback_once_only: OnceOnlyFallback::Refuse, ..config };
    let (mut server, redis, state) = started(refuse).await;
    kill(&mut server, &redis).await;
    let refused = state.set_if_absent("nonce", LIFETIME).await;
    assert!(matches!(refused, Err(SharedError::Unavailable(_))), "{refused:?}");
    restart(&mut server, &redis).await;
    assert_eq!(state.set_if_absent("nonce", LIFETIME).await, Ok(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_redis_is_an_outage_like_any_other() {
    let (mut server, redis, state) = started(whole_rate).await;
    assert_eq!(state.increment("failures", 1, LIFETIME).await, Ok(1));
    server.freeze().unwrap();
    assert_eq!(answered(state.increment("failures", 1, LIFETIME)).await, Ok(2));
    answered(redis.is_up(false)).await;
    assert_eq!(answered(state.increment("failures", 1, LIFETIME)).await, Ok(3));
    server.thaw().unwrap();
    answered(redis.is_up(true)).await;
    assert_eq!(state.set_if_absent("after", LIFETIME).await, Ok(true));
}

//! The promises of [`SharedState`], as checks that every implementation runs.
//!
//! Keys are new in every run, so that a server that is shared by tests can be checked, too.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, join_all};

use super::{Climb, Decision, Ladder, Lease, Rate, Rung, SharedError, SharedState, Standing};
use crate::clock::{SystemClock, SystemRandom, new_uuid};

/// What entries live for in these checks. Long enough that a real server does not lose them meanwhile.
const LIFETIME: Duration = Duration::from_secs(2);

/// An implementation under test.
pub struct Subject {
    /// The implementation.
    pub state: Arc<dyn SharedState>,
    /// Lets the time pass by which the implementation expires entries: a clock that is moved, or for a server that
    /// has its own clock a wait.
    pub advance: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Runs every check of a state that reaches all who share it.
pub async fn check(subject: &Subject) {
    check_what_may_be_answered_alone(subject).await;
    what_is_unlocked_starts_on_the_ground_and_its_neighbours_stay_where_they_are(subject).await;
    a_lease_takes_what_there_is_and_what_is_given_back_is_there_again(subject).await;
    leases_at_one_moment_never_take_more_than_the_burst(subject).await;
}

/// Runs the checks of what a replica may answer by itself, too.
pub async fn check_what_may_be_answered_alone(subject: &Subject) {
    a_key_is_taken_once_until_it_expires(subject).await;
    a_key_that_is_given_back_can_be_taken_again(subject).await;
    of_many_takers_one_succeeds(subject).await;
    a_counter_adds_up_and_ends_with_its_first_lifetime(subject).await;
    a_counter_that_is_reset_starts_again(subject).await;
    keys_counters_and_rates_do_not_meet(subject).await;
    a_rate_allows_its_burst_then_refuses_and_recovers(subject).await;
    a_cost_is_charged_whole_or_not_at_all(subject).await;
    a_ladder_locks_at_its_rung_and_lets_go_in_time(subject).await;
    what_is_forgiven_starts_on_the_ground_and_a_lock_is_not_forgiven(subject).await;
    of_many_failures_at_once_none_is_counted_past_the_lock(subject).await;
}

async fn a_key_is_taken_once_until_it_expires(Subject { state, advance }: &Subject) {
    let key = fresh("once");
    assert_eq!(state.set_if_absent(&key, LIFETIME).await, Ok(true));
    assert_eq!(state.set_if_absent(&key, LIFETIME).await, Ok(false));
    advance(LIFETIME).await;
    assert_eq!(state.set_if_absent(&key, LIFETIME).await, Ok(true));
}

async fn a_key_that_is_given_back_can_be_taken_again(Subject { state, .. }: &Subject) {
    let key = fresh("returned");
    assert_eq!(state.remove_key(&key).await, Ok(()), "a key that nobody holds may be given back");
    assert_eq!(state.set_if_absent(&key, LIFETIME).await, Ok(true));
    assert_eq!(state.remove_key(&key).await, Ok(()));
    assert_eq!(state.set_if_absent(&key, LIFETIME).await, Ok(true));
}

async fn of_many_takers_one_succeeds(Subject { state, .. }: &Subject) {
    let key = fresh("wanted");
    let takers = join_all((0..50).map(|_| state.set_if_absent(&key, LIFETIME))).await;
    assert_eq!(takers.iter().filter(|taken| **taken == Ok(true)).count(), 1);
}

async fn a_counter_adds_up_and_ends_with_its_first_lifetime(Subject { state, advance }: &Subject) {
    let key = fresh("counter");
    assert_eq!(state.counter(&key).await, Ok(0));
    assert_eq!(state.increment(&key, 2, LIFETIME).await, Ok(2));
    advance(LIFETIME / 2).await;
    assert_eq!(state.increment(&key, 3, LIFETIME).await, Ok(5));
    assert_eq!(state.counter(&key).await, Ok(5));
    advance(LIFETIME / 2).await;
    assert_eq!(state.counter(&key).await, Ok(0), "the second increment does not prolong the counter");
    assert_eq!(state.increment(&key, 1, LIFETIME).await, Ok(1));
}

async fn a_counter_that_is_reset_starts_again(Subject { state, .. }: &Subject) {
    let key = fresh("reset");
    assert_eq!(state.increment(&key, 7, LIFETIME).await, Ok(7));
    assert_eq!(state.reset_counter(&key).await, Ok(()));
    assert_eq!(state.counter(&key).await, Ok(0));
}

async fn keys_counters_and_rates_do_not_meet(Subject { state, .. }: &Subject) {
    let key = fresh("same");
    assert_eq!(state.increment(&key, 4, LIFETIME).await, Ok(4));
    assert_eq!(state.set_if_absent(&key, LIFETIME).await, Ok(true));
    assert_eq!(remaining(&state.gcra(&key, &rate(3), 1).await), Some(2));
    assert_eq!(state.counter(&key).await, Ok(4));
}

async fn a_rate_allows_its_burst_then_refuses_and_recovers(Subject { state, advance }: &Subject) {
    let key = fresh("rate");
    for expected in [2, 1, 0] {
        assert_eq!(remaining(&state.gcra(&key, &rate(3), 1).await), Some(expected));
    }
    let Ok(Decision::Refused { retry_after }) = state.gcra(&key, &rate(3), 1).await else {
        panic!("the burst is used up");
    };
    assert!(!retry_after.is_zero() && retry_after <= LIFETIME, "{retry_after:?}");
    advance(LIFETIME).await;
    assert_eq!(remaining(&state.gcra(&key, &rate(3), 1).await), Some(0), "one unit came back");
}

async fn a_cost_is_charged_whole_or_not_at_all(Subject { state, .. }: &Subject) {
    let key = fresh("cost");
    assert_eq!(remaining(&state.gcra(&key, &rate(3), 2).await), Some(1));
    assert!(matches!(state.gcra(&key, &rate(3), 2).await, Ok(Decision::Refused { .. })));
    assert_eq!(remaining(&state.gcra(&key, &rate(3), 1).await), Some(0));
}

async fn a_ladder_locks_at_its_rung_and_lets_go_in_time(Subject { state, advance }: &Subject) {
    let (key, ladder) = (fresh("ladder"), ladder(2));
    let free = |failures| Standing { failures, locked_for: Duration::ZERO };
    assert_eq!(state.standing(&key).await, Ok(free(0)));
    assert_eq!(state.climb(&key, &ladder).await, Ok(Climb::Climbed(free(1))));
    assert_eq!(state.standing(&key).await, Ok(free(1)));
    let locked = Standing { failures: 2, locked_for: LIFETIME };
    assert_eq!(state.climb(&key, &ladder).await, Ok(Climb::Climbed(locked)));
    let seen = state.standing(&key).await;
    let is_locked = |left: Duration| !left.is_zero() && left <= LIFETIME;
    assert!(matches!(&seen, Ok(seen) if seen.failures == 2 && is_locked(seen.locked_for)), "{seen:?}");
    let again = state.climb(&key, &ladder).await;
    assert!(matches!(again, Ok(Climb::Locked(left)) if is_locked(left)), "{again:?}");
    advance(LIFETIME).await;
    assert_eq!(state.standing(&key).await, Ok(free(2)), "the failures are remembered beyond the lock");
    let third = Standing { failures: 3, locked_for: LIFETIME };
    assert_eq!(state.climb(&key, &ladder).await, Ok(Climb::Climbed(third)));
}

async fn what_is_forgiven_starts_on_the_ground_and_a_lock_is_not_forgiven(Subject { state, .. }: &Subject) {
    let (key, ladder) = (fresh("forgiven"), ladder(2));
    assert_eq!(state.forgive(&key).await, Ok(None));
    for _ in 0..3 {
        assert!(matches!(state.climb(&key, &ladder).await, Ok(Climb::Climbed(Standing { failures: 1, .. }))));
        assert_eq!(state.forgive(&key).await, Ok(None));
    }
    for _ in 0..2 {
        assert!(matches!(state.climb(&key, &ladder).await, Ok(Climb::Climbed(_))));
    }
    let kept = state.forgive(&key).await;
    assert!(matches!(kept, Ok(Some(left)) if left <= LIFETIME), "{kept:?}");
    assert!(matches!(state.climb(&key, &ladder).await, Ok(Climb::Locked(_))));
}

async fn of_many_failures_at_once_none_is_counted_past_the_lock(Subject { state, .. }: &Subject) {
    let (key, ladder) = (fresh("burst"), ladder(7));
    let climbs = join_all((0..50).map(|_| state.climb(&key, &ladder))).await;
    assert_eq!(climbs.iter().filter(|climb| matches!(climb, Ok(Climb::Climbed(_)))).count(), 7);
    let standing = state.standing(&key).await;
    assert!(matches!(&standing, Ok(standing) if standing.failures == 7), "{standing:?}");
}

async fn what_is_unlocked_starts_on_the_ground_and_its_neighbours_stay_where_they_are(Subject { state, .. }: &Subject) {
    let (key, neighbour, ladder) = (fresh("unlocked"), fresh("still-locked"), ladder(2));
    let ground = Standing::default();
    assert_eq!(state.unlock(&key).await, Ok(ground), "who never failed");
    assert!(matches!(state.climb(&key, &ladder).await, Ok(Climb::Climbed(_))));
    assert_eq!(state.unlock(&key).await, Ok(Standing { failures: 1, ..ground }), "who was not locked yet");
    for key in [&key, &neighbour, &key, &neighbour] {
        assert!(matches!(state.climb(key, &ladder).await, Ok(Climb::Climbed(_))));
    }
    let before = state.unlock(&key).await;
    let was_locked = |was: &Standing| was.failures == 2 && !was.locked_for.is_zero() && was.locked_for <= LIFETIME;
    assert!(matches!(&before, Ok(was) if was_locked(was)), "{before:?}");
    assert_eq!(state.standing(&key).await, Ok(ground));
    assert_eq!(state.climb(&key, &ladder).await, Ok(Climb::Climbed(Standing { failures: 1, ..ground })));
    assert!(matches!(state.climb(&neighbour, &ladder).await, Ok(Climb::Locked(_))));
}

async fn a_lease_takes_what_there_is_and_what_is_given_back_is_there_again(Subject { state, advance }: &Subject) {
    let (key, rate) = (fresh("lease"), rate(10));
    let lease = |wanted| state.lease(&key, &rate, units(wanted));
    assert_eq!(lease(4).await, Ok(Lease { granted: 4, next_in: Duration::ZERO }));
    assert_eq!(remaining(&state.gcra(&key, &rate, 1).await), Some(5), "leased and charged units are the same");
    let rest = lease(8).await;
    let waits = |left: Duration| !left.is_zero() && left <= LIFETIME;
    assert!(matches!(&rest, Ok(Lease { granted: 5, next_in }) if waits(*next_in)), "{rest:?}");
    assert!(matches!(lease(1).await, Ok(Lease { granted: 0, .. })));
    assert_eq!(state.give_back(&key, &rate, units(3)).await, Ok(()));
    assert_eq!(lease(8).await.map(|lease| lease.granted), Ok(3));
    advance(LIFETIME).await;
    assert_eq!(lease(8).await.map(|lease| lease.granted), Ok(1), "one unit came back");
    assert_eq!(state.give_back(&key, &rate, units(50)).await, Ok(()));
    assert_eq!(lease(50).await.map(|lease| lease.granted), Ok(10), "no more than a burst is ever there");
}

async fn leases_at_one_moment_never_take_more_than_the_burst(Subject { state, .. }: &Subject) {
    let (key, rate) = (fresh("leases"), rate(100));
    let leases = join_all((0..50).map(|_| state.lease(&key, &rate, units(7)))).await;
    let granted: Result<Vec<u32>, SharedError> =
        leases.into_iter().map(|lease| lease.map(|lease| lease.granted)).collect();
    assert_eq!(granted.map(|granted| granted.into_iter().sum::<u32>()), Ok(100));
}

/// Units that were left after one was allowed; none if it was not.
fn remaining(decision: &Result<Decision, SharedError>) -> Option<u32> {
    match decision {
        Ok(Decision::Allowed { remaining, .. }) => Some(*remaining),
        _ => None,
    }
}

fn units(count: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(count - 1)
}

/// Locks for a lifetime, and remembers much longer.
fn ladder(failures: u32) -> Ladder {
    Ladder { rungs: vec![Rung { failures, wait: LIFETIME }], window: LIFETIME * 100 }
}

/// One unit per lifetime, so that a server's clock that runs on changes nothing within a check.
fn rate(burst: u32) -> Rate {
    Rate::new(NonZeroU32::MIN, LIFETIME).burst(NonZeroU32::MIN.saturating_add(burst - 1))
}

fn fresh(kind: &str) -> String {
    format!("conformance:{kind}:{}", new_uuid(&SystemClock, &SystemRandom))
}

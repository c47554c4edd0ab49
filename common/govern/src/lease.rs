//! [`LeasedQuota`]: a limit that replicas share, without a question per request.
//!
//! Protects: the shared limiter (Redis) from the requests it is meant to limit, and every request from its latency.
//!
//! A replica takes several units at once and gives them out itself. How many: as many requests as came lately in one
//! `horizon`, but at most twice (plus one) what it took the last time, and at most `largest`. So at a steady demand it
//! asks about once per horizon, five times a second, and while it asks it still has a quarter left: nobody waits.
//! At a limit that is reached it asks again after a horizon (less for small bursts) and not for every unit that comes
//! back. Units are charged when they are leased, so all replicas together never admit more in any time `w` than
//! `burst + rate · (w + ttl)`. What lies about unused for `ttl` is given back.
//!
//! While the shared limiter can't be asked, each replica limits alone at its share ([`local_share`]), and one request
//! per `ping` finds out whether it can be asked again (go-zero `core/limit/tokenlimit.go`: rescue limiter, 100 ms).
//!
//! The distributed side is [`SCRIPT`]: GCRA that takes up to n, one round trip. Sources: GCRA as in [`crate::gcra`];
//! leasing as in Doorman (YouTube, 2016), without its central scheduler.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    gcra::{Decision, Rate, decide},
    moment::Moment,
    number::ceil_u32,
    problems::{Check, Problems},
};

/// The script of the distributed side. `KEYS[1]`: the key; `ARGV`: [`script_arguments`]. Answers two integers: units
/// granted, and microseconds until the next one would be there.
pub const SCRIPT: &str = include_str!("lease.lua");

/// How leases are sized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LeaseConfig {
    /// For how long a lease shall last at the present demand. Shorter: more questions; longer: more units in the hands
    /// of replicas that may not need them.
    #[serde(with = "humantime_serde")]
    pub horizon: Duration,
    /// When unused units are given back. It bounds by how much time's worth the replicas may together run ahead.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// How long a question may be on its way before another request asks instead.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// How often one request asks whether a shared limiter that was away is there again.
    #[serde(with = "humantime_serde")]
    pub ping: Duration,
    /// The most units of one lease. Also at most half of this replica's share of the burst.
    pub largest: u32,
}

impl Default for LeaseConfig {
    fn default() -> Self {
        Self {
            horizon: Duration::from_millis(200),
            ttl: Duration::from_secs(1),
            patience: Duration::from_millis(100),
            ping: Duration::from_millis(100),
            largest: 1000,
        }
    }
}

impl Check for LeaseConfig {
    fn check(&self, problems: &mut Problems) {
        let ms = Duration::from_millis;
        problems.duration("horizon", self.horizon, ms(10)..=ms(10_000));
        problems.duration("ttl", self.ttl, ms(10)..=ms(60_000));
        problems.duration("patience", self.patience, ms(1)..=ms(10_000));
        problems.duration("ping", self.ping, ms(10)..=ms(10_000));
        problems.number("largest", self.largest, 1..=1_000_000);
        if self.ttl < self.horizon {
            problems
                .add("ttl", "is shorter than `horizon`: units would be given back before they are meant to be used");
        }
    }
}

/// One key's part of a shared limit in this replica. Every call is a few comparisons: keep it behind a mutex.
#[derive(Clone, Debug)]
pub struct LeasedQuota {
    rate: Rate,
    replicas: NonZeroU32,
    config: LeaseConfig,
    /// Units that may be given out.
    held: u32,
    held_until: Moment,
    /// Units that were not needed in time.
    unneeded: u32,
    /// What was asked for the last time, when, and how many requests have come since, admitted or not.
    asked: u32,
    asked_at: Moment,
    demand: u32,
    /// A question is on its way, and others wait for it until then.
    on_its_way: Option<Moment>,
    refused_until: Moment,
    alone: Option<Alone>,
}

/// The shared limiter is away.
#[derive(Clone, Copy, Debug)]
struct Alone {
    arrival: Moment,
    next_ping: Moment,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It is admitted.
    Admitted {
        /// Ask the shared limiter for so many units in the background, and report with [`LeasedQuota::granted`] or
        /// [`LeasedQuota::unavailable`].
        ask: Option<NonZeroU32>,
    },
    /// Nothing is left: ask the shared limiter for so many units, report, and take again.
    Ask(NonZeroU32),
    /// Nothing is left, and another request is asking. Take again when it has reported, at the latest after this time.
    Wait(Duration),
    /// The limit is reached.
    Refused {
        /// When a unit will be there.
        retry_after: Duration,
    },
}

impl LeasedQuota {
    /// A quota of which nothing is leased yet, of a limit that `replicas` share.
    pub fn new(rate: Rate, replicas: NonZeroU32, config: LeaseConfig) -> Self {
        Self {
            rate,
            replicas,
            config,
            held: 0,
            held_until: Moment::START,
            unneeded: 0,
            asked: 0,
            asked_at: Moment::START,
            demand: 0,
            on_its_way: None,
            refused_until: Moment::START,
            alone: None,
        }
    }

    /// Takes one unit for a request.
    pub fn take(&mut self, now: Moment) -> Take {
        self.put_by(now);
        if self.on_its_way.is_some_and(|until| until <= now) {
            self.on_its_way = None;
        }
        let take = self.take_one(now);
        if matches!(take, Take::Admitted { .. } | Take::Refused { .. }) {
            self.demand = self.demand.saturating_add(1);
        }
        take
    }

    fn take_one(&mut self, now: Moment) -> Take {
        if self.held > 0 {
            self.held -= 1;
            let running_out = self.held <= self.asked / 4 && self.refused_until <= now;
            return Take::Admitted { ask: if running_out { self.question(now) } else { None } };
        }
        if let Some(alone) = &mut self.alone {
            let verdict = decide(&local_share(&self.rate, self.replicas), alone.arrival, now, 1);
            alone.arrival = verdict.arrival;
            return match verdict.decision {
                Decision::Allowed { .. } => Take::Admitted { ask: self.question(now) },
                Decision::Refused { retry_after } => Take::Refused { retry_after },
            };
        }
        if self.refused_until > now {
            return Take::Refused { retry_after: self.refused_until.since(now) };
        }
        match self.on_its_way {
            Some(until) => Take::Wait(until.since(now)),
            None => self.question(now).map_or(Take::Wait(self.config.patience), Take::Ask),
        }
    }

    /// The shared limiter granted `units`; the next one would be there in `next_in`.
    pub fn granted(&mut self, now: Moment, units: u32, next_in: Duration) {
        self.put_by(now);
        (self.on_its_way, self.alone) = (None, None);
        self.held = self.held.saturating_add(units);
        self.held_until = now + self.config.ttl;
        if units < self.asked {
            // Once what was granted is used, something must come back first. Waiting for more than one unit loses nothing
            // while the burst is not full again, and is one question less for each.
            let gathering = self.config.horizon.min(self.rate.time_to_full() / 2);
            self.refused_until = now + next_in.max(gathering).max(Duration::from_micros(1));
        }
    }

    /// The shared limiter could not be asked.
    pub fn unavailable(&mut self, now: Moment) {
        self.on_its_way = None;
        let next_ping = now + self.config.ping;
        // At the first outage a full share, as a replica that has just started would have.
        self.alone.get_or_insert(Alone { arrival: Moment::START, next_ping }).next_ping = next_ping;
    }

    /// Units that were leased, lay about for `ttl` and are not needed: give them back by running [`SCRIPT`] with minus
    /// this number, now and then and at shutdown. Whoever drops them makes the limit stricter for a moment.
    pub fn unneeded(&mut self, now: Moment) -> u32 {
        self.put_by(now);
        std::mem::take(&mut self.unneeded)
    }

    /// Everything that is still held, to give back at shutdown.
    pub fn all(&mut self) -> u32 {
        std::mem::take(&mut self.unneeded).saturating_add(std::mem::take(&mut self.held))
    }

    /// Another rate, number of replicas or configuration, from the next question on. What is held and how much was asked
    /// for stays.
    pub fn govern(&mut self, rate: Rate, replicas: NonZeroU32, config: LeaseConfig) {
        (self.rate, self.replicas, self.config) = (rate, replicas, config);
    }

    /// The rate that units are leased of.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether the shared limiter was away when it was last asked, so that this replica limits alone at its share.
    pub fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// Whether forgetting it changes nothing that lasts: nothing is held or on its way, and nobody has asked for `ttl`.
    pub fn is_idle(&self, now: Moment) -> bool {
        let asks = self.on_its_way.is_some_and(|until| until > now);
        let waits = self.refused_until > now || self.alone.is_some_and(|alone| alone.arrival > now);
        !asks && !waits && self.held == 0 && self.unneeded == 0 && self.asked_at + self.config.ttl <= now
    }

    fn put_by(&mut self, now: Moment) {
        if self.held > 0 && self.held_until <= now {
            self.unneeded = self.unneeded.saturating_add(std::mem::take(&mut self.held));
        }
    }

    /// How much to ask for now; nothing if somebody asks already, or if the shared limiter was away a moment ago.
    fn question(&mut self, now: Moment) -> Option<NonZeroU32> {
        if self.on_its_way.is_some() || self.alone.is_some_and(|alone| alone.next_ping > now) {
            return None;
        }
        let elapsed = now.since(self.asked_at).max(Duration::from_micros(1));
        let demand = f64::from(self.demand) * self.config.horizon.as_secs_f64() / elapsed.as_secs_f64();
        let largest = largest_lease(&self.rate, self.replicas).min(self.config.largest.max(1));
        let growth = self.asked.saturating_mul(2).saturating_add(1);
        self.asked = ceil_u32(demand).clamp(1, largest.min(growth));
        (self.asked_at, self.demand) = (now, 0);
        self.on_its_way = Some(now + self.config.patience);
        NonZeroU32::new(self.asked)
    }
}

/// What one of `replicas` may admit when it can't ask the others: the limit over a period that many times as long, so
/// that nothing is rounded, and its share of the burst, at least one. Together they admit the limit, and at most
/// `replicas` units more at one moment than the burst.
pub fn local_share(rate: &Rate, replicas: NonZeroU32) -> Rate {
    let burst = NonZeroU32::new(rate.burst.get() / replicas).unwrap_or(NonZeroU32::MIN);
    Rate { limit: rate.limit, per: rate.per.saturating_mul(replicas.get()), burst }
}

/// The most that one lease may take, so that no replica holds what the others need: half of its share of the burst, at
/// least one.
pub fn largest_lease(rate: &Rate, replicas: NonZeroU32) -> u32 {
    (rate.burst.get() / replicas.get().saturating_mul(2)).max(1)
}

/// What [`SCRIPT`] takes as its `ARGV`: microseconds per unit, units of a burst, units to take (negative: to give back).
pub fn script_arguments(rate: &Rate, units: i64) -> [i64; 3] {
    [i64::try_from(rate.interval_us()).unwrap_or(i64::MAX), i64::from(rate.burst.get()), units]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gcra::take_up_to;

    const NOW: Moment = Moment::from_nanos(1_000_000_000_000);
    const MS: Duration = Duration::from_millis(1);

    fn count(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).expect("positive")
    }

    fn rate(limit: u32, burst: u32) -> Rate {
        Rate::new(count(limit), Duration::from_secs(1)).burst(count(burst))
    }

    fn quota(rate: Rate, replicas: u32) -> LeasedQuota {
        LeasedQuota::new(rate, count(replicas), LeaseConfig::default())
    }

    /// The shared limiter, answering at once.
    struct Shared {
        rate: Rate,
        arrival: Moment,
        questions: u32,
    }

    impl Shared {
        fn new(rate: Rate) -> Self {
            Self { rate, arrival: Moment::START, questions: 0 }
        }

        fn answer(&mut self, quota: &mut LeasedQuota, now: Moment, wanted: NonZeroU32) {
            self.questions += 1;
            let grant = take_up_to(&self.rate, self.arrival, now, wanted.get());
            self.arrival = grant.arrival;
            quota.granted(now, grant.granted, grant.next_in);
        }

        /// Whether a request is admitted, asking as it has to.
        fn request(&mut self, quota: &mut LeasedQuota, now: Moment) -> bool {
            loop {
                match quota.take(now) {
                    Take::Admitted { ask } => {
                        if let Some(wanted) = ask {
                            self.answer(quota, now, wanted);
                        }
                        return true;
                    }
                    Take::Ask(wanted) => self.answer(quota, now, wanted),
                    Take::Wait(_) => unreachable!("the limiter answers at once"),
                    Take::Refused { .. } => return false,
                }
            }
        }
    }

    #[test]
    fn a_steady_demand_asks_a_few_times_a_second_and_not_per_request() {
        let rate = rate(10_000, 10_000);
        let (mut shared, mut quota) = (Shared::new(rate), quota(rate, 4));
        let admitted = (0..20_000).filter(|n| shared.request(&mut quota, NOW + MS / 2 * *n)).count();
        assert_eq!(admitted, 20_000);
        assert!(shared.questions < 120, "{} questions in 10 s", shared.questions);
    }

    #[test]
    fn a_limit_that_is_reached_is_not_asked_again_before_units_are_there() {
        let rate = rate(10, 10);
        let (mut shared, mut quota) = (Shared::new(rate), quota(rate, 1));
        let admitted = (0..1000).filter(|_| shared.request(&mut quota, NOW)).count();
        let questions = shared.questions;
        assert_eq!(admitted, 10);
        assert!(!shared.request(&mut quota, NOW + 199 * MS));
        assert_eq!(shared.questions, questions);
        let admitted = (0..1000).filter(|_| shared.request(&mut quota, NOW + 200 * MS)).count();
        assert_eq!(admitted, 2);
    }

    #[test]
    fn at_ten_times_the_limit_the_limit_is_used_and_asked_for_in_batches() {
        for (limit, burst, replicas) in [(100, 100, 1), (100, 100, 4), (1000, 50, 2), (1000, 1000, 4)] {
            let rate = rate(limit, burst);
            let mut shared = Shared::new(rate);
            let mut all: Vec<_> = (0..replicas).map(|_| quota(rate, replicas)).collect();
            let demand = 10 * limit;
            let admitted = (0..10 * demand)
                .filter(|n| {
                    let now = NOW + Duration::from_secs(1) / demand * *n;
                    shared.request(&mut all[usize::try_from(n % replicas).expect("few")], now)
                })
                .count();
            let (admitted, possible) = (admitted as f64, f64::from(10 * limit + burst));
            assert!(admitted > 0.9 * possible, "{admitted} of {possible}");
            let per_request = f64::from(shared.questions) / admitted;
            assert!(per_request < 0.35, "{per_request} questions per request at {limit}/{burst}/{replicas}");
        }
    }

    #[test]
    fn no_lease_takes_more_than_half_of_a_replicas_share_of_the_burst() {
        let rate = rate(1000, 100);
        let (mut shared, mut quota, mut sizes) = (Shared::new(rate), quota(rate, 5), Vec::new());
        for n in 0..10_000 {
            let now = NOW + MS / 10 * n;
            match quota.take(now) {
                Take::Admitted { ask: Some(wanted) } | Take::Ask(wanted) => {
                    sizes.push(wanted.get());
                    shared.answer(&mut quota, now, wanted);
                }
                Take::Admitted { ask: None } | Take::Refused { .. } => {}
                Take::Wait(_) => unreachable!("the limiter answers at once"),
            }
        }
        assert_eq!(sizes.iter().max(), Some(&10));
    }

    #[test]
    fn at_a_steady_demand_nobody_waits_for_a_question_that_takes_ten_milliseconds() {
        let rate = rate(10_000, 10_000);
        let (mut shared, mut quota) = (Shared::new(rate), quota(rate, 1));
        let (mut asked, mut waited) = (None, 0);
        for n in 0..20_000 {
            let now = NOW + MS / 2 * n;
            if let Some((_, wanted)) = asked.take_if(|(at, _)| now.since(*at) >= 10 * MS) {
                shared.answer(&mut quota, now, wanted);
            }
            match quota.take(now) {
                Take::Admitted { ask } => asked = ask.map(|wanted| (now, wanted)).or(asked),
                Take::Ask(wanted) => {
                    asked = Some((now, wanted));
                    waited += 1;
                }
                Take::Wait(_) => waited += 1,
                Take::Refused { .. } => unreachable!("the limit is far"),
            }
        }
        // The first leases are small.
        assert!(waited < 200, "{waited} of 20 000");
    }

    #[test]
    fn while_one_request_asks_the_others_wait_for_it_but_not_for_ever() {
        let mut quota = quota(rate(10, 10), 1);
        assert_eq!(quota.take(NOW), Take::Ask(count(1)));
        assert_eq!(quota.take(NOW + 40 * MS), Take::Wait(60 * MS));
        assert!(matches!(quota.take(NOW + 100 * MS), Take::Ask(_)), "the question was lost");
    }

    #[test]
    fn without_the_shared_limiter_a_replica_goes_on_with_its_share_and_asks_now_and_then() {
        let mut quota = quota(rate(100, 40), 4);
        assert!(matches!(quota.take(NOW), Take::Ask(_)));
        quota.unavailable(NOW);
        let taken: Vec<_> = (0..20).map(|_| quota.take(NOW)).collect();
        assert_eq!(taken.iter().filter(|take| matches!(take, Take::Admitted { ask: None })).count(), 10);
        assert_eq!(taken[19], Take::Refused { retry_after: 40 * MS });
        assert!(matches!(quota.take(NOW + 100 * MS), Take::Admitted { ask: Some(_) }), "one looks again");
        assert!(matches!(quota.take(NOW + 100 * MS), Take::Admitted { ask: None }), "and only one");
        quota.granted(NOW + 110 * MS, 5, Duration::ZERO);
        assert!((0..5).all(|_| matches!(quota.take(NOW + 110 * MS), Take::Admitted { .. })));
    }

    #[test]
    fn what_is_not_needed_in_time_is_given_back() {
        let mut quota = quota(rate(100, 100), 1);
        quota.take(NOW);
        quota.granted(NOW, 30, Duration::ZERO);
        assert!(matches!(quota.take(NOW), Take::Admitted { .. }));
        assert_eq!(quota.unneeded(NOW + 999 * MS), 0);
        assert_eq!(quota.unneeded(NOW + 1000 * MS), 29);
        assert_eq!(quota.all(), 0);
    }

    #[test]
    fn a_share_is_exact_and_never_nothing() {
        let share = local_share(&rate(3, 3), count(5));
        assert_eq!((share.limit.get(), share.per, share.burst.get()), (3, Duration::from_secs(5), 1));
        assert_eq!(largest_lease(&rate(100, 100), count(5)), 10);
        assert_eq!(largest_lease(&rate(100, 3), count(5)), 1);
        assert_eq!(script_arguments(&rate(3, 7), -2), [333_334, 7, -2]);
    }

    proptest! {
        /// Replicas that share a limit, under any demand: together never more than the burst and what comes back in
        /// the window and one ttl before it; and what is refused is refused because the limit is reached.
        #[test]
        fn replicas_together_keep_the_limit(
            limit in 5_u32..200, replicas in 1_usize..5,
            steps in prop::collection::vec((0_u64..40, 0_usize..5, 1_u32..6), 1..300),
        ) {
            let rate = rate(limit, limit);
            let mut shared = Shared::new(rate);
            let shares = u32::try_from(replicas).expect("few");
            let mut all: Vec<_> = (0..replicas).map(|_| quota(rate, shares)).collect();
            let (mut now, mut admitted) = (NOW, Vec::new());
            for (gap, replica, requests) in steps {
                now = now + MS * u32::try_from(gap).expect("few");
                for _ in 0..requests {
                    if shared.request(&mut all[replica % replicas], now) {
                        admitted.push(now);
                    }
                }
            }
            for (index, from) in admitted.iter().enumerate() {
                for (count, until) in admitted[index..].iter().enumerate() {
                    let time = until.since(*from) + LeaseConfig::default().ttl;
                    let allowed = f64::from(limit) + f64::from(limit) * time.as_secs_f64();
                    prop_assert!((count + 1) as f64 <= allowed + 1e-6, "{} in {time:?}", count + 1);
                }
            }
        }
    }
}

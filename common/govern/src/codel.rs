//! [`CodelQueue`]: a queue whose waiters never wait for nothing.
//!
//! Protects: callers from an answer that comes too late, and the server from working for callers that have gone.
//!
//! Source: CoDel (Nichols and Jacobson, ACM Queue 2012; RFC 8289) as used for requests at Facebook ("Fail at Scale",
//! ACM Queue 2015), with adaptive LIFO of the same article:
//! ```text
//! overloaded = the queue has not been empty for `interval` (100 ms)
//! timeout of a new waiter = overloaded ? `target` (5 ms) : `interval` (100 ms)
//! next to be served       = overloaded ? the newest      : the oldest
//! ```
//! A burst may wait; a queue that only stands there may not. In overload the newest goes first, because the oldest have
//! the callers that are about to give up: some are served in time instead of all too late.
//! A full queue refuses the newcomer, or in overload the oldest, who would be served last.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    moment::Moment,
    problems::{Check, Problems},
};

/// For how long and how many may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CodelConfig {
    /// How long a request may wait in overload.
    #[serde(with = "humantime_serde")]
    pub target: Duration,
    /// How long a request may wait otherwise, and after how long without an empty queue there is overload.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// How many may wait, per class. What waits holds memory and a connection.
    pub capacity: usize,
}

impl Default for CodelConfig {
    fn default() -> Self {
        Self { target: Duration::from_millis(5), interval: Duration::from_millis(100), capacity: 256 }
    }
}

impl Check for CodelConfig {
    fn check(&self, problems: &mut Problems) {
        problems.duration("target", self.target, Duration::from_micros(100)..=Duration::from_secs(5));
        problems.duration("interval", self.interval, Duration::from_millis(1)..=Duration::from_secs(30));
        problems.number("capacity", self.capacity, 1..=65_536);
        if self.target > self.interval {
            problems.add("target", "is longer than `interval`: a burst would be cut sooner than a flood");
        }
    }
}

/// Waiters, and the rule that says which of them is served and which is refused. Keep it behind a mutex; take a timer
/// for [`Self::next_expiry`], so that whoever is refused hears of it at once.
#[derive(Debug)]
pub struct CodelQueue<T> {
    config: CodelConfig,
    waiting: VecDeque<Waiter<T>>,
    last_empty: Moment,
    /// Nobody's time is over before this.
    next_expiry: Moment,
}

#[derive(Debug)]
struct Waiter<T> {
    item: T,
    until: Moment,
}

impl<T> CodelQueue<T> {
    /// An empty queue.
    pub fn new(config: CodelConfig) -> Self {
        Self { config, waiting: VecDeque::new(), last_empty: Moment::START, next_expiry: Moment::START }
    }

    /// Lets `item` wait. Returns whom that leaves no room for: the newcomer itself or, in overload, the oldest.
    #[must_use = "who is returned has to be refused"]
    pub fn push(&mut self, now: Moment, item: T) -> Option<T> {
        if self.waiting.is_empty() {
            self.last_empty = now;
        }
        let overloaded = self.is_overloaded(now);
        let refused = if self.waiting.len() < self.config.capacity {
            None
        } else if overloaded {
            self.waiting.pop_front().map(|oldest| oldest.item)
        } else {
            return Some(item);
        };
        let until = now + self.patience(now);
        self.next_expiry = if self.waiting.is_empty() { until } else { self.next_expiry.min(until) };
        self.waiting.push_back(Waiter { item, until });
        refused
    }

    /// Whom to serve now. Those whose time is over are handed to `refuse`.
    pub fn pop(&mut self, now: Moment, refuse: impl FnMut(T)) -> Option<T> {
        self.expire(now, refuse);
        let next = if self.is_overloaded(now) { self.waiting.pop_back() } else { self.waiting.pop_front() };
        if self.waiting.is_empty() {
            self.last_empty = now;
        }
        next.map(|waiter| waiter.item)
    }

    /// Hands those whose time is over to `refuse`, the oldest first.
    pub fn expire(&mut self, now: Moment, mut refuse: impl FnMut(T)) {
        if self.waiting.is_empty() || now < self.next_expiry {
            return;
        }
        let mut next_expiry = Moment::from_nanos(u64::MAX);
        for _ in 0..self.waiting.len() {
            let Some(waiter) = self.waiting.pop_front() else { break };
            if waiter.until <= now {
                refuse(waiter.item);
            } else {
                next_expiry = next_expiry.min(waiter.until);
                self.waiting.push_back(waiter);
            }
        }
        self.next_expiry = next_expiry;
        if self.waiting.is_empty() {
            self.last_empty = now;
        }
    }

    /// How long a newcomer may wait.
    pub fn patience(&self, now: Moment) -> Duration {
        if self.is_overloaded(now) { self.config.target } else { self.config.interval }
    }

    /// Takes out a waiter who has given up. Tells whether it was there.
    pub fn remove(&mut self, now: Moment, is_it: impl Fn(&T) -> bool) -> bool {
        let Some(place) = self.waiting.iter().position(|waiter| is_it(&waiter.item)) else { return false };
        self.waiting.remove(place);
        if self.waiting.is_empty() {
            self.last_empty = now;
        }
        true
    }

    /// Other rules, for those that come from now on. Those that wait keep the time they were given.
    pub fn configure(&mut self, config: CodelConfig) {
        self.config = config;
    }

    /// When [`Self::expire`] has something to do at the earliest.
    pub fn next_expiry(&self) -> Option<Moment> {
        (!self.waiting.is_empty()).then_some(self.next_expiry)
    }

    /// Whether the queue has stood there for an interval without ever being empty.
    pub fn is_overloaded(&self, now: Moment) -> bool {
        !self.waiting.is_empty() && now.since(self.last_empty) >= self.config.interval
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Moment = Moment::from_nanos(1_000_000_000);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn queue(capacity: usize) -> CodelQueue<u32> {
        CodelQueue::new(CodelConfig { capacity, ..CodelConfig::default() })
    }

    fn nobody(item: u32) {
        panic!("{item} is refused");
    }

    #[test]
    fn who_gives_up_leaves_its_place_and_is_neither_served_nor_refused() {
        let mut queue = queue(2);
        (1..=2).for_each(|item| assert_eq!(queue.push(START, item), None));
        assert!(queue.remove(START, |item| *item == 1) && !queue.remove(START, |item| *item == 1));
        assert_eq!(queue.push(START, 3), None, "there is a place again");
        assert_eq!(std::iter::from_fn(|| queue.pop(START, nobody)).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(queue.push(START, 4), None);
        assert!(queue.remove(START + ms(99), |item| *item == 4));
        assert_eq!(queue.push(START + ms(150), 5), None);
        assert!(!queue.is_overloaded(START + ms(160)), "it was empty meanwhile");
    }

    #[test]
    fn a_burst_is_served_in_its_order_and_may_wait_an_interval() {
        let mut queue = queue(10);
        (1..=3).for_each(|item| assert_eq!(queue.push(START, item), None));
        assert_eq!(queue.pop(START + ms(50), nobody), Some(1));
        assert_eq!(queue.pop(START + ms(99), nobody), Some(2));
        let mut refused = Vec::new();
        assert_eq!(queue.pop(START + ms(100), |item| refused.push(item)), None);
        assert_eq!(refused, [3]);
    }

    #[test]
    fn a_queue_that_only_stands_there_serves_the_newest_and_lets_wait_for_the_target_only() {
        let mut queue = queue(20);
        (0..=9).for_each(|step| assert_eq!(queue.push(START + ms(10 * step), 0), None));
        let now = START + ms(99);
        assert!(!queue.is_overloaded(now));
        let now = START + ms(105);
        (1..=2).for_each(|item| {
            let _ = queue.push(now, item);
        });
        let mut refused = 0;
        assert_eq!(queue.pop(now, |_| refused += 1), Some(2));
        assert_eq!(refused, 1, "the one from the start has waited an interval");
        let mut refused = Vec::new();
        queue.expire(now + ms(5), |item| refused.push(item));
        assert!(refused.contains(&1), "{refused:?}");
    }

    #[test]
    fn once_it_was_empty_it_is_calm_again() {
        let mut queue = queue(10);
        let _ = queue.push(START, 1);
        let _ = queue.push(START + ms(99), 2);
        assert_eq!(queue.pop(START + ms(100), |_| ()), Some(2));
        let now = START + ms(101);
        (3..=4).for_each(|item| assert_eq!(queue.push(now, item), None));
        assert_eq!(queue.pop(now + ms(50), nobody), Some(3), "the oldest, after more than the target");
    }

    #[test]
    fn a_full_queue_refuses_the_newcomer_and_in_overload_the_oldest() {
        let mut queue = queue(2);
        let _ = queue.push(START, 1);
        let _ = queue.push(START + ms(90), 2);
        assert_eq!(queue.push(START + ms(95), 3), Some(3));
        assert_eq!(queue.push(START + ms(100), 4), Some(1));
        assert_eq!(queue.len(), 2);
    }

    #[test]
    fn it_says_when_the_next_one_gives_up() {
        let mut queue = queue(4);
        assert_eq!(queue.next_expiry(), None);
        let _ = queue.push(START, 1);
        let _ = queue.push(START + ms(20), 2);
        assert_eq!(queue.next_expiry(), Some(START + ms(100)));
        queue.expire(START + ms(100), |item| assert_eq!(item, 1));
        assert_eq!(queue.next_expiry(), Some(START + ms(120)));
    }

    proptest! {
        /// Everybody is served or refused, once, and nobody is served who waited for more than an interval.
        #[test]
        fn nobody_is_lost_and_nobody_is_served_too_late(
            steps in prop::collection::vec((0_u64..30, any::<bool>()), 1..300), capacity in 1_usize..20,
        ) {
            let mut queue = CodelQueue::new(CodelConfig { capacity, ..CodelConfig::default() });
            let (mut now, mut next, mut gone) = (START, 0_u32, Vec::new());
            for (gap, comes) in steps {
                now = now + ms(gap);
                if comes {
                    gone.extend(queue.push(now, (next, now)).map(|(item, _)| item));
                    next += 1;
                } else {
                    let served = queue.pop(now, |(item, _)| gone.push(item));
                    if let Some((item, since)) = served {
                        prop_assert!(now.since(since) < CodelConfig::default().interval);
                        gone.push(item);
                    }
                }
                prop_assert!(queue.len() <= capacity);
            }
            queue.expire(now + ms(1000), |(item, _)| gone.push(item));
            gone.sort_unstable();
            prop_assert_eq!(gone, (0..next).collect::<Vec<_>>());
        }
    }
}

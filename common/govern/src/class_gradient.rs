//! [`ClassGradient`]: one limit for all classes, learned from the latency of each.
//!
//! Protects: what all classes share (the processor, the runtime, a callee of all) from more than it can do in time. A
//! token check takes microseconds and a login tens of milliseconds: a mean over both says what the mix is, and not how
//! the server is. So each class has a usual latency of its own, and what is compared is how many times slower than
//! usual it is.
//!
//! Formula, per window, with everything else as in [`gradient`](crate::gradient):
//! ```text
//! slowdown(class) = short(class) / long(class)            of classes with at least min_samples answers
//! gradient(class) = clamp(tolerance / slowdown(class), 0.5, dropped(class) ? drop_backoff : 1)
//! gradient        = the largest of all gradient(class)
//! ```
//! The largest, because what slows all of them is the server, and what slows one is that one's own bottleneck: its hash
//! pool, its table, its channel. Taking room from everybody else would mend nothing there. A class that is slow while
//! another is not, or while no other is heard of, is *slow alone*: the limit does not follow it, and all that it gets is
//! a cap ([`PriorityConfig::slow_alone`](crate::priority::PriorityConfig::slow_alone)), so that what hangs there leaves
//! room to the others. Its own bounded queue decides the rest, and by more than a number: players on known devices
//! first. Not so verifications and pay callbacks: they are shed last, and in the worst flood nobody else is heard of;
//! then the limit follows them.
//! Verifications from memory are below `min_latency` and never heard of: they do not wait for anything, so their latency
//! says nothing either way. If the processor is what everybody waits for, [`crate::cpu`] tells.
//!
//! A window that reached the limit is one in which somebody had to wait or was refused: with shares, a class can be at
//! the end of its own while less than the limit is in flight.
//!
//! Source: ours, on Gradient2; the comparison with a class's own past is that of Netflix' `PartitionedLimit`s one step
//! further.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::{
    gradient::{Ending, GradientConfig, Usual},
    moment::{Moment, nanos},
    number::{floor_u32, floor_u64},
    priority::Class,
};

const CLASSES: usize = Class::SHED_ORDER.len();

/// The rule itself, on one window at a time. Pure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassEstimate {
    limit: f64,
    usual: [Usual; CLASSES],
    slowdown: f64,
    slow_alone: [bool; CLASSES],
}

/// What was seen of a class in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassSeen {
    /// The mean latency in nanoseconds; none of a class of which too little was seen.
    pub mean_ns: Option<f64>,
    /// Whether something was dropped for overload.
    pub dropped: bool,
}

/// What was seen in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassesSeen {
    /// By class, in the order of shedding.
    pub classes: [ClassSeen; CLASSES],
    /// The most that was in flight at once.
    pub in_flight: u32,
    /// Whether anybody found no room.
    pub full: bool,
}

/// What a class says of a window.
#[derive(Clone, Copy)]
struct Heard {
    gradient: f64,
    dropped: bool,
    slowdown: Option<f64>,
}

impl ClassEstimate {
    /// Nothing is known yet.
    pub fn new(config: &GradientConfig) -> Self {
        Self {
            limit: config.first_limit(),
            usual: [Usual::default(); CLASSES],
            slowdown: 1.0,
            slow_alone: [false; CLASSES],
        }
    }

    /// The limit: whole requests.
    pub fn limit(&self) -> u32 {
        floor_u32(self.limit).max(1)
    }

    /// How many times slower than usual the least slowed class was, at least 1; 1 as well before anything is known.
    pub fn slowdown(&self) -> f64 {
        self.slowdown
    }

    /// Whether a class was slow when it was last heard of, while another was not.
    pub fn is_slow_alone(&self, class: Class) -> bool {
        self.slow_alone[class.index()]
    }

    /// What is usual of a class, in nanoseconds; 0 before its first window.
    pub fn usual_ns(&self, class: Class) -> f64 {
        self.usual[class.index()].mean_ns
    }

    /// Learns from a window.
    pub fn learn(&mut self, config: &GradientConfig, seen: &ClassesSeen) {
        let saturated = seen.full || seen.in_flight >= self.limit();
        let mut heard: [Option<Heard>; CLASSES] = [None; CLASSES];
        for ((heard, usual), seen) in heard.iter_mut().zip(&mut self.usual).zip(&seen.classes) {
            let slowdown = seen.mean_ns.map(|mean_ns| usual.learn(config, mean_ns, saturated));
            if slowdown.is_some() || seen.dropped {
                let gradient = config.gradient(slowdown.unwrap_or(1.0), seen.dropped);
                *heard = Some(Heard { gradient, dropped: seen.dropped, slowdown });
            }
        }
        let all = || heard.iter().flatten();
        self.slowdown = all().filter_map(|heard| heard.slowdown).reduce(f64::min).unwrap_or(1.0).max(1.0);
        let Some(best) = all().max_by(|one, other| one.gradient.total_cmp(&other.gradient)).copied() else { return };
        let (is_slow, is_only) = (best.gradient < 1.0, all().count() == 1);
        for (class, heard) in Class::SHED_ORDER.iter().zip(&heard) {
            if let Some(heard) = heard {
                let alone = heard.gradient < 1.0 && (!is_slow || is_only);
                self.slow_alone[class.index()] = alone && *class < Class::Verify;
            }
        }
        if is_slow && is_only && self.slow_alone.contains(&true) {
            return;
        }
        if best.dropped || seen.full || f64::from(seen.in_flight) >= self.limit / 2.0 {
            self.limit = config.moved(self.limit, best.gradient, best.dropped);
        }
    }

    /// Other rules: the limit is brought within their bounds, and what is usual stays known.
    pub fn configure(&mut self, config: &GradientConfig) {
        self.limit = self.limit.min(f64::from(config.max)).max(f64::from(config.min));
    }
}

/// The rule on live requests: gathers windows without a lock, and tells the limit.
#[derive(Debug)]
pub struct ClassGradient {
    limit: AtomicU32,
    /// The bits of a fraction.
    slowdown: AtomicU64,
    usual_ns: [AtomicU64; CLASSES],
    slow_alone: [AtomicBool; CLASSES],
    min_latency_ns: AtomicU64,
    min_samples: AtomicU32,
    ends_at: AtomicU64,
    most_in_flight: AtomicU32,
    full: AtomicBool,
    classes: [Gathering; CLASSES],
    estimate: Mutex<(GradientConfig, ClassEstimate)>,
}

#[derive(Debug, Default)]
struct Gathering {
    sum_ns: AtomicU64,
    samples: AtomicU32,
    dropped: AtomicBool,
}

impl ClassGradient {
    /// A limit of which nothing is known yet.
    pub fn new(config: GradientConfig) -> Self {
        let estimate = ClassEstimate::new(&config);
        Self {
            limit: AtomicU32::new(estimate.limit()),
            slowdown: AtomicU64::new(estimate.slowdown().to_bits()),
            usual_ns: Default::default(),
            slow_alone: Default::default(),
            min_latency_ns: AtomicU64::new(nanos(config.min_latency)),
            min_samples: AtomicU32::new(config.min_samples),
            ends_at: AtomicU64::new(0),
            most_in_flight: AtomicU32::new(0),
            full: AtomicBool::new(false),
            classes: Default::default(),
            estimate: Mutex::new((config, estimate)),
        }
    }

    /// How many requests may be in flight.
    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// How many times slower than usual the least slowed class was in the last window, at least 1.
    pub fn slowdown(&self) -> f64 {
        f64::from_bits(self.slowdown.load(Relaxed))
    }

    /// Whether a class is slow while another is not.
    pub fn is_slow_alone(&self, class: Class) -> bool {
        self.slow_alone[class.index()].load(Relaxed)
    }

    /// How long a request of a class usually takes; zero before that is known.
    pub fn usual(&self, class: Class) -> Duration {
        Duration::from_nanos(self.usual_ns[class.index()].load(Relaxed))
    }

    /// Other rules, from now on.
    pub fn configure(&self, config: GradientConfig) {
        let mut learned = self.lock();
        learned.1.configure(&config);
        learned.0 = config;
        self.min_latency_ns.store(nanos(config.min_latency), Relaxed);
        self.min_samples.store(config.min_samples, Relaxed);
        self.show(&learned.1);
    }

    /// Somebody found no room.
    pub fn was_full(&self) {
        self.full.store(true, Relaxed);
    }

    /// Learns from a request that ended at `now` after `latency`, with `in_flight` (itself included) before it ended.
    /// Tells whether that ended a window.
    pub fn ended(&self, now: Moment, class: Class, latency: Duration, in_flight: u32, ending: Ending) -> bool {
        // Looked at first: writing what does not change would take the line from other threads.
        if in_flight > self.most_in_flight.load(Relaxed) {
            self.most_in_flight.fetch_max(in_flight, Relaxed);
        }
        let seen = &self.classes[class.index()];
        match ending {
            Ending::Ignored => return false,
            Ending::Dropped => seen.dropped.store(true, Relaxed),
            Ending::Worked if nanos(latency) < self.min_latency_ns.load(Relaxed) => return false,
            Ending::Worked => {}
        }
        seen.sum_ns.fetch_add(nanos(latency), Relaxed);
        let samples = seen.samples.fetch_add(1, Relaxed) + 1;
        let closes = samples >= self.min_samples.load(Relaxed) && now.as_nanos() >= self.ends_at.load(Relaxed);
        closes && self.close(now)
    }

    /// Whoever comes first closes the window; the others go on. What they add in this instant may count for the next.
    fn close(&self, now: Moment) -> bool {
        let mut learned = match self.estimate.try_lock() {
            Ok(learned) => learned,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if now.as_nanos() < self.ends_at.load(Relaxed) {
            return false;
        }
        let (config, estimate) = &mut *learned;
        let began = self.ends_at.swap((now + config.window).as_nanos(), Relaxed);
        let seen = ClassesSeen {
            classes: std::array::from_fn(|class| self.classes[class].take(config.min_samples)),
            in_flight: self.most_in_flight.swap(0, Relaxed),
            full: self.full.swap(false, Relaxed),
        };
        if began == 0 {
            // The first window has no length: what it gathered is what came before anybody looked.
            return false;
        }
        estimate.learn(config, &seen);
        self.show(estimate);
        true
    }

    fn show(&self, estimate: &ClassEstimate) {
        self.limit.store(estimate.limit(), Relaxed);
        self.slowdown.store(estimate.slowdown().to_bits(), Relaxed);
        for (class, usual_ns) in Class::SHED_ORDER.iter().zip(&self.usual_ns) {
            usual_ns.store(floor_u64(estimate.usual_ns(*class)), Relaxed);
            self.slow_alone[class.index()].store(estimate.is_slow_alone(*class), Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, (GradientConfig, ClassEstimate)> {
        self.estimate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gathering {
    /// What was gathered, if it is enough; otherwise it is gathered on.
    fn take(&self, min_samples: u32) -> ClassSeen {
        let dropped = self.dropped.swap(false, Relaxed);
        if self.samples.load(Relaxed) < min_samples.max(1) {
            return ClassSeen { mean_ns: None, dropped };
        }
        let (samples, sum_ns) = (self.samples.swap(0, Relaxed), self.sum_ns.swap(0, Relaxed));
        ClassSeen { mean_ns: Some(sum_ns as f64 / f64::from(samples.max(1))), dropped }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: f64 = 1e6;

    fn seen(means: &[(Class, f64)], in_flight: u32) -> ClassesSeen {
        let mut seen = ClassesSeen { in_flight, ..ClassesSeen::default() };
        for (class, mean_ms) in means {
            seen.classes[class.index()].mean_ns = Some(mean_ms * MS);
        }
        seen
    }

    fn config() -> GradientConfig {
        GradientConfig { initial: 100, ..GradientConfig::default() }
    }

    /// After a minute in which verifications took 1 ms and logins 50.
    fn settled() -> ClassEstimate {
        let mut estimate = ClassEstimate::new(&config());
        (0..60).for_each(|_| estimate.learn(&config(), &seen(&[(Class::Verify, 1.0), (Class::Login, 50.0)], 10)));
        estimate
    }

    #[test]
    fn another_mix_of_quick_and_slow_classes_is_not_taken_for_a_slower_server() {
        let mut estimate = settled();
        // Only logins from now on: fifty times the mean latency of before.
        estimate.learn(&config(), &seen(&[(Class::Login, 50.0)], 100));
        assert!(estimate.limit() > 100, "{estimate:?}");
        assert!(estimate.slowdown() < 1.01);
    }

    #[test]
    fn what_slows_one_class_takes_no_room_from_the_others() {
        let mut estimate = settled();
        let before = estimate.limit();
        for _ in 0..20 {
            estimate.learn(&config(), &seen(&[(Class::Verify, 1.0), (Class::Login, 2000.0)], 100));
        }
        assert!(estimate.limit() >= before, "{estimate:?}");
        assert!(estimate.slowdown() < 1.01);
        assert!(estimate.is_slow_alone(Class::Login) && !estimate.is_slow_alone(Class::Verify));
        estimate.learn(&config(), &seen(&[(Class::Verify, 1.0), (Class::Login, 50.0)], 100));
        assert!(!estimate.is_slow_alone(Class::Login), "it is over");
    }

    #[test]
    fn a_class_that_nobody_can_be_compared_with_moves_the_limit_only_if_it_is_shed_last() {
        for (class, usual, slow) in [(Class::Login, 50.0, 500.0), (Class::Verify, 1.0, 10.0)] {
            let mut estimate = settled();
            (0..20).for_each(|_| estimate.learn(&config(), &seen(&[(class, slow)], 100)));
            assert_eq!(estimate.limit() < 50, class == Class::Verify, "{estimate:?}");
            assert_eq!(estimate.is_slow_alone(class), class == Class::Login);
            estimate.learn(&config(), &seen(&[(class, usual)], 10));
            assert!(!estimate.is_slow_alone(class));
        }
    }

    #[test]
    fn what_slows_all_lowers_the_limit() {
        let mut estimate = settled();
        for _ in 0..20 {
            estimate.learn(&config(), &seen(&[(Class::Verify, 5.0), (Class::Login, 200.0)], 100));
        }
        assert!(estimate.limit() < 50, "{estimate:?}");
        assert!(estimate.slowdown() > 3.0);
    }

    #[test]
    fn drops_of_one_class_count_when_no_other_does_well() {
        let dropped = |means: &[(Class, f64)]| {
            let mut seen = seen(means, 100);
            seen.classes[Class::Login.index()].dropped = true;
            let mut estimate = settled();
            estimate.learn(&config(), &seen);
            estimate.limit()
        };
        assert_eq!(dropped(&[(Class::Verify, 5.0)]), 98, "100 · 0.8 + 90 · 0.2: the larger of 0.5 and 0.9");
        assert!(dropped(&[(Class::Verify, 1.0)]) > 100);
    }

    #[test]
    fn a_class_at_the_end_of_its_share_is_a_window_that_reached_the_limit() {
        let full = ClassesSeen { full: true, ..seen(&[(Class::Ingest, 1.0)], 30) };
        let mut estimate = ClassEstimate::new(&config());
        estimate.learn(&config(), &full);
        assert!(estimate.limit() > 100, "less than half is in flight, and it grows: {estimate:?}");
        (1..10).for_each(|_| estimate.learn(&config(), &full));
        let slow = ClassesSeen { full: true, ..seen(&[(Class::Ingest, 10.0)], 30) };
        estimate.learn(&config(), &slow);
        let learned = estimate.usual_ns(Class::Ingest) / MS - 1.0;
        assert!(learned < 9.0 * 2.0 / 601.0 * 0.11, "a tenth of the weight: {learned}");
    }

    #[test]
    fn live_requests_teach_it_by_class_and_microseconds_are_left_out() {
        let gradient = ClassGradient::new(config());
        let mut now = Moment::from(Duration::from_secs(1));
        let mut windows = 0;
        for _ in 0..600 {
            now = now + Duration::from_millis(10);
            for (class, micros) in [(Class::Verify, 30), (Class::Login, 50_000)] {
                windows += u32::from(gradient.ended(now, class, Duration::from_micros(micros), 100, Ending::Worked));
            }
        }
        assert!((4..=6).contains(&windows), "{windows}");
        assert!(gradient.limit() > 105, "{}", gradient.limit());
        assert_eq!(gradient.usual(Class::Verify), Duration::ZERO);
        assert_eq!(gradient.usual(Class::Login), Duration::from_millis(50));
        gradient.configure(GradientConfig { min: 1, initial: 10, max: 10, ..config() });
        assert_eq!(gradient.limit(), 10, "other bounds hold at once");
    }

    proptest! {
        #[test]
        fn whatever_happens_the_limit_is_within_its_bounds(
            windows in prop::collection::vec(
                (prop::array::uniform6((prop::option::of(0.0_f64..1e12), any::<bool>())), 0_u32..10_000, any::<bool>()),
                1..200,
            ),
        ) {
            let config = GradientConfig { min: 7, initial: 7, max: 90, ..GradientConfig::default() };
            let mut estimate = ClassEstimate::new(&config);
            for (classes, in_flight, full) in windows {
                let classes = classes.map(|(mean_ns, dropped)| ClassSeen { mean_ns, dropped });
                estimate.learn(&config, &ClassesSeen { classes, in_flight, full });
                prop_assert!((7..=90).contains(&estimate.limit()) && estimate.slowdown() >= 1.0);
            }
        }
    }
}

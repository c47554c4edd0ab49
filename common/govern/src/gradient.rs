//! [`Gradient`]: how many requests at once a server can take, learned from its latency.
//!
//! Protects: the server from more work than it can do in time. Waiting work makes everything slower; this notices the
//! slowing before queues are full.
//!
//! Source: Netflix concurrency-limits 0.5, `Gradient2Limit.java` and `WindowedLimit.java`. Per window of at least `window` and `min_samples`:
//! ```text
//! short    = mean latency of the window
//! long     = exponential mean of the windows' (factor 2 / (long_window + 1), plain mean of the first ten)
//! long    := 0.95 long                         if long > 2 short: load has ended
//! gradient = max(0.5, min(1, tolerance · long / short))
//! limit   := (1 − smoothing) · limit + smoothing · (gradient · limit + queue(limit)),   within min and max
//! ```
//! A window in which less than half of the limit was in flight changes nothing: it says nothing about the limit.
//!
//! The published bounds are 20 (first and least) and 200. Here the first limit is 400 and the largest 1000 (Envoy's):
//! what is counted waits for databases and hash pools with bounded queues of their own (130 sign-ins at the hash pool),
//! and these decide by more than a number (players on known devices first). A limit below them would refuse before they
//! are asked, and one that they fill would refuse those who need none of it.
//!
//! Three departures, each with a switch:
//! - `queue` is √limit by default (as in Envoy's adaptive concurrency), not 4;
//! - a window in which something was dropped for overload (a deadline ran out) counts with a gradient of at most
//!   `drop_backoff` (0.9, Netflix `AIMDLimit`); Gradient2 itself does not look at drops;
//! - a window that reached the limit teaches `long` only with `saturated_weight` (0.1) of its weight. Otherwise a
//!   flood of minutes becomes what is normal, and the limit creeps to its maximum. 1 is the published rule.

use std::{
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    moment::{Moment, nanos},
    number::floor_u32,
    problems::{Check, Problems},
};

/// Windows of which the plain mean is taken before the exponential one begins.
const WARM_UP: u32 = 10;

/// How the limit is learned.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GradientConfig {
    /// The limit before anything is known.
    pub initial: u32,
    /// The limit never falls below this, so that something always gets through and can be measured.
    pub min: u32,
    /// The limit never rises above this: what memory and connections can carry.
    pub max: u32,
    /// How far one window moves the limit towards what it says: 0 is not at all, 1 all the way.
    pub smoothing: f64,
    /// How many times slower than usual counts as usual.
    pub tolerance: f64,
    /// Over about how many windows `long` is taken.
    pub long_window: u32,
    /// How many requests may wait inside the limit: what it grows by while latency is good.
    pub queue: QueueAllowance,
    /// The shortest window.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// The fewest answers of a window; it lasts until there are as many.
    pub min_samples: u32,
    /// Answers faster than this are left out: they never reached what is being measured.
    #[serde(with = "humantime_serde")]
    pub min_latency: Duration,
    /// The gradient of a window in which something was dropped. 1: drops change nothing.
    pub drop_backoff: f64,
    /// How much a window that reached the limit teaches about what is usual.
    pub saturated_weight: f64,
}

/// How much a limit may grow per window while latency is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueAllowance {
    /// The square root of the limit: slow at the small, quick at the large.
    Sqrt,
    /// A number.
    Fixed(u32),
}

impl Default for GradientConfig {
    fn default() -> Self {
        Self {
            initial: 400,
            min: 20,
            max: 1000,
            smoothing: 0.2,
            tolerance: 1.5,
            long_window: 600,
            queue: QueueAllowance::Sqrt,
            window: Duration::from_secs(1),
            min_samples: 10,
            min_latency: Duration::from_micros(100),
            drop_backoff: 0.9,
            saturated_weight: 0.1,
        }
    }
}

impl Check for GradientConfig {
    fn check(&self, problems: &mut Problems) {
        problems.number("min", self.min, 1..=100_000);
        problems.number("max", self.max, 1..=100_000);
        problems.number("initial", self.initial, 1..=100_000);
        if self.min > self.max {
            problems.add("min", format!("{} is above `max` ({})", self.min, self.max));
        } else if !(self.min..=self.max).contains(&self.initial) {
            problems.add("initial", "is not within `min` and `max`");
        }
        problems.number("smoothing", self.smoothing, 0.01..=1.0);
        problems.number("tolerance", self.tolerance, 1.0..=10.0);
        problems.number("long_window", self.long_window, WARM_UP..=100_000);
        if let QueueAllowance::Fixed(queue) = self.queue {
            problems.within("queue", |problems| problems.number("fixed", queue, 1..=10_000));
        }
        problems.duration("window", self.window, Duration::from_millis(10)..=Duration::from_secs(60));
        problems.number("min_samples", self.min_samples, 1..=1_000_000);
        problems.duration("min_latency", self.min_latency, Duration::ZERO..=Duration::from_secs(1));
        problems.number("drop_backoff", self.drop_backoff, 0.5..=1.0);
        problems.number("saturated_weight", self.saturated_weight, 0.0..=1.0);
    }
}

/// How a request ended, for what is to be learned from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was worked on; its latency counts, whatever the answer was.
    Worked,
    /// It was dropped because it took too long, or found something full.
    Dropped,
    /// It says nothing about the load: refused before any work, cancelled by its caller.
    Ignored,
}

/// The rule itself, on one window at a time. Pure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    limit: f64,
    usual: Usual,
}

/// What was seen in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// The mean latency in nanoseconds.
    pub mean_ns: f64,
    /// The most that was in flight at once.
    pub in_flight: u32,
    /// Whether something was dropped for overload.
    pub dropped: bool,
}

/// What latency is usual: the long mean.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usual {
    pub(crate) mean_ns: f64,
    windows: u32,
}

impl Estimate {
    /// Nothing is known yet.
    pub fn new(config: &GradientConfig) -> Self {
        Self { limit: config.first_limit(), usual: Usual::default() }
    }

    /// The limit: whole requests.
    pub fn limit(&self) -> u32 {
        floor_u32(self.limit).max(1)
    }

    /// What is usual, in nanoseconds; 0 before the first window.
    pub fn usual_ns(&self) -> f64 {
        self.usual.mean_ns
    }

    /// Learns from a window.
    pub fn learn(&mut self, config: &GradientConfig, seen: &Seen) {
        let slowdown = self.usual.learn(config, seen.mean_ns, seen.in_flight >= self.limit());
        if !seen.dropped && f64::from(seen.in_flight) < self.limit / 2.0 {
            return;
        }
        self.limit = config.moved(self.limit, config.gradient(slowdown, seen.dropped), seen.dropped);
    }
}

impl GradientConfig {
    /// The limit before anything is known.
    pub(crate) fn first_limit(&self) -> f64 {
        f64::from(self.initial.clamp(self.min, self.max.max(self.min)))
    }

    /// What a window says of the limit, if its requests were so many times slower than usual: 1 is right, less is too
    /// much.
    pub(crate) fn gradient(&self, slowdown: f64, dropped: bool) -> f64 {
        let most = if dropped { self.drop_backoff } else { 1.0 };
        (self.tolerance / slowdown).min(most).max(0.5)
    }

    /// The limit after a window.
    pub(crate) fn moved(&self, limit: f64, gradient: f64, dropped: bool) -> f64 {
        // What was dropped found no room: then the limit does not grow.
        let queue = if dropped && self.drop_backoff < 1.0 { 0.0 } else { self.queue.of(limit) };
        let target = gradient * limit + queue;
        let moved = limit * (1.0 - self.smoothing) + target * self.smoothing;
        moved.min(f64::from(self.max)).max(f64::from(self.min))
    }
}

impl Usual {
    /// Learns the mean of a window; tells how many times slower than usual it was.
    pub(crate) fn learn(&mut self, config: &GradientConfig, mean_ns: f64, saturated: bool) -> f64 {
        let short = mean_ns.max(1.0);
        self.mean_ns = self.longer(config, short, saturated);
        if self.mean_ns / short > 2.0 {
            self.mean_ns *= 0.95;
        }
        short / self.mean_ns
    }

    fn longer(&mut self, config: &GradientConfig, short: f64, saturated: bool) -> f64 {
        self.windows = self.windows.saturating_add(1);
        if self.windows <= WARM_UP {
            return self.mean_ns + (short - self.mean_ns) / f64::from(self.windows);
        }
        let weight = if saturated && short > self.mean_ns { config.saturated_weight } else { 1.0 };
        let factor = 2.0 / (f64::from(config.long_window) + 1.0) * weight;
        self.mean_ns * (1.0 - factor) + short * factor
    }
}

impl QueueAllowance {
    fn of(self, limit: f64) -> f64 {
        match self {
            Self::Sqrt => limit.sqrt(),
            Self::Fixed(queue) => f64::from(queue),
        }
    }
}

/// The rule on live requests: gathers windows without a lock, and tells the limit.
#[derive(Debug)]
pub struct Gradient {
    config: GradientConfig,
    limit: AtomicU32,
    window: Gathering,
    estimate: Mutex<Estimate>,
}

#[derive(Debug, Default)]
struct Gathering {
    ends_at: AtomicU64,
    sum_ns: AtomicU64,
    samples: AtomicU32,
    most_in_flight: AtomicU32,
    dropped: AtomicBool,
}

impl Gradient {
    /// A limit of which nothing is known yet.
    pub fn new(config: GradientConfig) -> Self {
        let estimate = Estimate::new(&config);
        Self {
            config,
            limit: AtomicU32::new(estimate.limit()),
            window: Gathering::default(),
            estimate: Mutex::new(estimate),
        }
    }

    /// How many requests may be in flight.
    pub fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    /// Learns from a request that ended at `now` after `latency`, with `in_flight` (itself included) before it ended.
    pub fn ended(&self, now: Moment, latency: Duration, in_flight: u32, ending: Ending) {
        let window = &self.window;
        window.most_in_flight.fetch_max(in_flight, Relaxed);
        match ending {
            Ending::Ignored => return,
            Ending::Dropped => window.dropped.store(true, Relaxed),
            Ending::Worked if latency < self.config.min_latency => return,
            Ending::Worked => {}
        }
        window.sum_ns.fetch_add(nanos(latency), Relaxed);
        let samples = window.samples.fetch_add(1, Relaxed) + 1;
        if samples >= self.config.min_samples && now.as_nanos() >= window.ends_at.load(Relaxed) {
            self.close(now);
        }
    }

    /// What is usual: the long mean of latencies, for showing.
    pub fn usual(&self) -> Duration {
        let estimate = self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_secs_f64(estimate.usual_ns() / 1e9)
    }

    /// Whoever comes first closes the window; the others go on. What they add in this instant may count for the next.
    fn close(&self, now: Moment) {
        let mut estimate = match self.estimate.try_lock() {
            Ok(estimate) => estimate,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let window = &self.window;
        if now.as_nanos() < window.ends_at.load(Relaxed) {
            return;
        }
        let began = window.ends_at.swap((now + self.config.window).as_nanos(), Relaxed);
        let (samples, sum_ns) = (window.samples.swap(0, Relaxed), window.sum_ns.swap(0, Relaxed));
        let (in_flight, dropped) = (window.most_in_flight.swap(0, Relaxed), window.dropped.swap(false, Relaxed));
        if samples == 0 || began == 0 {
            // The first window has no length: what it gathered is what came before anybody looked.
            return;
        }
        estimate.learn(&self.config, &Seen { mean_ns: sum_ns as f64 / f64::from(samples), in_flight, dropped });
        self.limit.store(estimate.limit(), Relaxed);
    }
}

/// A learned limit with its own count of what is in flight, for where there are no priorities. With priorities, the
/// count is that of [`crate::priority::Gate`].
#[derive(Debug)]
pub struct Limiter {
    gradient: Gradient,
    in_flight: AtomicU32,
}

/// Room for one request. Given back when dropped; only [`Self::ended`] teaches.
#[derive(Debug)]
#[must_use = "dropping it gives the room back"]
pub struct Room {
    limiter: Arc<Limiter>,
    began: Moment,
}

impl Limiter {
    /// A limiter with nothing in flight.
    pub fn new(config: GradientConfig) -> Arc<Self> {
        Arc::new(Self { gradient: Gradient::new(config), in_flight: AtomicU32::new(0) })
    }

    /// Room for a request that begins at `now`, if there is some. Never waits.
    pub fn try_acquire(self: &Arc<Self>, now: Moment) -> Option<Room> {
        let limit = self.gradient.limit();
        let room = |in_flight| (in_flight < limit).then(|| in_flight + 1);
        self.in_flight.fetch_update(Relaxed, Relaxed, room).ok()?;
        Some(Room { limiter: Arc::clone(self), began: now })
    }

    /// How many requests are in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// How many may be.
    pub fn limit(&self) -> u32 {
        self.gradient.limit()
    }
}

impl Room {
    /// The request ended, and the limit learns from it.
    pub fn ended(self, now: Moment, ending: Ending) {
        self.limiter.gradient.ended(now, now.since(self.began), self.limiter.in_flight(), ending);
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.limiter.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MS: f64 = 1e6;

    fn published() -> GradientConfig {
        GradientConfig {
            initial: 20,
            max: 200,
            queue: QueueAllowance::Fixed(4),
            saturated_weight: 1.0,
            drop_backoff: 1.0,
            ..GradientConfig::default()
        }
    }

    fn seen(mean_ns: f64, in_flight: u32) -> Seen {
        Seen { mean_ns, in_flight, dropped: false }
    }

    #[test]
    fn a_window_moves_the_limit_by_the_published_formula() {
        let config = published();
        let mut estimate = Estimate::new(&config);
        estimate.learn(&config, &seen(10.0 * MS, 20));
        // gradient 1: 20 · 0.8 + (20 + 4) · 0.2
        assert!((estimate.limit - 20.8).abs() < 1e-9, "{}", estimate.limit);
        for _ in 1..10 {
            estimate.learn(&config, &seen(10.0 * MS, 30));
        }
        let (before, long) = (estimate.limit, estimate.usual.mean_ns);
        estimate.learn(&config, &seen(24.0 * MS, 30));
        let expected_long = long + (24.0 * MS - long) * 2.0 / 601.0;
        let gradient = 1.5 * expected_long / (24.0 * MS);
        assert!((estimate.usual.mean_ns - expected_long).abs() < 1.0);
        assert!(gradient > 0.5 && gradient < 1.0);
        assert!((estimate.limit - (before * 0.8 + (gradient * before + 4.0) * 0.2)).abs() < 1e-6);
    }

    #[test]
    fn an_outlier_halves_the_target_and_no_more() {
        let config = GradientConfig { initial: 100, ..published() };
        let mut estimate = Estimate::new(&config);
        (0..10).for_each(|_| estimate.learn(&config, &seen(MS, 0)));
        estimate.learn(&config, &seen(1000.0 * MS, 100));
        assert!((estimate.limit - (80.0 + (50.0 + 4.0) * 0.2)).abs() < 1e-6, "{}", estimate.limit);
    }

    #[test]
    fn idle_windows_do_not_raise_the_limit() {
        let config = published();
        let mut estimate = Estimate::new(&config);
        (0..1000).for_each(|_| estimate.learn(&config, &seen(MS, 9)));
        assert_eq!(estimate.limit(), 20);
    }

    #[test]
    fn after_a_long_flood_what_is_usual_comes_down_quickly() {
        let config = published();
        let mut estimate = Estimate::new(&config);
        (0..10).for_each(|_| estimate.learn(&config, &seen(100.0 * MS, 20)));
        (0..40).for_each(|_| estimate.learn(&config, &seen(10.0 * MS, 20)));
        assert!(estimate.usual.mean_ns < 21.0 * MS, "{}", estimate.usual.mean_ns);
    }

    #[test]
    fn a_window_with_drops_lowers_the_limit_although_latency_is_good() {
        let config = GradientConfig { initial: 100, ..GradientConfig::default() };
        let mut estimate = Estimate::new(&config);
        estimate.learn(&config, &Seen { mean_ns: MS, in_flight: 10, dropped: true });
        assert!((estimate.limit - (80.0 + 90.0 * 0.2)).abs() < 1e-6, "{}", estimate.limit);
    }

    /// A server of `cores` whose requests take 10 ms each, always asked for as much as the limit lets through.
    fn after_a_flood(config: &GradientConfig, cores: f64, windows: u32) -> Estimate {
        let mut estimate = Estimate::new(config);
        for _ in 0..windows {
            let in_flight = estimate.limit();
            let slowdown = (f64::from(in_flight) / cores).max(1.0);
            estimate.learn(config, &seen(10.0 * MS * slowdown, in_flight));
        }
        estimate
    }

    #[test]
    fn an_hour_of_flood_does_not_become_what_is_usual() {
        let config = GradientConfig { initial: 4, min: 4, max: 1000, ..GradientConfig::default() };
        let after_a_minute = after_a_flood(&config, 16.0, 60);
        let after_an_hour = after_a_flood(&config, 16.0, 3600);
        assert!((16..=50).contains(&after_a_minute.limit()), "{after_a_minute:?}");
        assert!(after_an_hour.limit() <= 4 * 16 + 32, "{after_an_hour:?}");
        let creeping = after_a_flood(&GradientConfig { saturated_weight: 1.0, ..config }, 16.0, 3600);
        assert!(creeping.limit() > 4 * after_an_hour.limit(), "what this departs from: {creeping:?}");
    }

    #[test]
    fn the_limit_is_kept_and_room_comes_back_however_a_request_ends() {
        let limiter = Limiter::new(GradientConfig { initial: 2, min: 1, ..GradientConfig::default() });
        let rooms: Vec<_> = (0..3).map(|_| limiter.try_acquire(Moment::START)).collect();
        assert_eq!(rooms.iter().flatten().count(), 2);
        drop(rooms);
        assert_eq!(limiter.in_flight(), 0);
        let room = limiter.try_acquire(Moment::START).expect("room again");
        room.ended(Moment::START + SECOND, Ending::Ignored);
        assert_eq!(limiter.in_flight(), 0);
    }

    #[test]
    fn a_busy_and_quick_server_gets_more_and_a_slowing_one_less() {
        let config = GradientConfig { initial: 20, min: 5, ..GradientConfig::default() };
        let gradient = Gradient::new(config);
        let mut now = Moment::START;
        let mut run = |latency: Duration, seconds: u32| {
            for _ in 0..seconds * 100 {
                now = now + SECOND / 100;
                gradient.ended(now, latency, gradient.limit(), Ending::Worked);
            }
            gradient.limit()
        };
        let grown = run(10 * SECOND / 1000, 30);
        assert!(grown > 35, "{grown}");
        let shrunk = run(SECOND / 10, 30);
        assert!(shrunk < grown / 2, "{shrunk} after {grown}");
    }

    proptest! {
        #[test]
        fn whatever_happens_the_limit_is_within_its_bounds(
            windows in prop::collection::vec((0.0_f64..1e12, 0_u32..10_000, any::<bool>()), 1..200),
        ) {
            let config = GradientConfig { min: 7, initial: 7, max: 90, ..GradientConfig::default() };
            let mut estimate = Estimate::new(&config);
            for (mean_ns, in_flight, dropped) in windows {
                estimate.learn(&config, &Seen { mean_ns, in_flight, dropped });
                prop_assert!((7..=90).contains(&estimate.limit()));
            }
        }
    }
}

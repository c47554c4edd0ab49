//! The seams for time and randomness: the only place that reads the wall clock or the system's random source.
//!
//! Everything else takes a [`SharedClock`] or [`SharedRandom`], so that tests move time instead of waiting for it.
//! Durations inside one process (timeouts, latencies) are measured with tokio's monotonic clock, not with this one.

use std::{fmt, ops::Add, sync::Arc, time::Duration};

/// A moment in Unix milliseconds: the unit of every `*_at` field on the wire and of every time column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A moment from Unix milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Unix milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The time that has passed since `earlier`; zero when `earlier` is not earlier.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The moment `duration` before this one.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(millis(duration)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Tells the wall-clock time.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// The current moment.
    fn now(&self) -> Timestamp;
}

/// A clock as it is handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(millis(since_epoch))
    }
}

/// Source of secrets and of jitter.
pub trait Random: Send + Sync + fmt::Debug + 'static {
    /// Fills `bytes` with unpredictable bits, fit for keys and tokens.
    fn fill(&self, bytes: &mut [u8]);

    /// A number in `0.0..1.0`, fit for jitter only.
    fn fraction(&self) -> f64;
}

/// A random source as it is handed around.
pub type SharedRandom = Arc<dyn Random>;

/// Unpredictable bytes of a fixed length.
pub fn random_bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// `base` spread over `base ± share` (a share of 0.2 is ±20 %), so that many clients do not come back at one moment.
pub fn jittered(base: Duration, share: f64, random: &dyn Random) -> Duration {
    base.mul_f64((1.0 - share + 2.0 * share * random.fraction()).max(0.0))
}

/// A time-ordered identifier (UUIDv7, RFC 9562) for sessions and orders. Thousands a second are cheaper from a
/// [`UuidSequence`](crate::sequence::UuidSequence), where nobody must be kept from guessing them.
pub fn new_uuid(clock: &dyn Clock, random: &dyn Random) -> uuid::Uuid {
    let millis = u64::try_from(clock.now().as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random_bytes(random)).into_uuid()
}

/// The operating system's random source through aws-lc-rs; jitter from a fast generator that is not for secrets.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::expect_used,
        clippy::disallowed_methods,
        reason = "this is the seam; without randomness no secret can be made: stopping is the only safe answer"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("the random source of the operating system answers");
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn fraction(&self) -> f64 {
        fastrand::f64()
    }
}

/// Time and randomness for tests: moved by hand, and the same in every run.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use std::{
        sync::{
            Mutex,
            atomic::{AtomicI64, Ordering},
        },
        time::Duration,
    };

    use super::{Clock, Random, Timestamp};

    /// A clock that stands still until it is moved.
    #[derive(Debug)]
    pub struct ManualClock(AtomicI64);

    impl ManualClock {
        /// A clock that stands at `start`.
        pub fn at(start: Timestamp) -> Self {
            Self(AtomicI64::new(start.as_millis()))
        }

        /// Moves the clock forward.
        pub fn advance(&self, by: Duration) {
            self.0.fetch_add(super::millis(by), Ordering::SeqCst);
        }
    }

    impl Default for ManualClock {
        fn default() -> Self {
            Self::at(Timestamp::from_millis(1_750_000_000_000))
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    /// Randomness from a seed.
    #[derive(Debug)]
    pub struct SeededRandom(Mutex<fastrand::Rng>);

    impl SeededRandom {
        /// The same seed gives the same bytes.
        pub fn new(seed: u64) -> Self {
            Self(Mutex::new(fastrand::Rng::with_seed(seed)))
        }
    }

    impl Random for SeededRandom {
        fn fill(&self, bytes: &mut [u8]) {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(bytes);
        }

        fn fraction(&self) -> f64 {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).f64()
        }
    }
}

//! What time it was when a span began.
//!
//! Spans are measured with the monotonic clock, which costs no extra reading and never jumps, and get their wall-clock
//! time only when they are sent. Within one process they keep their distances exactly, which is what a trace is read for.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::clock::{SharedClock, Timestamp};

/// The clocks may drift apart by this much before the wall clock is believed again. More than its resolution of a
/// millisecond, less than a reader of traces across machines would notice.
const TOLERANCE: Duration = Duration::from_millis(20);

/// A moment on both clocks.
#[derive(Debug)]
pub(super) struct WallTime {
    clock: SharedClock,
    anchor: (Instant, Timestamp),
}

impl WallTime {
    pub(super) fn new(clock: SharedClock) -> Self {
        let anchor = (Instant::now(), clock.now());
        Self { clock, anchor }
    }

    /// Looks at both clocks and follows the wall clock if it was set.
    pub(super) fn look(&mut self) {
        let (now, wall) = (Instant::now(), self.clock.now());
        let expected = self.of(now);
        let wall_time = UNIX_EPOCH + since_epoch(wall);
        let apart = wall_time.duration_since(expected).unwrap_or_else(|ahead| ahead.duration());
        if apart > TOLERANCE {
            self.anchor = (now, wall);
        }
    }

    /// The wall-clock time of a moment.
    pub(super) fn of(&self, moment: Instant) -> SystemTime {
        let (instant, wall) = self.anchor;
        let anchor = UNIX_EPOCH + since_epoch(wall);
        match moment.checked_duration_since(instant) {
            Some(after) => anchor + after,
            None => anchor.checked_sub(instant.duration_since(moment)).unwrap_or(UNIX_EPOCH),
        }
    }
}

fn since_epoch(wall: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(wall.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::testing::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn distances_are_exact_before_and_after_the_anchor() {
        let before = Instant::now();
        tokio::time::advance(SECOND).await;
        let time = WallTime::new(Arc::new(ManualClock::at(Timestamp::from_millis(5_000))));
        assert_eq!(time.of(before), UNIX_EPOCH + 4 * SECOND);
        assert_eq!(time.of(before + SECOND + Duration::from_nanos(7)), UNIX_EPOCH + Duration::new(5, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_that_was_set_is_followed_and_one_that_only_rounds_is_not() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(5_000)));
        let mut time = WallTime::new(clock.clone());
        let start = Instant::now();
        tokio::time::advance(Duration::from_micros(1_000_900)).await;
        clock.advance(SECOND);
        time.look();
        assert_eq!(time.of(start), UNIX_EPOCH + 5 * SECOND, "it rounds down to milliseconds");
        clock.advance(3600 * SECOND);
        time.look();
        assert_eq!(time.of(Instant::now()), UNIX_EPOCH + 3606 * SECOND);
    }
}

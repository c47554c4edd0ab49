//! Log lines that strangers can cause: one in a while, the others are only counted.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use common::clock::Timestamp;

/// Of one kind of trouble a line is written this often at most.
const PAUSE: Duration = Duration::from_secs(10);

/// Remembers when it was last raised.
#[derive(Debug, Default)]
pub(crate) struct Alarm(AtomicI64);

impl Alarm {
    /// Runs `say`, unless something was said a moment ago.
    pub(crate) fn raise(&self, now: Timestamp, say: impl FnOnce()) {
        let last = self.0.load(Ordering::Relaxed);
        let is_due = last == 0 || now.since(Timestamp::from_millis(last)) >= PAUSE;
        if is_due && self.0.compare_exchange(last, now.as_millis(), Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            say();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_flood_is_said_once_and_again_after_a_while() {
        let (alarm, said, start) = (Alarm::default(), Cell::new(0), Timestamp::from_millis(1_750_000_000_000));
        for millis in [0, 1, 9_999, 10_000, 10_001] {
            alarm.raise(start + Duration::from_millis(millis), || said.set(said.get() + 1));
        }
        assert_eq!(said.get(), 2);
    }
}

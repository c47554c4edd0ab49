//! When a channel is not asked for a while: after several failures in a row, until one question has been answered.
//!
//! It protects the players of the other channels, whose sign-ins wait for the same threads and connections, and the
//! channel, which recovers sooner when nobody hammers it.

use std::time::Duration;

use common::clock::Timestamp;

/// The failures of one channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    failures_in_a_row: u32,
    /// Set while it is open; one question may be asked then and moves it on.
    open_until: Option<Timestamp>,
}

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerLimits {
    pub(crate) failures: u32,
    pub(crate) pause: Duration,
}

impl Breaker {
    /// Whether a question may be asked.
    ///
    /// # Errors
    /// The time until the next one may.
    pub(crate) fn admit(&mut self, limits: BreakerLimits, now: Timestamp) -> Result<(), Duration> {
        match self.open_until {
            Some(until) if now < until => Err(until.since(now)),
            Some(_) => {
                // One tries; the others wait for what it finds.
                self.open_until = Some(now + limits.pause);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// An answer that could be read.
    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// No answer, or none that could be read. Answers whether this is the failure that opened it.
    pub(crate) fn failed(&mut self, limits: BreakerLimits, now: Timestamp) -> bool {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        if self.failures_in_a_row < limits.failures {
            return false;
        }
        let opened = self.open_until.is_none();
        self.open_until = Some(now + limits.pause);
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BreakerLimits = BreakerLimits { failures: 3, pause: Duration::from_secs(5) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_question_tries_again() {
        let mut breaker = Breaker::default();
        for (failure, opens) in [(1, false), (2, false), (3, true), (4, false)] {
            assert_eq!(breaker.failed(LIMITS, at(0)), opens, "failure {failure}");
        }
        assert_eq!(breaker.admit(LIMITS, at(4)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.admit(LIMITS, at(5)), Ok(()));
        assert_eq!(breaker.admit(LIMITS, at(5)), Err(LIMITS.pause), "the others wait for the one");
        breaker.failed(LIMITS, at(6));
        assert_eq!(breaker.admit(LIMITS, at(10)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.admit(LIMITS, at(11)), Ok(()));
        breaker.succeeded();
        assert_eq!(breaker.admit(LIMITS, at(11)), Ok(()));
        assert_eq!(breaker.admit(LIMITS, at(11)), Ok(()));
    }

    #[test]
    fn failures_with_answers_between_them_do_not_open_it() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            breaker.failed(LIMITS, at(0));
            breaker.failed(LIMITS, at(0));
            breaker.succeeded();
        }
        assert_eq!(breaker.admit(LIMITS, at(0)), Ok(()));
    }
}

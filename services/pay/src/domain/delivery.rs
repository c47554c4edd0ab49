//! Telling the game server: when it is tried again, when it counts as told, and when to leave it alone for a moment.

use std::time::Duration;

use common::clock::Timestamp;
use serde::Deserialize;

/// When a delivery is tried again after each failure. After the last one it is a dead letter.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schedule {
    pauses: Vec<Duration>,
    jitter: f64,
}

/// What an app's game server has done lately, as one worker saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breaker {
    failures: u32,
    open_until: Option<Timestamp>,
}

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerRules {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// How long nothing is sent. Then one delivery tries whether it is over.
    pub(crate) open_for: Duration,
}

impl Schedule {
    pub(crate) fn new(pauses: Vec<Duration>, jitter: f64) -> Self {
        Self { pauses, jitter }
    }

    /// The pause after the failure number `failed` (from 1), spread by jitter; `fraction` is one in `0.0..1.0`. `None`:
    /// that was the last one.
    pub(crate) fn pause(&self, failed: u32, fraction: f64) -> Option<Duration> {
        let place = usize::try_from(failed.checked_sub(1)?).ok()?;
        let pause = self.pauses.get(place)?;
        // Only longer: a game server that was told "15 seconds" is not called sooner.
        Some(pause.mul_f64(1.0 + self.jitter * fraction))
    }
}

impl Breaker {
    /// How many deliveries may be under way to the app now, of at most `cap`.
    pub(crate) fn room(self, cap: usize, now: Timestamp) -> usize {
        match self.open_until {
            Some(until) if now < until => 0,
            // Half open: one finds out.
            Some(_) => cap.min(1),
            None => cap,
        }
    }

    pub(crate) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn failed(&mut self, now: Timestamp, rules: BreakerRules) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= rules.failures {
            self.open_until = Some(now + rules.open_for);
        }
    }

    /// Whether it has forgotten everything.
    pub(crate) fn is_calm(self) -> bool {
        self == Self::default()
    }
}

/// Whether a game server's answer says that it has taken the delivery: 200 with the body `SUCCESS`, or with a JSON object
/// whose `code` is 0.
pub(crate) fn is_acknowledgement(status: u16, body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        code: i64,
    }
    let body = body.trim_ascii();
    status == 200 && (body == b"SUCCESS" || serde_json::from_slice::<Answer>(body).is_ok_and(|answer| answer.code == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BreakerRules = BreakerRules { failures: 3, open_for: Duration::from_secs(10) };

    #[test]
    fn a_delivery_is_tried_by_the_schedule_and_then_no_more() {
        let seconds = |seconds| Duration::from_secs(seconds);
        let schedule = Schedule::new(vec![seconds(15), seconds(30)], 0.1);
        assert_eq!(schedule.pause(1, 0.0), Some(seconds(15)));
        assert_eq!(schedule.pause(1, 0.5), Some(Duration::from_millis(15_750)));
        assert_eq!(schedule.pause(2, 0.0), Some(seconds(30)));
        assert_eq!(schedule.pause(3, 0.0), None);
        assert_eq!(schedule.pause(0, 0.0), None);
    }

    #[test]
    fn only_the_two_forms_of_yes_are_a_yes() {
        for yes in ["SUCCESS", "SUCCESS\n", " SUCCESS ", r#"{"code":0}"#, r#"{"code":0,"message":"ok"}"#] {
            assert!(is_acknowledgement(200, yes.as_bytes()), "{yes}");
            assert!(!is_acknowledgement(201, yes.as_bytes()), "{yes}");
            assert!(!is_acknowledgement(500, yes.as_bytes()), "{yes}");
        }
        for no in ["", "success", "OK", "FAIL", "SUCCESSFUL", r#"{"code":1}"#, r#"{"code":"0"}"#, "{}", "0", "null"] {
            assert!(!is_acknowledgement(200, no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn a_game_server_that_keeps_failing_is_left_alone_and_then_tried_with_one() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let mut breaker = Breaker::default();
        for second in 0..3 {
            assert_eq!(breaker.room(8, at(second)), 8);
            breaker.failed(at(second), RULES);
        }
        assert_eq!(breaker.room(8, at(3)), 0);
        assert_eq!(breaker.room(8, at(12)), 1);
        breaker.failed(at(12), RULES);
        assert_eq!(breaker.room(8, at(13)), 0);
        assert_eq!(breaker.room(8, at(22)), 1);
        breaker.succeeded();
        assert_eq!((breaker.room(8, at(22)), breaker.is_calm()), (8, true));
    }
}

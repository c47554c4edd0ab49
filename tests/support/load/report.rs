//! What was seen of an outage: the windows in which questions failed.

use std::{fmt, time::Duration};

use super::{Kind, Outcome, record::Record, starvation::Starved};

/// Failures with less than this between them belong together, however many good answers came in between: somebody who
/// heeds a hint and meets the next failure has not been helped.
const CALM: Duration = Duration::from_secs(1);

/// Threads that have to wake one after the other for one answer, in all processes on its way: each of them may have been
/// as late as the one that watches the machine.
const WAKINGS: u32 = 12;

/// Everything that became of a load.
pub(crate) struct Report {
    /// In the order of their answers.
    records: Vec<Record>,
    /// When the machine gave no time to anybody.
    starved: Vec<Starved>,
}

/// A window in which requests of one kind failed.
#[derive(Clone, Debug)]
struct Window {
    /// When the first failed, since the load began.
    began: Duration,
    last_failure: Duration,
    /// The first good answer after the last failure; absent, there was none.
    ended: Option<Duration>,
    failures: usize,
    /// The longest time after which anybody was told to ask again.
    hint: Duration,
    /// How long the machine gave no time to anybody meanwhile.
    starved: Duration,
}

impl Report {
    pub(super) fn new(mut records: Vec<Record>, starved: Vec<Starved>) -> Self {
        records.sort_by_key(|record| record.answered);
        Self { records, starved }
    }

    /// No token, password or refresh token that is good was called bad.
    pub(crate) fn nothing_good_was_called_bad(&self) -> &Self {
        let wrong = self.records.iter().find(|record| matches!(record.outcome, Outcome::Wrong(_)));
        assert!(wrong.is_none(), "{wrong:?}");
        self
    }

    /// Whoever was refused was told when to come back; nobody got a fault, or no answer.
    pub(crate) fn every_refusal_said_when_to_come_back(&self) -> &Self {
        let bare = |record: &&Record| !matches!(record.outcome, Outcome::Good { .. } | Outcome::NotNow { .. });
        let bare: Vec<_> = self.records.iter().filter(bare).collect();
        assert!(bare.is_empty(), "{} refusals said nothing, the first: {:?}", bare.len(), bare[0]);
        self
    }

    /// Verifies failed no longer than those who asked had been told to wait: asking again as told, they were answered.
    pub(crate) fn verifies_failed_no_longer_than_their_hint(&self) -> &Self {
        for window in self.windows(Kind::Verify) {
            let is_short = window.ended.is_some_and(|ended| ended - window.began <= window.hint);
            assert!(is_short || window.is_excused(Kind::Verify), "{window}\n{self}");
        }
        self
    }

    /// No request of any kind failed.
    pub(crate) fn nothing_failed(&self) -> &Self {
        for kind in Kind::ALL {
            for window in self.windows(kind) {
                assert!(window.is_excused(kind), "{kind:?}: {window}\n{self}");
            }
        }
        self
    }

    /// Verifies were sent and answered all the time between two moments.
    pub(crate) fn went_on(&self, from: Duration, until: Duration) -> &Self {
        let sent = self.records.iter().filter(|record| record.kind == Kind::Verify).map(|record| record.sent);
        let mut sent: Vec<_> = sent.filter(|sent| (from..until).contains(sent)).chain([from, until]).collect();
        sent.sort();
        let longest = sent.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
        assert!(longest < CALM, "nobody asked for {longest:.1?} between {from:.1?} and {until:.1?}\n{self}");
        self
    }

    /// Every kind of request is asked again until it is answered: there is a good answer to one sent after `since`.
    pub(super) fn is_well(records: &[Record], since: Duration) -> bool {
        let is_well =
            |kind| records.iter().any(|record| record.kind == kind && record.sent >= since && record.outcome.is_good());
        Kind::ALL.into_iter().all(is_well)
    }

    fn windows(&self, kind: Kind) -> Vec<Window> {
        let mut windows: Vec<Window> = Vec::new();
        for record in self.records.iter().filter(|record| record.kind == kind) {
            let (at, last) = (record.answered, windows.last_mut());
            match (record.outcome.hint(), last) {
                (None, None) => {}
                (None, Some(last)) => last.ended = last.ended.or(Some(at)),
                (Some(hint), Some(last)) if last.ended.is_none() || at - last.last_failure < CALM => {
                    last.failures += 1;
                    last.hint = last.hint.max(hint);
                    (last.last_failure, last.ended) = (at, None);
                }
                (Some(hint), _) => {
                    let starved = Duration::ZERO;
                    windows.push(Window { began: at, last_failure: at, ended: None, failures: 1, hint, starved });
                }
            }
        }
        for window in &mut windows {
            let sent = self.records.iter().filter(|record| record.kind == kind && window.has_failure(record));
            // What failed first was under way before it failed.
            let from = sent.map(|record| record.sent).min().unwrap_or(window.began);
            let meanwhile =
                self.starved.iter().filter(|moment| moment.until >= from && moment.from <= window.last_failure);
            window.starved = meanwhile.map(|moment| moment.until - moment.from).sum();
        }
        windows
    }

    fn slowest(&self, which: impl Fn(&Record) -> bool) -> Duration {
        let meant = self.records.iter().filter(|record| which(record));
        meant.map(|record| record.answered - record.sent).max().unwrap_or_default()
    }
}

impl Window {
    fn has_failure(&self, record: &Record) -> bool {
        !record.outcome.is_good() && (self.began..=self.last_failure).contains(&record.answered)
    }

    /// Whether the machine and not the platform is to blame, which is said aloud. A moment in which it gave no time does
    /// not excuse for longer than it can have cost, and what does not end is never excused.
    #[expect(clippy::print_stdout, reason = "an excuse nobody hears of hides what it excuses")]
    fn is_excused(&self, kind: Kind) -> bool {
        let Some(ended) = self.ended else { return false };
        let is_excused = !self.starved.is_zero() && ended - self.began <= self.hint + WAKINGS * self.starved;
        if is_excused {
            println!("EXCUSED, because the machine gave no time: {kind:?} {self}");
        }
        is_excused
    }
}

/// One line per kind, and one per window in which it failed.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in Kind::ALL {
            let outcomes = || self.records.iter().filter(|record| record.kind == kind).map(|record| &record.outcome);
            let (all, good) = (outcomes().count(), outcomes().filter(|outcome| outcome.is_good()).count());
            let degraded = outcomes().filter(|outcome| matches!(outcome, Outcome::Good { degraded: true })).count();
            let slowest = self.slowest(|record| record.kind == kind);
            writeln!(f, "  {kind:?}: {all} answers, {good} good, {degraded} of them degraded, slowest {slowest:.0?}")?;
            for window in self.windows(kind) {
                writeln!(f, "    {window}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { began, last_failure: _, ended, failures, hint, starved } = self;
        let length = ended.map_or_else(|| "for good".to_owned(), |ended| format!("for {:.0?}", ended - *began));
        write!(
            f,
            "failing at {began:.1?} {length}: {failures} answers, longest hint {hint:.0?}, machine starved {starved:.0?}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn report(outcomes: &[(u64, Outcome)]) -> Report {
        let record = |(at, outcome): &(u64, Outcome)| {
            let at = millis(*at);
            Record { kind: Kind::Verify, sent: at, answered: at, outcome: outcome.clone() }
        };
        Report::new(outcomes.iter().map(record).collect(), Vec::new())
    }

    fn good() -> Outcome {
        Outcome::Good { degraded: false }
    }

    fn not_now(seconds: u64) -> Outcome {
        Outcome::NotNow { retry_after: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_window_lasts_from_the_first_failure_to_the_first_good_answer_after_the_last() {
        let report = report(&[
            (0, good()),
            (100, not_now(1)),
            (200, good()),
            (900, not_now(2)),
            (950, good()),
            (1000, good()),
            (3000, Outcome::TimedOut),
            (4500, not_now(1)),
            (5000, good()),
        ]);
        let windows = report.windows(Kind::Verify);
        let spans: Vec<_> = windows.iter().map(|window| (window.began, window.ended)).collect();
        assert_eq!(spans, [(millis(100), Some(millis(950))), (millis(3000), Some(millis(5000)))], "{report}");
        assert_eq!((windows[0].failures, windows[0].hint), (2, Duration::from_secs(2)));
        assert!(report.windows(Kind::Login).is_empty());
    }

    #[test]
    #[should_panic(expected = "failing at 0.0ns for 3s")]
    fn failing_for_longer_than_the_hint_breaks_the_promise() {
        report(&[(0, not_now(2)), (900, not_now(2)), (1800, good()), (1850, not_now(2)), (3000, good())])
            .verifies_failed_no_longer_than_their_hint();
    }

    #[test]
    #[should_panic(expected = "for good")]
    fn failing_to_the_end_breaks_the_promise() {
        report(&[(0, good()), (10, not_now(2))]).verifies_failed_no_longer_than_their_hint();
    }

    #[test]
    #[should_panic(expected = "1 refusals said nothing")]
    fn a_refusal_without_a_hint_breaks_the_promise() {
        report(&[(0, good()), (10, Outcome::Failed { status: 503 })]).every_refusal_said_when_to_come_back();
    }

    /// Verifies that fail from 0 to 3 s with a hint of a second, on a machine that gave no time in between.
    fn on_a_starved_machine(last: Outcome, starved: Duration) -> Report {
        let Report { records, .. } = report(&[(0, not_now(1)), (900, not_now(1)), (1800, not_now(1)), (3000, last)]);
        Report::new(records, vec![Starved { from: millis(500), until: millis(500) + starved }])
    }

    #[test]
    fn a_machine_that_is_too_busy_proves_nothing() {
        on_a_starved_machine(good(), millis(400)).verifies_failed_no_longer_than_their_hint().nothing_failed();
    }

    #[test]
    #[should_panic(expected = "for good")]
    fn what_does_not_end_is_not_excused_by_a_busy_machine() {
        on_a_starved_machine(not_now(1), millis(400)).verifies_failed_no_longer_than_their_hint();
    }

    #[test]
    #[should_panic(expected = "failing at 0.0ns for 3s")]
    fn a_moment_on_a_busy_machine_excuses_no_long_failure() {
        on_a_starved_machine(good(), millis(100)).verifies_failed_no_longer_than_their_hint();
    }

    #[test]
    #[should_panic(expected = "failing at 0.0ns for 3s")]
    fn a_gateway_that_is_slow_to_say_that_it_is_alive_excuses_nothing() {
        let mut records = report(&[(0, not_now(1)), (900, not_now(1)), (1800, not_now(1)), (3000, good())]).records;
        records.push(Record { kind: Kind::Pulse, sent: millis(500), answered: millis(900), outcome: good() });
        Report::new(records, Vec::new()).verifies_failed_no_longer_than_their_hint();
    }

    #[test]
    #[should_panic(expected = "Verify: failing at")]
    fn a_single_failure_is_not_nothing() {
        report(&[(0, good()), (10, not_now(1)), (20, good())]).nothing_failed();
    }

    #[test]
    #[should_panic(expected = "nobody asked")]
    fn a_load_that_pauses_did_not_go_on() {
        let report = report(&[(0, good()), (100, good()), (1900, good())]);
        report.went_on(millis(0), millis(500)).went_on(millis(100), millis(2000));
    }
}

//! What players and game servers saw, phase by phase, and what nobody may ever see.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::Duration,
};

use serde::Serialize;

use super::{
    crowd::{ASKERS, Asked, GIVE_UP, PATIENCE_OF_A_GAME_SERVER},
    logins::{DEADLINE, Kind, LOGIN_EVERY, Login},
};
use crate::load::percentile;

/// So soon after the mending nobody should be refused any more.
const NORMAL_AIM: Duration = Duration::from_secs(2);

/// A stretch of the storm.
#[derive(Debug)]
pub(super) struct Phase {
    name: &'static str,
    /// On the clock of the logins.
    from: Duration,
    is_broken: bool,
    asked: Asked,
}

/// The whole storm.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    players: usize,
    phases: Vec<Seen>,
    /// What nobody may ever see. Empty: the promises were kept.
    violations: Vec<String>,
}

/// What was seen in a phase.
#[derive(Clone, Debug, Serialize)]
struct Seen {
    name: &'static str,
    verify: Verifications,
    logins: BTreeMap<Kind, SignIns>,
    /// From the mending until the last login that was not let in was answered. Absent: nothing was mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    normal_after_ms: Option<f64>,
}

#[derive(Clone, Debug, Serialize)]
struct Verifications {
    valid: usize,
    /// Of the valid ones, those that a gateway's copy answered.
    degraded: usize,
    /// 429 and 503 with `Retry-After`.
    not_now: usize,
    timed_out: usize,
    /// Questions without an answer, however often they were asked.
    unanswered: usize,
    wrong: usize,
    /// Answers by HTTP status.
    statuses: BTreeMap<u16, usize>,
    p50_ms: f64,
    p99_ms: f64,
    seconds: f64,
}

#[derive(Clone, Debug, Serialize)]
struct SignIns {
    let_in: usize,
    /// 503 with `Retry-After`.
    told_when: usize,
    /// Anything else.
    failed: usize,
    p50_ms: f64,
    p99_ms: f64,
    longest_ms: f64,
    /// Of those who were told to come back.
    told_when_p99_ms: f64,
}

impl Phase {
    /// Nothing is broken (any more).
    pub(super) fn well(name: &'static str, from: Duration, asked: Asked) -> Self {
        Self { name, from, is_broken: false, asked }
    }

    /// Something hangs.
    pub(super) fn broken(name: &'static str, from: Duration, asked: Asked) -> Self {
        Self { name, from, is_broken: true, asked }
    }
}

impl Report {
    pub(super) fn new(players: usize, phases: Vec<Phase>, logins: &[Login]) -> Self {
        let violations = phases.iter().flat_map(|phase| violations_of(&phase.asked, phase.name));
        let violations = violations.chain(logins.iter().filter_map(violation)).collect();
        let phase_of_login: Vec<usize> = logins.iter().map(|login| phase_of(login, &phases)).collect();
        let logins = || logins.iter().zip(&phase_of_login);
        let mut is_broken = false;
        let mut seen = Vec::with_capacity(phases.len());
        for (index, phase) in phases.into_iter().enumerate() {
            // Well after broken: this is where it was mended.
            let is_mended = is_broken && !phase.is_broken;
            is_broken = phase.is_broken;
            let of_phase = || logins().filter(|(_, of)| **of == index).map(|(login, _)| login);
            let so_far = logins().filter(|(_, of)| **of <= index).map(|(login, _)| login);
            seen.push(Seen {
                name: phase.name,
                logins: [Kind::Device, Kind::Password]
                    .map(|kind| (kind, SignIns::of(of_phase().filter(|login| login.kind == kind))))
                    .into(),
                normal_after_ms: is_mended.then(|| milliseconds(normal_after(so_far, phase.from))),
                verify: Verifications::of(phase.asked),
            });
        }
        Self { players, phases: seen, violations }
    }

    /// Adds what was seen by somebody else.
    pub(super) fn with_violations(mut self, further: impl IntoIterator<Item = String>) -> Self {
        self.violations.extend(further);
        self
    }

    /// What nobody may ever see.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}

impl Seen {
    /// Everybody was answered and let in at once.
    fn is_calm(&self) -> bool {
        let Verifications { not_now, timed_out, unanswered, wrong, .. } = self.verify;
        let is_calm = |logins: &SignIns| logins.told_when + logins.failed == 0;
        not_now + timed_out + unanswered + wrong == 0 && self.logins.values().all(is_calm)
    }
}

impl Verifications {
    fn of(asked: Asked) -> Self {
        let Asked { valid, degraded, statuses, not_now, timed_out, unanswered, wrong, took, whole, .. } = asked;
        Self {
            valid,
            degraded,
            not_now,
            timed_out,
            unanswered,
            wrong,
            statuses,
            p50_ms: milliseconds(percentile(&took, 0.5)),
            p99_ms: milliseconds(percentile(&took, 0.99)),
            seconds: whole.as_secs_f64(),
        }
    }
}

impl SignIns {
    fn of<'a>(logins: impl Iterator<Item = &'a Login>) -> Self {
        let (mut let_in, mut failed) = (0, 0);
        let (mut took, mut told_when) = (Vec::new(), Vec::new());
        for login in logins {
            took.push(login.took);
            match login {
                login if login.is_in() => let_in += 1,
                login if login.is_told_when() => told_when.push(login.took),
                _ => failed += 1,
            }
        }
        took.sort_unstable();
        told_when.sort_unstable();
        let at = |share| milliseconds(percentile(&took, share));
        Self {
            let_in,
            told_when: told_when.len(),
            failed,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            longest_ms: at(1.0),
            told_when_p99_ms: milliseconds(percentile(&told_when, 0.99)),
        }
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} players online, four processes, MariaDB (flush at commit) and Redis; {ASKERS} questions of game servers \
             at a time, each asked again at once after {PATIENCE_OF_A_GAME_SERVER:?}; {:.0} logins per second",
            self.players,
            LOGIN_EVERY.as_secs_f64().recip(),
        )?;
        writeln!(
            f,
            "{:<24}{:>9}{:>10}{:>9}{:>10}{:>11}{:>7}{:>10}{:>10}{:>8}  by status",
            "verify", "valid", "of a copy", "not now", "timed out", "unanswered", "wrong", "p50 ms", "p99 ms", "s"
        )?;
        for Seen { name, verify, .. } in &self.phases {
            let Verifications {
                valid,
                degraded,
                not_now,
                timed_out,
                unanswered,
                wrong,
                statuses,
                p50_ms,
                p99_ms,
                seconds,
            } = verify;
            writeln!(
                f,
                "{name:<24}{valid:>9}{degraded:>10}{not_now:>9}{timed_out:>10}{unanswered:>11}{wrong:>7}{p50_ms:>10.1}{p99_ms:>10.1}\
                 {seconds:>8.1}  {statuses:?}"
            )?;
        }
        writeln!(
            f,
            "{:<24}{:>9}{:>10}{:>9}{:>10}{:>12}{:>10}  p99 of those told when",
            "login", "let in", "told when", "failed", "p50 ms", "p99 ms", "longest"
        )?;
        for Seen { name, logins, .. } in &self.phases {
            for (kind, logins) in logins {
                let SignIns { let_in, told_when, failed, p50_ms, p99_ms, longest_ms, told_when_p99_ms } = logins;
                let name = format!("{name}, {kind:?}").to_lowercase();
                writeln!(
                    f,
                    "{name:<30}{let_in:>3}{told_when:>10}{failed:>9}{p50_ms:>10.1}{p99_ms:>12.1}{longest_ms:>10.1}  \
                     {told_when_p99_ms:.1}"
                )?;
            }
        }
        for Seen { name, normal_after_ms, .. } in &self.phases {
            if let Some(after) = normal_after_ms {
                writeln!(
                    f,
                    "{name}: the last login that was not let in was answered {after:.0} ms after (aim: {NORMAL_AIM:?})"
                )?;
            }
        }
        if self.phases.first().is_some_and(|baseline| !baseline.is_calm()) {
            writeln!(f, "NOT CONCLUSIVE: this machine does not keep up even before anything is broken")?;
        }
        match &self.violations[..] {
            [] => write!(
                f,
                "kept: every good token was called valid or could be asked about again, and every login was \
                 let in or told when to come back, within {DEADLINE:?}"
            ),
            [first, ..] => write!(f, "BROKEN PROMISES: {}, the first: {first}", self.violations.len()),
        }
    }
}

fn violations_of(asked: &Asked, phase: &str) -> Vec<String> {
    let Asked { wrong, examples, unanswered, .. } = asked;
    let mut violations = Vec::new();
    if *wrong > 0 {
        violations.push(format!("{phase}: {wrong} wrong answers about good tokens: {examples:?}"));
    }
    if *unanswered > 0 {
        violations.push(format!("{phase}: {unanswered} questions about good tokens were not answered in {GIVE_UP:?}"));
    }
    violations
}

/// A login is let in or told when to come back, before the deadline.
fn violation(login: &Login) -> Option<String> {
    let is_answered = (login.is_in() || login.is_told_when()) && login.took < DEADLINE;
    (!is_answered).then(|| format!("{login:?}"))
}

/// The phase that a login shows something of: the one it was sent in, unless it was still under way when something broke.
/// Then what it met is the break.
fn phase_of(login: &Login, phases: &[Phase]) -> usize {
    let sent_in = phases.iter().rposition(|phase| phase.from <= login.sent).unwrap_or_default();
    let breaks = phases.get(sent_in + 1).is_some_and(|next| next.is_broken && next.from < login.answered());
    if breaks { sent_in + 1 } else { sent_in }
}

/// From the mending until the last login was answered that was not let in.
fn normal_after<'a>(logins: impl Iterator<Item = &'a Login>, mended: Duration) -> Duration {
    let refused = logins.filter(|login| !login.is_in());
    refused.map(|login| login.answered().saturating_sub(mended)).max().unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn login(sent: Duration, took: Duration, status: u16) -> Login {
        Login { kind: Kind::Device, sent, took, status: Some(status), says_when: status == 503 }
    }

    fn phases() -> Vec<Phase> {
        vec![
            Phase::well("baseline", seconds(0), Asked::default()),
            Phase::broken("it hangs", seconds(10), Asked::default()),
            Phase::well("it is back", seconds(20), Asked { valid: 7, ..Asked::default() }),
        ]
    }

    #[test]
    fn a_login_belongs_to_the_phase_that_it_met_and_the_last_refusal_says_when_all_is_normal() {
        let logins = vec![
            login(seconds(1), seconds(1), 200),
            // Under way when it broke.
            login(seconds(9), seconds(2), 503),
            login(seconds(11), seconds(3), 503),
            // Sent while it hung, told so after it was mended.
            login(seconds(19), seconds(2), 503),
            login(seconds(20), seconds(4), 200),
        ];
        let report = Report::new(7, phases(), &logins);
        let seen = |index: usize| &report.phases[index].logins[&Kind::Device];
        assert_eq!((seen(0).let_in, seen(1).told_when, seen(2).let_in), (1, 3, 1));
        assert_eq!(seen(1).longest_ms, 3000.0);
        let normal: Vec<_> = report.phases.iter().map(|phase| phase.normal_after_ms).collect();
        assert_eq!(normal, [None, None, Some(1000.0)]);
        assert_eq!(report.violations(), [""; 0]);
        assert!(report.to_string().contains("kept: every good token"), "{report}");
    }

    #[test]
    fn a_question_that_is_never_answered_breaks_a_promise_and_a_machine_without_calm_shows_nothing() {
        let mut phases = phases();
        phases[0].asked = Asked { timed_out: 3, unanswered: 1, ..Asked::default() };
        let report = Report::new(7, phases, &[]);
        assert_eq!(report.violations(), ["baseline: 1 questions about good tokens were not answered in 60s"]);
        assert!(report.to_string().contains("NOT CONCLUSIVE"), "{report}");
    }

    #[test]
    fn a_wrong_answer_a_login_that_is_only_refused_and_one_that_is_late_break_promises() {
        let mut phases = phases();
        phases[1].asked = Asked { wrong: 2, examples: vec!["200 invalid".to_owned()], ..Asked::default() };
        let silent = Login { says_when: false, ..login(seconds(11), seconds(1), 503) };
        let logins = vec![silent, login(seconds(12), DEADLINE, 200), login(seconds(13), seconds(1), 504)];
        let report = Report::new(7, phases, &logins);
        assert_eq!(report.violations().len(), 4, "{:?}", report.violations());
        assert!(!report.to_string().contains("NOT CONCLUSIVE"), "{report}");
        assert!(report.to_string().contains("BROKEN PROMISES: 4, the first: it hangs: 2 wrong answers"), "{report}");
    }
}

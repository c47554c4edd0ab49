//! What was seen of the flood.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::Duration,
};

use serde::Serialize;

use super::{
    generator::{Outcome, PATIENCE, Sent},
    mix::Class,
    play::{FLOOD_FOR, TIMES_CAPACITY},
};
use crate::load::{as_f64, percentile};

/// The aims of the flood.
const GOODPUT_AIM: f64 = 0.9;
const P99_AIM: f64 = 3.0;
const REFUSED_AIM_MS: f64 = 10.0;
const RECOVERY_AIM_S: f64 = 2.0;

/// So much of the quiet day after the flood is looked at as one.
const WINDOW: Duration = Duration::from_millis(100);

/// What was played on one platform.
#[derive(Debug)]
pub(super) struct Played {
    /// What the probe saw on a quiet day.
    pub(super) before: Vec<Sent>,
    pub(super) flood: Vec<Sent>,
    /// What the probe saw in the flood.
    pub(super) probed: Vec<Sent>,
    pub(super) after: Vec<Sent>,
    /// Bytes.
    pub(super) grown: u64,
}

/// Both platforms.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What a platform takes when it is asked in turn, in good answers per second.
    capacity_rps: f64,
    offered_rps: f64,
    #[serde(flatten)]
    on: Seen,
    /// The same flood with everything switched off.
    off: Seen,
}

/// One platform in the flood.
#[derive(Clone, Debug, Serialize)]
struct Seen {
    /// Good answers about tokens per second, over the part of the capacity that is theirs in the mix.
    verify_goodput_ratio: f64,
    /// Of the probe's good answers: p99 in the flood over p99 on a quiet day.
    admitted_p99_ratio: f64,
    idle_p99_ms: f64,
    admitted_p99_ms: f64,
    /// From sending to being told to come back, at the probe.
    refused_p99_ms: f64,
    /// 429 and 503 that do not say when to come back.
    refused_without_hint: usize,
    /// From the end of the flood until nobody was refused or lost patience any more.
    recovery_s: f64,
    /// The most memory since before the flood, in 10^6 bytes.
    rss_growth_mb: f64,
    /// In the flood.
    classes: BTreeMap<Class, OfClass>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct OfClass {
    good_rps: f64,
    told_when: usize,
    impatient: usize,
    never_sent: usize,
    broken: usize,
    /// Any other answer.
    wrong: usize,
    p50_ms: f64,
    p99_ms: f64,
}

impl Played {
    /// Good answers per second.
    pub(super) fn good_per_second(sent: &[Sent], duration: Duration) -> f64 {
        let good = sent.iter().filter(|sent| sent.outcome == Outcome::Good).count();
        count(good) / duration.as_secs_f64()
    }
}

impl Report {
    pub(super) fn new(capacity: f64, on: &Played, off: &Played) -> Self {
        let (on, off) = (Seen::of(on, capacity), Seen::of(off, capacity));
        Self { capacity_rps: capacity, offered_rps: capacity * TIMES_CAPACITY, on, off }
    }
}

impl Seen {
    fn of(played: &Played, capacity: f64) -> Self {
        let Played { before, flood, probed, after, grown } = played;
        let classes: BTreeMap<Class, OfClass> = Class::ALL.map(|class| (class, OfClass::of(flood, class))).into();
        let is_good = |sent: &Sent| sent.outcome == Outcome::Good;
        let (idle, admitted) = (p99_ms(before, is_good), p99_ms(probed, is_good));
        Self {
            verify_goodput_ratio: classes[&Class::Verify].good_rps / (capacity * Class::Verify.share()),
            admitted_p99_ratio: admitted / idle,
            idle_p99_ms: idle,
            admitted_p99_ms: admitted,
            refused_p99_ms: p99_ms(probed, |sent| matches!(sent.outcome, Outcome::ToldWhen | Outcome::Refused)),
            refused_without_hint: flood.iter().filter(|sent| sent.outcome == Outcome::Refused).count(),
            recovery_s: recovery(after).as_secs_f64(),
            rss_growth_mb: as_f64(*grown) / 1e6,
            classes,
        }
    }
}

impl OfClass {
    fn of(flood: &[Sent], class: Class) -> Self {
        let mut seen = Self::default();
        let of_class = || flood.iter().filter(|sent| sent.class == class);
        for sent in of_class() {
            match sent.outcome {
                Outcome::Good => {}
                Outcome::ToldWhen => seen.told_when += 1,
                Outcome::Impatient => seen.impatient += 1,
                Outcome::NeverSent => seen.never_sent += 1,
                Outcome::Broken => seen.broken += 1,
                Outcome::Refused | Outcome::Wrong(_) => seen.wrong += 1,
            }
        }
        let mut took: Vec<Duration> =
            of_class().filter(|sent| sent.outcome == Outcome::Good).map(|sent| sent.took).collect();
        took.sort_unstable();
        seen.good_rps = count(took.len()) / FLOOD_FOR.as_secs_f64();
        seen.p50_ms = milliseconds(percentile(&took, 0.5));
        seen.p99_ms = milliseconds(percentile(&took, 0.99));
        seen
    }
}

/// From sending to the answer, of those that are meant.
fn p99_ms(sent: &[Sent], is_meant: impl Fn(&Sent) -> bool) -> f64 {
    let mut times: Vec<Duration> = sent.iter().filter(|sent| is_meant(sent)).map(|sent| sent.answered_in).collect();
    times.sort_unstable();
    milliseconds(percentile(&times, 0.99))
}

/// When the last window ended in which not everything was as it should be.
fn recovery(after: &[Sent]) -> Duration {
    let bad = after.iter().filter(|sent| sent.outcome != Outcome::Good);
    let windows = bad.map(|sent| sent.due.as_nanos() / WINDOW.as_nanos() + 1).max().unwrap_or(0);
    WINDOW * u32::try_from(windows).unwrap_or(u32::MAX)
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { capacity_rps, offered_rps, on, off } = self;
        writeln!(
            f,
            "of 100 requests 60 verify, 25 sign a device in, 10 read settings, 5 push an event; it can take {capacity_rps:.0}/s in \
             turn and is asked {offered_rps:.0}/s for {FLOOD_FOR:?}; everybody hangs up after {PATIENCE:?}"
        )?;
        writeln!(
            f,
            "{:<18}{:>10}{:>12}{:>12}{:>12}{:>10}{:>10}{:>10}{:>10}",
            "", "good/s", "told when", "impatient", "never sent", "broken", "wrong", "p50 ms", "p99 ms"
        )?;
        for (name, seen) in [("on", on), ("off", off)] {
            for (class, of) in &seen.classes {
                let OfClass { good_rps, told_when, impatient, never_sent, broken, wrong, p50_ms, p99_ms } = of;
                let name = format!("{}, {name}", class.name());
                writeln!(
                    f,
                    "{name:<18}{good_rps:>10.0}{told_when:>12}{impatient:>12}{never_sent:>12}{broken:>10}{wrong:>10}{p50_ms:>10.1}{p99_ms:>10.1}"
                )?;
            }
        }
        writeln!(f, "{:<44}{:>10}{:>10}", "", "on", "off")?;
        for (what, on, off) in [
            (
                format!("verify: good over its share (aim {GOODPUT_AIM})"),
                on.verify_goodput_ratio,
                off.verify_goodput_ratio,
            ),
            (
                format!("admitted: p99 over a quiet day's (aim {P99_AIM})"),
                on.admitted_p99_ratio,
                off.admitted_p99_ratio,
            ),
            (format!("refused: p99, ms (aim {REFUSED_AIM_MS})"), on.refused_p99_ms, off.refused_p99_ms),
            ("refused without a hint".to_owned(), count(on.refused_without_hint), count(off.refused_without_hint)),
            (format!("normal after, s (aim {RECOVERY_AIM_S})"), on.recovery_s, off.recovery_s),
            ("memory grown, MB".to_owned(), on.rss_growth_mb, off.rss_growth_mb),
        ] {
            writeln!(f, "{what:<44}{on:>10.2}{off:>10.2}")?;
        }
        Ok(())
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn count(number: usize) -> f64 {
    as_f64(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(class: Class, due_ms: u64, took_ms: u64, outcome: Outcome) -> Sent {
        let took = Duration::from_millis(took_ms);
        Sent { class, due: Duration::from_millis(due_ms), took, answered_in: took, outcome }
    }

    #[test]
    fn goodput_is_held_against_the_share_and_times_against_a_quiet_day() {
        let flood = [
            vec![sent(Class::Verify, 0, 6, Outcome::Good); 600],
            vec![sent(Class::Login, 0, 1, Outcome::ToldWhen); 7],
            vec![sent(Class::Login, 0, 1, Outcome::Refused); 3],
            vec![sent(Class::Login, 0, 500, Outcome::Impatient); 2],
        ];
        let after = vec![
            sent(Class::Verify, 150, 1, Outcome::ToldWhen),
            sent(Class::Verify, 310, 500, Outcome::Impatient),
            sent(Class::Verify, 700, 1, Outcome::Good),
        ];
        let played = Played {
            before: vec![sent(Class::Verify, 0, 2, Outcome::Good); 100],
            flood: flood.concat(),
            probed: [
                vec![sent(Class::Verify, 0, 6, Outcome::Good); 100],
                vec![sent(Class::Login, 0, 1, Outcome::ToldWhen); 7],
            ]
            .concat(),
            after,
            grown: 5_000_000,
        };
        let seen = Seen::of(&played, 200.0);
        assert_eq!((seen.verify_goodput_ratio, seen.admitted_p99_ratio), (0.5, 3.0));
        assert_eq!((seen.refused_without_hint, seen.recovery_s, seen.rss_growth_mb), (3, 0.4, 5.0));
        let login = seen.classes[&Class::Login];
        assert_eq!((login.told_when, login.impatient, login.wrong), (7, 2, 3));
        let report = Report::new(200.0, &played, &played);
        let json = serde_json::to_value(&report).expect("serialises");
        assert_eq!(json["verify_goodput_ratio"], 0.5);
        assert_eq!(json["off"]["recovery_s"], 0.4);
        assert!(report.to_string().contains("verify: good over its share"), "{report}");
    }
}

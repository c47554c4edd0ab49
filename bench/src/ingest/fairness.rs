//! `ingest_fairness`: a partner that pushes twenty times as much as it may, beside one that keeps to what it may.
//!
//! The steady partner pushes single events at an even pace: alone, then beside the greedy one, in turns. The greedy one pushes
//! at an even pace, too, and comes again at once whatever it is told, as a client without patience does.

use std::{
    fmt::{self, Display},
    num::NonZeroU32,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Serialize;
use serde_json::json;

use super::{join, push};
use crate::{
    load::{Answers, Observed, Pushers, as_f64},
    platform::{Installation, Platform},
    report,
    rounds::Spread,
    scenario::Setup,
    signing::Partner,
};

/// Single events that the steady partner pushes in a second.
const STEADY_PER_SECOND: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// Connections of the steady partner: enough for an answer to take 160 ms before the next goes out late.
const STEADY_CONNECTIONS: u32 = 32;

/// Events that the greedy partner may push in a second, and at one moment.
const ALLOWED: u32 = 1000;

/// How many times as much it does push.
const GREED: u32 = 20;

/// Events in each of its pushes.
const GREEDY_BATCH: u32 = 10;

/// Connections of the greedy partner.
const GREEDY_CONNECTIONS: u32 = 64;

/// It begins so long before the steady one: its burst is used up by then.
const HEAD_START: Duration = Duration::from_secs(2);

/// The steady partner's p99 beside the greedy one should be no more than so many times the one alone.
const AIM: f64 = 2.0;

/// Medians over the rounds. Times are from when a push was due until its answer was read, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Fairness {
    steady_per_second: u32,
    alone_p50_us: f64,
    alone_p99_us: f64,
    beside_p50_us: f64,
    beside_p99_us: f64,
    /// Events of the greedy partner in a second: what it may push, what it pushed, what was taken.
    greedy_allowed: u32,
    greedy_pushed: f64,
    greedy_taken: f64,
    /// Pushes of the steady partner that were not acknowledged, of all rounds.
    steady_refused: u64,
    /// p99 beside the greedy partner over p99 alone, round by round.
    p99_ratio: f64,
    #[serde(skip)]
    p99_ratios: Spread,
}

/// One round.
struct Round {
    alone: Observed,
    beside: Observed,
    /// Events in a second.
    greedy_pushed: f64,
    greedy_taken: f64,
}

/// The platform and who pushes.
struct Stage {
    platform: Platform,
    steady: Partner,
    greedy: Partner,
}

/// Measures both in turns.
pub fn measure(setup: &Setup<'_>, progress: impl Fn(&str)) -> Result<Fairness> {
    progress("starting the platform in one process");
    let installation = Installation::new(setup.program, setup.workers)?;
    let platform = installation.start_merged()?;
    let allowed = json!({ "events_per_second": ALLOWED, "burst": ALLOWED });
    let (steady, greedy) = (join(&platform, "steady", &json!({}))?, join(&platform, "greedy", &allowed)?);
    let stage = Stage { platform, steady, greedy };
    progress("warming up");
    stage.steady(setup.plan.warm_up)?;
    let mut rounds = Vec::with_capacity(setup.plan.rounds);
    for number in 1..=setup.plan.rounds {
        let round = stage.round(setup.plan.duration)?;
        progress(&format!(
            "round {number} of {}: p99 {:.0} us alone, {:.0} us beside {:.0} events/s of which {:.0} are taken",
            setup.plan.rounds, round.alone.p99_us, round.beside.p99_us, round.greedy_pushed, round.greedy_taken
        ));
        rounds.push(round);
    }
    Fairness::of(&rounds)
}

impl Stage {
    fn round(&self, duration: Duration) -> Result<Round> {
        let alone = self.steady(duration)?;
        let stopping = AtomicBool::new(false);
        let (beside, greedy, took) = thread::scope(|scope| -> Result<_> {
            let began = Instant::now();
            let greedy = scope.spawn(|| self.greedy(&stopping));
            thread::sleep(HEAD_START);
            let beside = self.steady(duration);
            stopping.store(true, Ordering::Relaxed);
            let greedy = greedy.join().map_err(|_| anyhow!("the generator panicked"))??;
            Ok((beside?, greedy, began.elapsed()))
        })?;
        ensure!(greedy.silent == 0, "{} refusals do not say when to come again", greedy.silent);
        let per_second = |pushes: u64| as_f64(pushes * u64::from(GREEDY_BATCH)) / took.as_secs_f64();
        let pushed = greedy.by_status.values().sum::<u64>() + greedy.broken;
        Ok(Round { alone, beside, greedy_pushed: per_second(pushed), greedy_taken: per_second(greedy.with(202)) })
    }

    fn steady(&self, duration: Duration) -> Result<Observed> {
        let pushers = Pushers { connections: STEADY_CONNECTIONS, per_second: STEADY_PER_SECOND, duration };
        let answers = pushers.push(&self.platform.address, &|| push(&self.steady, 1), &AtomicBool::new(false))?;
        let refused = answers.by_status.values().sum::<u64>() - answers.with(202);
        Ok(Observed { refused, broken: answers.broken, ..Observed::of(answers.times, duration) })
    }

    /// Until it is stopped.
    fn greedy(&self, stopping: &AtomicBool) -> Result<Answers> {
        let per_second = NonZeroU32::new(ALLOWED * GREED / GREEDY_BATCH).context("it does push")?;
        let pushers = Pushers { connections: GREEDY_CONNECTIONS, per_second, duration: Duration::MAX / 4 };
        pushers.push(&self.platform.address, &|| push(&self.greedy, GREEDY_BATCH), stopping)
    }
}

impl Fairness {
    fn of(rounds: &[Round]) -> Result<Self> {
        let spread = |value: fn(&Round) -> f64| Spread::of(rounds.iter().map(value)).context("nothing was measured");
        let median = |value| Ok::<_, anyhow::Error>(spread(value)?.median);
        let p99_ratios = spread(|round| round.beside.p99_us / round.alone.p99_us)?;
        let refused = |observed: &Observed| observed.refused + observed.broken;
        Ok(Self {
            steady_per_second: STEADY_PER_SECOND.get(),
            alone_p50_us: median(|round| round.alone.p50_us)?,
            alone_p99_us: median(|round| round.alone.p99_us)?,
            beside_p50_us: median(|round| round.beside.p50_us)?,
            beside_p99_us: median(|round| round.beside.p99_us)?,
            greedy_allowed: ALLOWED,
            greedy_pushed: median(|round| round.greedy_pushed)?,
            greedy_taken: median(|round| round.greedy_taken)?,
            steady_refused: rounds.iter().map(|round| refused(&round.alone) + refused(&round.beside)).sum(),
            p99_ratio: p99_ratios.median,
            p99_ratios,
        })
    }
}

impl Display for Fairness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { greedy_allowed, greedy_pushed, greedy_taken, steady_refused, .. } = self;
        writeln!(
            f,
            "{:<33}{:>10}{:>10}",
            format!("{} single events per second", self.steady_per_second),
            "p50 us",
            "p99 us"
        )?;
        writeln!(f, "{:<33}{:>10.0}{:>10.0}", "alone", self.alone_p50_us, self.alone_p99_us)?;
        writeln!(f, "{:<33}{:>10.0}{:>10.0}", "beside the greedy partner", self.beside_p50_us, self.beside_p99_us)?;
        writeln!(
            f,
            "the greedy one: {greedy_pushed:.0} events/s, {greedy_taken:.0} of them taken, {greedy_allowed} allowed"
        )?;
        writeln!(f, "pushes of the steady one that were not acknowledged: {steady_refused}")?;
        writeln!(f, "p99 beside / p99 alone: {} (aim: at most {AIM:.0}x)", report::ratio(self.p99_ratios))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(p99_us: u64) -> Observed {
        let times = [100; 98].into_iter().chain([p99_us, p99_us]).map(Duration::from_micros).collect();
        Observed { refused: 1, ..Observed::of(times, Duration::from_secs(1)) }
    }

    #[test]
    fn the_ratio_compares_the_two_halves_of_each_round() {
        let round = |alone, beside| Round {
            alone: observed(alone),
            beside: observed(beside),
            greedy_pushed: 20_000.0,
            greedy_taken: 1000.0,
        };
        let fairness = Fairness::of(&[round(200, 300), round(2000, 6000), round(200, 400)]).expect("measured");
        assert_eq!((fairness.p99_ratio, fairness.alone_p99_us, fairness.steady_refused), (2.0, 200.0, 6));
        assert!(fairness.to_string().ends_with("2.00x (1.50-3.00) (aim: at most 2x)\n"), "{fairness}");
        assert!(Fairness::of(&[]).is_err());
    }
}

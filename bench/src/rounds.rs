//! Measuring in turns: A, B, C, A, B, C, so that a machine that drifts drifts for all of them.

use std::{fmt, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    client::Request,
    load::{Load, Observed, as_f64, cpu_time},
};

/// More refusals than this and the numbers say nothing about answers.
const REFUSED_SHARE_MAX: f64 = 0.01;

/// Who is measured, and under what.
pub struct Target {
    /// The scenario's or the peer's name, as in the results.
    pub name: &'static str,
    /// Where it takes HTTP.
    pub address: String,
    /// Every process that works for an answer.
    pub processes: Vec<u32>,
    /// Connections of the generator.
    pub connections: usize,
    /// The requests to send in turn. Made anew for every round: signatures age.
    pub requests: Box<dyn Fn() -> Vec<Request>>,
    /// What an answer must contain to be one. Looked at before and after each measurement.
    pub expects: &'static str,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}

/// One measurement of one target.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// What the generator saw.
    pub observed: Observed,
    /// CPU time of all the target's processes, per answer, in microseconds.
    pub cpu_us: f64,
}

/// How long, how often.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Turns.
    pub rounds: usize,
    /// Of each measurement.
    pub duration: Duration,
    /// Before the first round, for each target; not counted.
    pub warm_up: Duration,
}

/// A name and what was measured, one sample per round.
#[derive(Clone, Debug)]
pub struct Series {
    /// As in [`Target`].
    pub name: &'static str,
    /// In the order of the rounds.
    pub samples: Vec<Sample>,
}

/// Measures all targets in turn. `progress` is told what happens next.
pub fn run(targets: &[Target], plan: Plan, progress: impl Fn(&str)) -> Result<Vec<Series>> {
    for target in targets {
        progress(&format!("warming up {}", target.name));
        target.measure(plan.warm_up)?;
    }
    let mut series: Vec<_> =
        targets.iter().map(|target| Series { name: target.name, samples: Vec::with_capacity(plan.rounds) }).collect();
    for round in 1..=plan.rounds {
        for (target, series) in targets.iter().zip(&mut series) {
            let sample = target.measure(plan.duration)?;
            progress(&format!(
                "round {round} of {}: {} {:.0} req/s, {:.1} us of CPU each",
                plan.rounds,
                target.name,
                sample.observed.requests_per_second(),
                sample.cpu_us
            ));
            series.samples.push(sample);
        }
    }
    Ok(series)
}

impl Target {
    fn measure(&self, duration: Duration) -> Result<Sample> {
        self.measure_unnamed(duration).with_context(|| format!("measuring {}", self.name))
    }

    fn measure_unnamed(&self, duration: Duration) -> Result<Sample> {
        let requests = (self.requests)();
        let first = requests.first().context("there is nothing to send")?;
        self.check(first)?;
        let before = self.cpu_time()?;
        let observed = Load { connections: self.connections, duration }.run(&self.address, &requests)?;
        let used = self.cpu_time()?.saturating_sub(before);
        self.check(first)?;
        ensure!(observed.requests > 0, "nothing was answered");
        let requests = as_f64(observed.requests);
        let refused = as_f64(observed.refused + observed.broken) / requests;
        ensure!(refused <= REFUSED_SHARE_MAX, "{:.1} % of the answers were refusals or failures", refused * 100.0);
        Ok(Sample { observed, cpu_us: used.as_secs_f64() * 1e6 / requests })
    }

    fn check(&self, request: &Request) -> Result<()> {
        let response = request.send(&self.address)?;
        let good = response.status == 200 && response.body.contains(self.expects);
        ensure!(good, "answered {} {} and not 200 with {}", response.status, response.body, self.expects);
        Ok(())
    }

    fn cpu_time(&self) -> Result<Duration> {
        self.processes.iter().map(|process| cpu_time(*process)).sum()
    }
}

/// A median and the range around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle; between the two middle ones if their number is even.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let (left, right) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Self { median: f64::midpoint(left, right), low, high })
    }
}

impl Series {
    /// Answers per second.
    pub fn requests_per_second(&self) -> Option<Spread> {
        self.spread(|sample| sample.observed.requests_per_second())
    }

    /// Of one value of every sample.
    pub fn spread(&self, value: impl Fn(&Sample) -> f64) -> Option<Spread> {
        Spread::of(self.samples.iter().map(value))
    }

    /// Refusals and failures of all rounds.
    pub fn errors(&self) -> u64 {
        self.samples.iter().map(|sample| sample.observed.refused + sample.observed.broken).sum()
    }

    /// Ours against a peer, round by round: requests per second, ours over the peer's.
    pub fn throughput_ratio(&self, peer: &Series) -> Option<Spread> {
        self.ratio(peer, |ours, peer| ours.observed.requests_per_second() / peer.observed.requests_per_second())
    }

    /// Ours against a peer, round by round: CPU time per answer, the peer's over ours.
    pub fn cpu_ratio(&self, peer: &Series) -> Option<Spread> {
        self.ratio(peer, |ours, peer| peer.cpu_us / ours.cpu_us)
    }

    fn ratio(&self, peer: &Series, ratio: impl Fn(&Sample, &Sample) -> f64) -> Option<Spread> {
        Spread::of(self.samples.iter().zip(&peer.samples).map(|(ours, peer)| ratio(ours, peer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &'static str, requests: &[u64], cpu_us: f64) -> Series {
        let sample = |requests: &u64| Sample {
            observed: Observed {
                requests: *requests,
                duration_us: 1_000_000,
                p50_us: 1.0,
                p99_us: 2.0,
                p999_us: 3.0,
                refused: 1,
                broken: 1,
            },
            cpu_us,
        };
        Series { name, samples: requests.iter().map(sample).collect() }
    }

    #[test]
    fn a_ratio_compares_rounds_and_not_averages() {
        // Both slow down together in the second round: the ratio does not notice.
        let (ours, peer) = (series("ours", &[80, 40, 80], 10.0), series("peer", &[100, 50, 80], 8.0));
        assert_eq!(ours.throughput_ratio(&peer), Some(Spread { median: 0.8, low: 0.8, high: 1.0 }));
        assert_eq!(ours.cpu_ratio(&peer).map(|ratio| ratio.median), Some(0.8));
        assert_eq!(ours.errors(), 6);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of([]), None);
    }
}

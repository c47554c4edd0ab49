//! Measuring in turns: A, B, C, A, B, C, so that a machine that drifts drifts for all of them.

use std::{fmt, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{
    client::Request,
    load::{Load, Observed, Order, as_f64, cpu_time},
};

/// More refusals than this and the numbers say nothing about answers.
const REFUSED_SHARE_MAX: f64 = 0.01;

/// Who is measured, and under what.
pub struct Target {
    /// The scenario's or the peer's name, as in the results.
    pub name: &'static str,
    /// The names of those in the same rounds that it is compared with. None for a peer.
    pub compared_with: &'static [&'static str],
    /// Every process that works for an answer. None: its CPU time says nothing.
    pub processes: Vec<u32>,
    /// What is done.
    pub work: Work,
    /// Read before and after each measurement: what else an answer costs, besides CPU time.
    pub counters: Option<Box<dyn Fn() -> Result<Vec<Counter>>>>,
}

/// What is measured.
pub enum Work {
    /// Requests to a server.
    Served(Served),
    /// Something that this process does for so long.
    Done(fn(Duration) -> Result<Observed>),
    /// Likewise, after it has got ready for it, which is not measured.
    Prepared(Box<dyn Fn(Duration) -> Result<Ready>>),
}

/// What is measured once everything is ready for it.
pub type Ready = Box<dyn FnOnce() -> Result<Observed>>;

/// Requests to a server, and what they have to be answered with.
pub struct Served {
    /// Where it takes HTTP.
    pub address: String,
    /// Connections of the generator.
    pub connections: usize,
    /// The requests to send. Made anew for every round: signatures age, and tokens are spent.
    pub requests: Box<dyn Fn() -> Result<Vec<Request>>>,
    /// Which of them is next. Of chained ones the first two are for the looks before and after.
    pub order: Order,
    /// What makes an answer one. Looked at before and after each measurement.
    pub expects: Expected,
}

/// An answer as it has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// The HTTP status.
    pub status: u16,
    /// What the body must contain.
    pub text: &'static str,
}

impl Expected {
    /// 200, with `text` in it.
    pub const fn ok(text: &'static str) -> Self {
        Self { status: 200, text }
    }
}

/// Something that only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// What it counts.
    pub name: &'static str,
    /// How many there have been.
    pub value: u64,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served(served) => served.fmt(f),
            Self::Done(_) => f.write_str("Done"),
            Self::Prepared(_) => f.write_str("Prepared"),
        }
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Served").field("address", &self.address).field("order", &self.order).finish_non_exhaustive()
    }
}

/// One measurement of one target.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What the generator saw.
    pub observed: Observed,
    /// CPU time of all the target's processes, per answer, in microseconds.
    pub cpu_us: f64,
    /// What was counted besides, per answer.
    pub counted: Vec<(&'static str, f64)>,
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
    /// As in [`Target`].
    pub compared_with: &'static [&'static str],
    /// In the order of the rounds.
    pub samples: Vec<Sample>,
}

/// Measures all targets in turn. `progress` is told what happens next.
pub fn run(targets: &[Target], plan: Plan, progress: impl Fn(&str)) -> Result<Vec<Series>> {
    for target in targets {
        progress(&format!("warming up {}", target.name));
        target.measure(plan.warm_up)?;
    }
    let mut series: Vec<_> = targets
        .iter()
        .map(|target| Series { name: target.name, compared_with: target.compared_with, samples: Vec::new() })
        .collect();
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
        let sample = match &self.work {
            Work::Served(served) => served.measure(duration, |load| self.observe(load))?,
            Work::Done(work) => self.observe(|| work(duration))?,
            Work::Prepared(prepare) => {
                let ready = prepare(duration)?;
                self.observe(ready)?
            }
        };
        let refused =
            as_f64(sample.observed.refused + sample.observed.broken) / as_f64(sample.observed.requests.max(1));
        ensure!(refused <= REFUSED_SHARE_MAX, "{:.1} % of the answers were refusals or failures", refused * 100.0);
        Ok(sample)
    }

    /// Does `work`, and sees what it has cost.
    fn observe(&self, work: impl FnOnce() -> Result<Observed>) -> Result<Sample> {
        let counters = || self.counters.as_ref().map_or(Ok(Vec::new()), |counters| counters());
        let (counted_before, cpu_before) = (counters()?, self.cpu_time()?);
        let observed = work()?;
        let (cpu, counted) = (self.cpu_time()?.saturating_sub(cpu_before), counters()?);
        ensure!(observed.requests > 0, "nothing was answered");
        let requests = as_f64(observed.requests);
        let counted = counted.iter().zip(&counted_before);
        let counted = counted.map(|(after, before)| (after.name, as_f64(after.value - before.value) / requests));
        Ok(Sample { observed, cpu_us: cpu.as_secs_f64() * 1e6 / requests, counted: counted.collect() })
    }

    fn cpu_time(&self) -> Result<Duration> {
        self.processes.iter().map(|process| cpu_time(*process)).sum()
    }
}

impl Served {
    /// `observe` is handed the load to put on the server.
    fn measure(
        &self,
        duration: Duration,
        observe: impl FnOnce(&dyn Fn() -> Result<Observed>) -> Result<Sample>,
    ) -> Result<Sample> {
        let requests = (self.requests)()?;
        let first = requests.first().context("there is nothing to send")?;
        let (last, requests) = match self.order {
            Order::InTurn => (first, &requests[..]),
            Order::Chained(_) => (requests.get(1).context("there is nothing to send")?, &requests[2..]),
        };
        self.check(first)?;
        let load = Load { connections: self.connections, duration, order: self.order };
        let sample = observe(&|| load.run(&self.address, requests))?;
        self.check(last)?;
        Ok(sample)
    }

    fn check(&self, request: &Request) -> Result<()> {
        let response = request.send(&self.address)?;
        let Expected { status, text } = self.expects;
        let good = response.status == status && response.body.contains(text);
        ensure!(good, "answered {} {} and not {status} with {text}", response.status, response.body);
        Ok(())
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

    /// What was counted besides, per answer: medians, in the order of the counters.
    pub fn counted(&self) -> Vec<(&'static str, f64)> {
        let names = self.samples.first().map_or(&[][..], |sample| &sample.counted);
        let median = |index: usize| self.spread(|sample| sample.counted[index].1).map_or(0.0, |spread| spread.median);
        names.iter().enumerate().map(|(index, (name, _))| (*name, median(index))).collect()
    }

    /// Refusals and failures of all rounds.
    pub fn errors(&self) -> u64 {
        self.samples.iter().map(|sample| sample.observed.refused + sample.observed.broken).sum()
    }

    /// Ours against a peer, round by round: requests per second, ours over the peer's.
    pub fn throughput_ratio(&self, peer: &Series) -> Option<Spread> {
        self.ratio(peer, |ours, peer| ours.observed.requests_per_second() / peer.observed.requests_per_second())
    }

    /// Ours against a peer, round by round: CPU time per answer, the peer's over ours. None if either has none.
    pub fn cpu_ratio(&self, peer: &Series) -> Option<Spread> {
        if self.samples.iter().chain(&peer.samples).any(|sample| sample.cpu_us == 0.0) {
            return None;
        }
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
            counted: vec![("log writes", 2.0)],
        };
        Series { name, compared_with: &[], samples: requests.iter().map(sample).collect() }
    }

    #[test]
    fn a_ratio_compares_rounds_and_not_averages() {
        // Both slow down together in the second round: the ratio does not notice.
        let (ours, peer) = (series("ours", &[80, 40, 80], 10.0), series("peer", &[100, 50, 80], 8.0));
        assert_eq!(ours.throughput_ratio(&peer), Some(Spread { median: 0.8, low: 0.8, high: 1.0 }));
        assert_eq!(ours.cpu_ratio(&peer).map(|ratio| ratio.median), Some(0.8));
        assert_eq!(ours.cpu_ratio(&series("a disk", &[100, 50, 80], 0.0)), None);
        assert_eq!(ours.errors(), 6);
        assert_eq!(ours.counted(), [("log writes", 2.0)]);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).map(|spread| spread.median), Some(2.5));
        assert_eq!(Spread::of([]), None);
    }
}

//! The results: a table for people, a JSON object for programs.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use crate::{
    footprint::Footprint,
    rounds::{Series, Spread},
    scenario::Measured,
};

/// Everything a run has measured.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// By name; peers too.
    #[serde(flatten)]
    scenarios: BTreeMap<&'static str, Scenario>,
    #[serde(skip_serializing_if = "Option::is_none")]
    footprint: Option<Footprint>,
}

/// Medians over the rounds of one run.
#[derive(Debug, Serialize)]
struct Scenario {
    /// Answers per second.
    rps: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    /// CPU time per answer, all server processes.
    cpu_us: f64,
    /// Refusals and failures.
    errors: u64,
    /// Peer → answers per second, ours over the peer's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ratios: BTreeMap<&'static str, f64>,
    /// Peer → CPU time per answer, the peer's over ours.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cpu_ratios: BTreeMap<&'static str, f64>,
}

impl Results {
    /// Adds a group. Peers that were measured before keep their first numbers; ratios are always of one group.
    pub fn add(&mut self, measured: &Measured) {
        for series in &measured.ours {
            self.scenarios.extend(scenario(series, &measured.peers).map(|found| (series.name, found)));
        }
        for series in &measured.peers {
            if let Some(found) = scenario(series, &[]) {
                self.scenarios.entry(series.name).or_insert(found);
            }
        }
    }

    /// Adds memory and start.
    pub fn add_footprint(&mut self, footprint: Footprint) {
        self.footprint = Some(footprint);
    }
}

fn scenario(series: &Series, peers: &[Series]) -> Option<Scenario> {
    let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
    let by_peer = |ratio: fn(&Series, &Series) -> Option<Spread>| -> BTreeMap<_, _> {
        peers.iter().filter_map(|peer| Some((peer.name, median(ratio(series, peer))?))).collect()
    };
    Some(Scenario {
        rps: median(series.requests_per_second())?,
        p50_us: median(series.spread(|sample| sample.observed.p50_us))?,
        p99_us: median(series.spread(|sample| sample.observed.p99_us))?,
        p999_us: median(series.spread(|sample| sample.observed.p999_us))?,
        cpu_us: median(series.spread(|sample| sample.cpu_us))?,
        errors: series.errors(),
        ratios: by_peer(Series::throughput_ratio),
        cpu_ratios: by_peer(Series::cpu_ratio),
    })
}

/// Medians of a group, and under them what ours is of each peer: median and range over the rounds.
pub fn table(measured: &Measured) -> String {
    let mut text = format!(
        "{:<16}{:>10}{:>10}{:>10}{:>10}{:>12}{:>8}\n",
        "", "req/s", "p50 us", "p99 us", "p99.9 us", "CPU us/req", "errors"
    );
    for series in measured.ours.iter().chain(&measured.peers) {
        let Some(Scenario { rps, p50_us, p99_us, p999_us, cpu_us, errors, .. }) = scenario(series, &[]) else {
            continue;
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:<16}{rps:>10.0}{p50_us:>10.0}{p99_us:>10.0}{p999_us:>10.0}{cpu_us:>12.1}{errors:>8}",
            series.name
        );
    }
    for ours in &measured.ours {
        for peer in &measured.peers {
            let (Some(speed), Some(cpu)) = (ours.throughput_ratio(peer), ours.cpu_ratio(peer)) else { continue };
            let _ = writeln!(
                text,
                "{} / {}: {} of its req/s, {} of its answers per CPU second",
                ours.name,
                peer.name,
                ratio(speed),
                ratio(cpu)
            );
        }
    }
    text
}

fn ratio(spread: Spread) -> String {
    format!("{:.2}x ({:.2}-{:.2})", spread.median, spread.low, spread.high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{load::Observed, rounds::Sample};

    fn series(name: &'static str, requests: u64, cpu_us: f64) -> Series {
        let observed = Observed {
            requests,
            duration_us: 1_000_000,
            p50_us: 10.0,
            p99_us: 20.0,
            p999_us: 30.0,
            refused: 0,
            broken: 2,
        };
        Series { name, samples: vec![Sample { observed, cpu_us }] }
    }

    fn measured() -> Measured {
        Measured { ours: vec![series("verify", 75, 10.0)], peers: vec![series("bare_route", 100, 8.0)] }
    }

    #[test]
    fn the_json_names_scenarios_and_peers_as_the_documentation_does() {
        let mut results = Results::default();
        results.add(&measured());
        results.add_footprint(Footprint { idle_mb: 25.0, exec_to_ready_ms: 40.0 });
        let json = serde_json::to_value(&results).expect("serialises");
        assert_eq!(json["verify"]["rps"], 75.0);
        assert_eq!(json["verify"]["p99_us"], 20.0);
        assert_eq!(json["verify"]["ratios"]["bare_route"], 0.75);
        assert_eq!(json["verify"]["cpu_ratios"]["bare_route"], 0.8);
        assert_eq!(json["verify"]["errors"], 2);
        assert_eq!(json["bare_route"]["cpu_us"], 8.0);
        assert_eq!(json["footprint"]["exec_to_ready_ms"], 40.0);
    }

    #[test]
    fn the_table_has_a_line_for_each_and_a_ratio_for_each_pair() {
        let text = table(&measured());
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(
            text.ends_with(
                "verify / bare_route: 0.75x (0.75-0.75) of its req/s, 0.80x (0.80-0.80) of its answers per CPU second\n"
            ),
            "{text}"
        );
    }
}

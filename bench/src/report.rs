//! The results: a table for people, a JSON object for programs.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use crate::{
    contention::Contention,
    flood,
    footprint::Footprint,
    ingest::{fairness::Fairness, overload::Overload},
    rounds::{Series, Spread},
    storm,
};

/// Everything a run has measured.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// By name; peers too.
    #[serde(flatten)]
    scenarios: BTreeMap<&'static str, Scenario>,
    #[serde(skip_serializing_if = "Option::is_none")]
    footprint: Option<Footprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login_verify: Option<Contention>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingest_fairness: Option<Fairness>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ingest_overload: Option<Overload>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storm: Option<storm::Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flood: Option<flood::Report>,
}

/// Medians over the rounds of one run.
#[derive(Debug, Serialize)]
struct Scenario {
    /// Answers per second.
    rps: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    /// CPU time per answer, all server processes. 0: not measured.
    cpu_us: f64,
    /// Refusals and failures.
    errors: u64,
    /// Peer → answers per second, ours over the peer's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ratios: BTreeMap<&'static str, f64>,
    /// Peer → CPU time per answer, the peer's over ours.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    cpu_ratios: BTreeMap<&'static str, f64>,
    /// What else was counted, per answer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    per_request: BTreeMap<&'static str, f64>,
}

impl Results {
    /// Adds a group. Peers that were measured before keep their first numbers; ratios are always of one group.
    pub fn add(&mut self, measured: &[Series]) {
        for series in measured {
            let Some(found) = scenario(series, measured) else { continue };
            if series.compared_with.is_empty() {
                self.scenarios.entry(series.name).or_insert(found);
            } else {
                self.scenarios.insert(series.name, found);
            }
        }
    }

    /// Adds memory and start.
    pub fn add_footprint(&mut self, footprint: Footprint) {
        self.footprint = Some(footprint);
    }

    /// Adds what logins do to verifications.
    pub fn add_login_verify(&mut self, contention: Contention) {
        self.login_verify = Some(contention);
    }

    /// Adds the flood.
    pub fn add_flood(&mut self, report: flood::Report) {
        self.flood = Some(report);
    }

    /// Adds what a greedy partner does to another.
    pub fn add_ingest_fairness(&mut self, fairness: Fairness) {
        self.ingest_fairness = Some(fairness);
    }

    /// Adds what too many events do.
    pub fn add_ingest_overload(&mut self, overload: Overload) {
        self.ingest_overload = Some(overload);
    }

    /// Adds the storm.
    pub fn add_storm(&mut self, report: storm::Report) {
        self.storm = Some(report);
    }
}

/// Those it is compared with, from among `all` of its group.
fn peers<'a>(series: &'a Series, all: &'a [Series]) -> impl Iterator<Item = &'a Series> {
    series.compared_with.iter().filter_map(move |name| all.iter().find(|other| other.name == *name))
}

fn scenario(series: &Series, all: &[Series]) -> Option<Scenario> {
    let median = |spread: Option<Spread>| spread.map(|spread| spread.median);
    let by_peer = |ratio: fn(&Series, &Series) -> Option<Spread>| -> BTreeMap<_, _> {
        peers(series, all).filter_map(|peer| Some((peer.name, median(ratio(series, peer))?))).collect()
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
        per_request: series.counted().into_iter().collect(),
    })
}

/// Medians of a group, and under them what each is of those it is compared with: median and range over the rounds.
pub fn table(measured: &[Series]) -> String {
    let mut text = format!(
        "{:<22}{:>10}{:>10}{:>10}{:>10}{:>12}{:>8}\n",
        "", "req/s", "p50 us", "p99 us", "p99.9 us", "CPU us/req", "errors"
    );
    for series in measured {
        let Some(Scenario { rps, p50_us, p99_us, p999_us, cpu_us, errors, .. }) = scenario(series, &[]) else {
            continue;
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:<22}{rps:>10.0}{p50_us:>10.0}{p99_us:>10.0}{p999_us:>10.0}{cpu_us:>12.1}{errors:>8}",
            series.name
        );
    }
    for ours in measured {
        for peer in peers(ours, measured) {
            let Some(speed) = ours.throughput_ratio(peer) else { continue };
            let _ = write!(text, "{} / {}: {} of its req/s", ours.name, peer.name, ratio(speed));
            let _ = match ours.cpu_ratio(peer) {
                Some(cpu) => writeln!(text, ", {} of its answers per CPU second", ratio(cpu)),
                None => writeln!(text),
            };
        }
    }
    for series in measured.iter().filter(|series| !series.counted().is_empty()) {
        let rps = series.requests_per_second().map_or(0.0, |spread| spread.median);
        let counted = series.counted().into_iter();
        let counted: Vec<_> =
            counted.map(|(name, count)| format!("{count:.2} {name} ({:.0}/s)", count * rps)).collect();
        let _ = writeln!(text, "{}, per request: {}", series.name, counted.join(", "));
    }
    text
}

/// A median and its range.
pub fn ratio(spread: Spread) -> String {
    format!("{:.2}x ({:.2}-{:.2})", spread.median, spread.low, spread.high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{load::Observed, rounds::Sample};

    fn series(
        name: &'static str,
        compared_with: &'static [&'static str],
        requests: u64,
        cpu_us: f64,
        counted: Vec<(&'static str, f64)>,
    ) -> Series {
        let observed = Observed {
            requests,
            duration_us: 1_000_000,
            p50_us: 10.0,
            p99_us: 20.0,
            p999_us: 30.0,
            refused: 0,
            broken: 2,
        };
        Series { name, compared_with, samples: vec![Sample { observed, cpu_us, counted }] }
    }

    fn measured() -> Vec<Series> {
        vec![
            series("verify", &["bare_route"], 75, 10.0, Vec::new()),
            series("login_device_mariadb", &["bare_fsync"], 10, 100.0, vec![("log writes", 1.0)]),
            series("bare_route", &[], 100, 8.0, Vec::new()),
            series("bare_fsync", &[], 20, 0.0, Vec::new()),
        ]
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
        assert_eq!(json["login_device_mariadb"]["per_request"]["log writes"], 1.0);
        assert_eq!(json["footprint"]["exec_to_ready_ms"], 40.0);
    }

    #[test]
    fn the_table_has_a_line_for_each_a_ratio_for_each_pair_and_what_was_counted() {
        let text = table(&measured());
        assert_eq!(text.lines().count(), 8, "{text}");
        assert!(
            text.ends_with(
                "verify / bare_route: 0.75x (0.75-0.75) of its req/s, 0.80x (0.80-0.80) of its answers per CPU second\n\
                 login_device_mariadb / bare_fsync: 0.50x (0.50-0.50) of its req/s\n\
                 login_device_mariadb, per request: 1.00 log writes (10/s)\n"
            ),
            "{text}"
        );
    }
}

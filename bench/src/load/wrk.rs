//! The generator: wrk, a closed loop over a fixed number of connections. Light enough to leave the cores to the
//! servers, which is why its latencies are those of a server at its limit and not at a given rate.

use std::{
    fmt::Write as _,
    io,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tempfile::NamedTempFile;

use crate::client::Request;

/// Builds the requests, turns them and prints the result.
const SCRIPT: &str = include_str!("wrk.lua");

/// A request that takes longer counts as broken.
const TIMEOUT: &str = "10s";

/// How hard, for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections, each with one request under way.
    pub connections: usize,
    /// How long.
    pub duration: Duration,
    /// What is sent next.
    pub order: Order,
}

/// What is sent after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The next one of those prepared, again and again.
    InTurn,
    /// Each of those prepared once. Who is answered with such a field sends it next, in the place of its own: how a
    /// refresh token is spent for its successor.
    Chained(&'static str),
}

/// What the generator saw.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Observed {
    /// Answers of any status.
    pub requests: u64,
    /// For how long, in microseconds.
    pub duration_us: u64,
    /// Half of the answers came within, in microseconds.
    pub p50_us: f64,
    /// 99 % of them.
    pub p99_us: f64,
    /// 99.9 % of them.
    pub p999_us: f64,
    /// Answers with a status of 400 or above.
    pub refused: u64,
    /// Connections that were refused or lost, and requests that took too long.
    pub broken: u64,
}

impl Observed {
    /// What somebody else has timed: `times` of `whole`, none of them refused.
    pub(crate) fn of(mut times: Vec<Duration>, whole: Duration) -> Self {
        times.sort_unstable();
        let at = |share: f64| percentile(&times, share).as_secs_f64() * 1e6;
        Self {
            requests: times.len().try_into().unwrap_or(u64::MAX),
            duration_us: whole.as_micros().try_into().unwrap_or(u64::MAX),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            refused: 0,
            broken: 0,
        }
    }

    /// Answers per second.
    pub fn requests_per_second(&self) -> f64 {
        as_f64(self.requests) / as_f64(self.duration_us.max(1)) * 1e6
    }
}

impl Load {
    /// Sends `requests` to `address`. Blocks until the time is over.
    pub fn run(&self, address: &str, requests: &[Request]) -> Result<Observed> {
        let mut script = NamedTempFile::with_suffix(".lua")?;
        io::Write::write_all(&mut script, script_of(requests, self.order).as_bytes())?;
        let output = Command::new("wrk")
            .args(["--threads", "1", "--timeout", TIMEOUT])
            .args(["--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{}s", self.duration.as_secs().max(1))])
            .arg("--script")
            .arg(script.path())
            .arg(format!("http://{address}"))
            .stdin(Stdio::null())
            .output()
            .context("wrk is not installed: `cargo xtask setup` installs it")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "wrk failed: {complaint}{text}");
        parse(&text).with_context(|| format!("wrk did not say what it saw: {complaint}{text}"))
    }
}

fn parse(output: &str) -> Option<Observed> {
    let line = output.lines().find_map(|line| line.strip_prefix("OBSERVED "))?;
    serde_json::from_str(line).ok()
}

/// The requests as a Lua table, and the script that sends them.
fn script_of(requests: &[Request], order: Order) -> String {
    let mut text = match order {
        Order::InTurn => String::new(),
        Order::Chained(field) => format!("chained = {}\n", lua_string(field)),
    };
    text.push_str("prepared = {\n");
    for request in requests {
        let headers: String = request
            .headers
            .iter()
            .map(|(name, value)| format!("[{}]={},", lua_string(name), lua_string(value)))
            .collect();
        let (path, body) = (lua_string(&request.path), lua_string(&request.body));
        // Writing to a string does not fail.
        let _ = writeln!(text, "{{method=\"{}\",path={path},headers={{{headers}}},body={body}}},", request.method);
    }
    text.push_str("}\n");
    text.push_str(SCRIPT);
    text
}

/// A Lua string literal of exactly these bytes.
fn lua_string(text: &str) -> String {
    let mut literal = String::from("\"");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            literal.push(char::from(byte));
        } else {
            // Three digits always, so that a digit that follows is not taken for part of the number.
            let _ = write!(literal, "\\{byte:03}");
        }
    }
    literal.push('"');
    literal
}

/// Of sorted times.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1 of a length is an index"
)]
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let index = (as_f64(last.try_into().unwrap_or(u64::MAX)) * share) as usize;
    sorted.get(index).copied().unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_from_among_the_generator_s_own_lines() {
        let output = "Running 5s test\n\nOBSERVED {\"requests\":500,\"duration_us\":2000000,\"p50_us\":120,\
            \"p99_us\":900,\"p999_us\":1000,\"refused\":1,\"broken\":0}\n";
        let observed = parse(output).expect("a result");
        assert_eq!((observed.requests_per_second(), observed.p99_us, observed.refused), (250.0, 900.0, 1));
        assert_eq!(parse("Running 5s test\n"), None);
    }

    #[test]
    fn times_that_were_taken_here_are_summed_up_the_same_way() {
        let times = (1..=1000).rev().map(Duration::from_micros).collect();
        let observed = Observed::of(times, Duration::from_secs(2));
        assert_eq!((observed.requests_per_second(), observed.p50_us, observed.p99_us), (500.0, 500.0, 990.0));
        assert_eq!(Observed::of(Vec::new(), Duration::from_secs(1)).p99_us, 0.0);
    }

    #[test]
    fn any_text_survives_as_a_lua_literal() {
        assert_eq!(lua_string("a\"\\\n1é"), "\"a\\034\\092\\0101\\195\\169\"");
    }
}

//! The store in a process that is killed under load, with a tailer that is killed as well, and on a disk that is really full.
//!
//! All need processes of their own: this program starts itself, with an environment variable that says what as.
//! `INGEST_CRASH_ROUNDS` is how often it kills.

#![expect(clippy::expect_used, reason = "a panic here is a failed test")]

mod full;
mod killed;
mod tailed;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use common::clock::{SystemClock, SystemRandom};
use ingest::{DeadConfig, IngestConfig, LimitsConfig, PartnerLimits, PartnerName, Parts, Push, parse};

/// The directory of the process that is killed.
const SERVE_IN: &str = "INGEST_CRASH_SERVE_IN";

/// The directory of the process whose disk is full.
const FILL: &str = "INGEST_CRASH_FILL";

fn main() -> ExitCode {
    if let Some(directory) = std::env::var_os(SERVE_IN) {
        return killed::serve(&PathBuf::from(directory));
    }
    if let Some(directory) = std::env::var_os(FILL) {
        return full::fill(&PathBuf::from(directory));
    }
    // As the test harness does: no listing, and only what is asked for by name.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<_> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let tests: [(&str, fn()); 4] = [
        ("what_was_acknowledged_before_a_kill_is_there_once_and_in_order", killed::test),
        ("a_tailer_ships_every_acknowledged_event_across_rotations_and_kills", tailed::kills),
        ("a_tailer_that_ends_in_order_repeats_nothing", tailed::restarts),
        ("a_full_disk_refuses_and_goes_on_when_there_is_room", full::test),
    ];
    for (name, test) in tests {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.contains(wanted.as_str())) {
            // A failure is a panic: it ends the program with its message and a status of its own.
            test();
            told(&format!("test {name} ... ok"));
        }
    }
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "what a test says")]
fn told(text: &str) {
    println!("{text}");
}

fn parts(data_dir: &Path) -> Parts {
    Parts {
        data_dir: data_dir.to_owned(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom),
        registry: prometheus::Registry::new(),
    }
}

/// Small and short segments, so that rotations are hit as well.
fn config() -> IngestConfig {
    IngestConfig {
        segment_bytes: std::num::NonZeroU64::MIN.saturating_add((64 << 10) - 1),
        segment_age: Duration::from_millis(300),
        free_bytes_min: 0,
        ..IngestConfig::default()
    }
}

fn push(partner: &str, body: &str) -> Push {
    let events = parse::json_or_ndjson(body.as_bytes(), &LimitsConfig::default(), &DeadConfig::default());
    Push {
        partner: PartnerName::parse(partner).expect("a name"),
        limits: PartnerLimits::default(),
        request_id: "crash".to_owned(),
        events: events.expect("a body"),
    }
}

//! `playgate account`: accounts of another platform, straight into the database. The platform may run meanwhile.

use std::{
    io::{IsTerminal, Write, stderr},
    path::PathBuf,
    time::{Duration, Instant},
};

use account::import::Progress;
use clap::Subcommand;
use common::lifecycle::ExitStatus;

use crate::{
    cli::{failure::Failure, globals::Globals, output::print},
    platform::{import, open_database},
};

/// By its name it is a file like any other.
const STDIN: &str = "/dev/stdin";

/// Where rejected lines are named when the accounts come from standard input.
const REJECTS_OF_STDIN: &str = "import.rejects.ndjson";

/// How often the line on a terminal changes, and how often there is another one elsewhere.
const SHOW_EVERY: Duration = Duration::from_millis(200);
const SHOW_ELSEWHERE_EVERY: Duration = Duration::from_secs(10);

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Import accounts, one JSON object per line; prints a summary as JSON. Stopped, it goes on where it was; repeated, it
    /// makes nothing twice. Exit status 65: some lines were rejected.
    Import {
        /// The accounts, `-` for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The platform they come from: external ids are unique within it
        #[arg(long, default_value = "import")]
        source: String,
        /// Where rejected lines are named, by number and reason [default: FILE.rejects.ndjson]
        #[arg(long, value_name = "FILE")]
        rejects: Option<PathBuf>,
    },
}

pub(super) async fn run(command: AccountCommand, globals: &Globals) -> Result<ExitStatus, Failure> {
    let AccountCommand::Import { file, source, rejects } = command;
    let configuration = globals.load_with_master_key().await?.value;
    let database = open_database(&configuration.sql, &configuration.data_dir).await?;
    let from_stdin = file.as_os_str() == "-";
    let usual_rejects = if from_stdin {
        PathBuf::from(REJECTS_OF_STDIN)
    } else {
        let mut name = file.clone().into_os_string();
        name.push(".rejects.ndjson");
        PathBuf::from(name)
    };
    let file = if from_stdin { PathBuf::from(STDIN) } else { file };
    let mut line = ProgressLine::new();
    let import = import(&configuration, database.clone(), &source).await?;
    let rejects = rejects.unwrap_or(usual_rejects);
    let imported = import.run(&file, &rejects, |progress| line.show(progress)).await;
    line.clear();
    database.close().await;
    let summary = imported.map_err(anyhow::Error::from)?;
    print(&format!("{}\n", serde_json::to_string(&summary).map_err(anyhow::Error::from)?))?;
    Ok(if summary.rejected == 0 { ExitStatus::Clean } else { ExitStatus::Data })
}

/// One line on standard error that is written over where that is a terminal, and now and then another one where it is not.
struct ProgressLine {
    began: Instant,
    first: Option<Progress>,
    shown_at: Option<Instant>,
    on_terminal: bool,
}

impl ProgressLine {
    fn new() -> Self {
        Self { began: Instant::now(), first: None, shown_at: None, on_terminal: stderr().is_terminal() }
    }

    fn show(&mut self, progress: &Progress) {
        let first = *self.first.get_or_insert(*progress);
        let running = self.began.elapsed();
        if !is_due(self.on_terminal, running, self.shown_at.map(|at| at.elapsed())) {
            return;
        }
        self.shown_at = Some(Instant::now());
        let line = describe(progress, &first, running);
        // Where nobody can be told is no reason to stop.
        let _ = if self.on_terminal {
            write!(stderr().lock(), "\r\x1b[2K{line}")
        } else {
            writeln!(stderr().lock(), "{line}")
        };
    }

    fn clear(&self) {
        if self.on_terminal && self.shown_at.is_some() {
            let _ = write!(stderr().lock(), "\r\x1b[2K");
        }
    }
}

/// In the first second nothing can be told about speed.
fn is_due(on_terminal: bool, running: Duration, since_shown: Option<Duration>) -> bool {
    if on_terminal {
        running >= Duration::from_secs(1) && since_shown.is_none_or(|since| since >= SHOW_EVERY)
    } else {
        since_shown.unwrap_or(running) >= SHOW_ELSEWHERE_EVERY
    }
}

/// `first` is what an earlier run had done: it says nothing about the speed of this one.
fn describe(progress: &Progress, first: &Progress, elapsed: Duration) -> String {
    let Progress { lines, imported, skipped, rejected, bytes, total_bytes } = *progress;
    let seconds = elapsed.as_secs().max(1);
    let share = total_bytes.map_or_else(String::new, |total| {
        let speed = ((bytes - first.bytes) / seconds).max(1);
        let left = total.saturating_sub(bytes) / speed;
        format!(", {} %, {}:{:02} left", bytes.saturating_mul(100) / total.max(1), left / 60, left % 60)
    });
    let rate = (lines - first.lines) / seconds;
    format!("{lines} lines ({imported} imported, {skipped} there already, {rejected} rejected), {rate}/s{share}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_and_time_left_are_those_of_this_run() {
        let at =
            |lines, bytes| Progress { lines, imported: lines, bytes, total_bytes: Some(1000), ..Progress::default() };
        let line = describe(&at(600, 600), &at(500, 500), Duration::from_secs(2));
        assert_eq!(line, "600 lines (600 imported, 0 there already, 0 rejected), 50/s, 60 %, 0:08 left");
    }

    #[test]
    fn a_terminal_is_told_often_and_a_log_every_ten_seconds() {
        let [short, long] = [1, 10].map(Duration::from_secs);
        assert!(!is_due(true, SHOW_EVERY, None) && is_due(true, short, None));
        assert!(!is_due(true, long, Some(Duration::ZERO)) && is_due(true, long, Some(SHOW_EVERY)));
        assert!(!is_due(false, short, None) && is_due(false, long, None));
        assert!(!is_due(false, long * 2, Some(short)) && is_due(false, long * 2, Some(long)));
    }

    #[test]
    fn a_stream_has_no_end_that_is_known() {
        let progress = Progress { lines: 10, rejected: 10, bytes: 99, ..Progress::default() };
        let line = describe(&progress, &Progress::default(), Duration::ZERO);
        assert_eq!(line, "10 lines (0 imported, 0 there already, 10 rejected), 10/s");
    }
}

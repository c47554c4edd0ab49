//! `playgate ingest`: looks into the segments of partners' events. Reads files and changes nothing; the platform may run
//! or not.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use common::{
    clock::{Clock, SystemClock, Timestamp},
    lifecycle::ExitStatus,
};
use ingest::{
    Family, Line, Progress,
    read::{Follow, Inspection, Position, Range, Stop, inspect, lag},
    segments,
};
use serde_json::{Value, json};

use crate::{
    cli::{failure::Failure, globals::Globals},
    platform::platform_events_directory,
};

/// How often new lines are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What to look at.
#[derive(Debug, Subcommand)]
pub(crate) enum IngestCommand {
    /// Print what is in each segment, one JSON object a line: lines, partners, from when to when, damage, what of it is
    /// shipped.
    Inspect {
        /// Look at the events that could not be taken instead
        #[arg(long)]
        dead: bool,
        #[command(flatten)]
        store: Store,
    },
    /// Print how far shippers have come, one JSON object a line: the place, and what is behind it.
    Lag {
        #[command(flatten)]
        store: Store,
    },
    /// Print lines as they are written, across segments, until it is ended; what is not durable yet included.
    Tail {
        /// Begin with the oldest line instead of the next one
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        store: Store,
    },
    /// Print the lines of complete segments again, in their order.
    Replay {
        /// Only events that came in at this time or later, in Unix milliseconds
        #[arg(long, value_name = "MS")]
        since: Option<i64>,
        /// Only events that came in before this time, in Unix milliseconds
        #[arg(long, value_name = "MS")]
        until: Option<i64>,
        /// Begin at this place, SEGMENT or SEGMENT:OFFSET
        #[arg(long, value_name = "PLACE")]
        from: Option<Position>,
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        store: Store,
    },
}

/// Which segments.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Store {
    /// Look at the platform's own events instead of partners'
    #[arg(long)]
    platform: bool,
}

/// Which lines.
#[derive(Clone, Debug, Args)]
pub(crate) struct Of {
    /// Only this partner's
    #[arg(long)]
    partner: Option<String>,
}

/// Which lines, and when they came in.
struct Filter {
    partner: Option<String>,
    since: Option<i64>,
    until: Option<i64>,
}

pub(super) async fn run(command: IngestCommand, globals: &Globals) -> Result<ExitStatus, Failure> {
    let data_dir = globals.load().await?.value.data_dir;
    // It reads for as long as there is something to read.
    let work = move || match command {
        IngestCommand::Inspect { dead, store } => {
            inspect_all(&store.of(data_dir), if dead { Family::Dead } else { Family::Events })
        }
        IngestCommand::Lag { store } => lags(&store.of(data_dir), SystemClock.now()),
        IngestCommand::Tail { all, of, store } => tail(&store.of(data_dir), all, of.partner),
        IngestCommand::Replay { since, until, from, of, store } => {
            replay(&store.of(data_dir), from, &Filter { partner: of.partner, since, until })
        }
    };
    let done = tokio::task::spawn_blocking(work).await.context("the segments could not be read");
    done.map_err(Failure::from)??;
    Ok(ExitStatus::Clean)
}

impl Store {
    /// Where it lies.
    fn of(self, data_dir: PathBuf) -> PathBuf {
        if self.platform { platform_events_directory(&data_dir) } else { data_dir }
    }
}

fn inspect_all(data_dir: &Path, family: Family) -> anyhow::Result<()> {
    // Before the files: what is shipped meanwhile is not there yet, and never more than there is.
    let shipped = if family == Family::Events { shippers(data_dir)? } else { Vec::new() };
    let files = segments(&family.directory(data_dir), family).context("the segments can't be listed")?;
    let mut out = BufWriter::new(io::stdout().lock());
    for file in files {
        let found = inspect(&file.path, family).with_context(|| format!("{} can't be read", file.path.display()))?;
        if !written(writeln!(out, "{}", described(&file, &found, &shipped)))? {
            return Ok(());
        }
    }
    written(out.flush()).map(drop)
}

/// How far each shipper has come that keeps a place of its own.
fn shippers(data_dir: &Path) -> anyhow::Result<Vec<(String, Option<Position>)>> {
    let all = Progress::all(data_dir).context("the checkpoints can't be listed")?;
    let read = |progress: Progress| {
        let at = progress.read().with_context(|| format!("{} can't be read", progress.path().display()))?;
        Ok((progress.destination().to_owned(), at))
    };
    all.into_iter().map(read).collect()
}

fn lags(data_dir: &Path, now: Timestamp) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for (destination, at) in shippers(data_dir)? {
        let lag = lag(data_dir, Family::Events, at.as_ref()).context("the segments can't be listed")?;
        let shown = json!({
            "destination": destination,
            "at": at.map(|at| at.to_string()),
            "lag_bytes": lag.bytes,
            "lag_events": lag.lines,
            "lag_segments": lag.segments,
            "lag_seconds": lag.oldest.map_or(0, |oldest| now.since(oldest).as_secs()),
        });
        if !written(writeln!(out, "{shown}"))? {
            return Ok(());
        }
    }
    Ok(())
}

/// Bytes of a segment that are in front of a place.
fn shipped_bytes(file: &ingest::SegmentFile, at: Option<&Position>) -> u64 {
    match at {
        Some(at) if file.name < at.segment => file.bytes,
        Some(at) if file.name == at.segment => at.offset.min(file.bytes),
        _ => 0,
    }
}

fn described(file: &ingest::SegmentFile, found: &Inspection, shipped: &[(String, Option<Position>)]) -> Value {
    let shipped: serde_json::Map<_, _> = shipped
        .iter()
        .map(|(destination, at)| (destination.clone(), shipped_bytes(file, at.as_ref()).into()))
        .collect();
    let torn = found.torn.as_ref().map(|torn| json!({ "at": torn.at, "damage": torn.damage.to_string() }));
    json!({
        "segment": file.name.to_string(),
        "complete": file.is_complete,
        "bytes": found.bytes,
        "lines": found.lines,
        "partners": found.by_partner,
        "seq": found.seq.map(|Range { first, last }| [first, last]),
        "received_at": found.received_at.map(|Range { first, last }| [first, last]),
        "damaged_lines": found.damaged_lines,
        "torn": torn,
        "shipped_bytes": shipped,
    })
}

fn tail(data_dir: &Path, all: bool, partner: Option<String>) -> anyhow::Result<()> {
    let filter = Filter { partner, since: None, until: None };
    let mut follow = Follow::new(data_dir, Family::Events, None, Stop::Newest);
    if !all {
        while follow.next_line().context("the segments can't be read")?.is_some() {}
    }
    let mut out = BufWriter::new(io::stdout().lock());
    loop {
        if !print_lines(&mut follow, &filter, &mut out)? {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn replay(data_dir: &Path, from: Option<Position>, filter: &Filter) -> anyhow::Result<()> {
    let mut follow = Follow::new(data_dir, Family::Events, from, Stop::Complete);
    let mut out = BufWriter::new(io::stdout().lock());
    print_lines(&mut follow, filter, &mut out)?;
    match follow.skipped() {
        0 => Ok(()),
        damaged => anyhow::bail!("{damaged} damaged lines were passed over; `playgate ingest inspect` says where"),
    }
}

/// Prints what there is now. False: whoever reads it has seen enough.
fn print_lines(follow: &mut Follow, filter: &Filter, out: &mut impl Write) -> anyhow::Result<bool> {
    while let Some(line) = follow.next_line().context("the segments can't be read")? {
        if filter.admits(&line) && !(written(out.write_all(&line))? && written(out.write_all(b"\n"))?) {
            return Ok(false);
        }
    }
    written(out.flush())
}

impl Filter {
    fn admits(&self, line: &[u8]) -> bool {
        if self.partner.is_none() && self.since.is_none() && self.until.is_none() {
            return true;
        }
        Line::read(line).is_ok_and(|line| {
            self.partner.as_deref().is_none_or(|partner| line.partner == partner)
                && self.since.is_none_or(|since| line.received_at >= since)
                && self.until.is_none_or(|until| line.received_at < until)
        })
    }
}

/// A reader that has seen enough (`| head`) is no fault.
fn written(outcome: io::Result<()>) -> anyhow::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("standard output can't be written"),
    }
}

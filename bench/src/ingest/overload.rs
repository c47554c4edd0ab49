//! `ingest_overload`: partners push several times what the disk takes, for minutes.
//!
//! Every sync of the platform takes [`SYNC`] longer than the disk needs, so that the disk is what bounds it and there is
//! processor time left to see how it behaves. Partners come at an even pace whatever they are told. Promises, whatever the
//! speed: every event that was acknowledged is in a segment in the end; whoever is refused is told when to come again; and
//! memory does not grow once the queue is full.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    fs::{self, File},
    io::{self, BufReader, Read as _},
    num::NonZeroU32,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Serialize;
use serde_json::json;
use tempfile::TempDir;

use super::{join, push};
use crate::{
    client::Request,
    load::{Answers, Pushers, as_f64, resident_bytes},
    platform::{Backing, Installation, Platform},
    scenario::Setup,
    signing::Partner,
};

/// What every sync takes longer. With `ingest.commit_bytes` of 256 KiB, that is at most a MB a second.
const SYNC: Duration = Duration::from_millis(250);

/// Partners, each with the default share, a quarter of the queue.
const PARTNERS: [&str; 4] = ["a", "b", "c", "d"];

/// Events in each push.
const BATCH: u32 = 150;

/// Pushes of each partner in a second: of all together 9600 events, five times what the disk takes.
const PUSHES_PER_SECOND: NonZeroU32 = NonZeroU32::new(16).unwrap();

/// Connections of each partner: enough for answers that take five seconds (`ingest.ack_timeout`).
const CONNECTIONS: u32 = 100;

/// Fewer events than this many times what was taken were no overload, and nothing follows.
const OVERLOAD_MIN: f64 = 2.0;

/// Between two looks at memory.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Memory at its highest in the last third may be so much more than in the third before: allocators round.
const GROWTH_MAX: f64 = 1.10;

/// What was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Overload {
    minutes: f64,
    /// Events in a second: pushed, and acknowledged.
    pushed_per_second: f64,
    acknowledged_per_second: f64,
    /// Answers by status.
    answers: BTreeMap<u16, u64>,
    /// Pushes without an answer.
    broken: u64,
    /// Of acknowledged pushes, from when they were due.
    p50_ms: f64,
    p99_ms: f64,
    /// Events that were acknowledged, and lines in segments in the end: those of pushes that got no answer in time, too.
    acknowledged: u64,
    stored: u64,
    /// Resident memory before the first push, and at its highest in each third of the time, in 10^6 bytes.
    resident_before_mb: f64,
    resident_mb: [f64; 3],
    /// The queue at its fullest, in 10^6 bytes.
    queue_mb: f64,
    /// What must never be. Empty: the promises were kept.
    violations: Vec<String>,
}

/// One look at the platform.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    at: Duration,
    resident: u64,
    /// Absent: the platform did not say in time.
    queue: Option<u64>,
}

/// Plays it for so long. An error: it could not be played. What it shows is in the report.
pub fn play(setup: &Setup<'_>, duration: Duration, progress: impl Fn(&str)) -> Result<Overload> {
    progress("starting the platform in one process on a slow disk");
    let library = TempDir::with_prefix("slow-disk-")?;
    let backing = Backing { preload: Some(slow_disk(library.path())?), ..Backing::default() };
    let installation = Installation::on(backing, setup.program, setup.workers)?;
    let platform = installation.start_merged()?;
    let partners = PARTNERS.iter().map(|name| join(&platform, name, &json!({}))).collect::<Result<Vec<_>>>()?;
    let before = look(&platform, Duration::ZERO)?;
    let began = Instant::now();
    let (answers, looks) = push_all(&platform, &partners, duration, &progress)?;
    let took = began.elapsed();
    drop(platform);
    let stored = lines(&installation.data_dir().join("segments"))?;
    let overload = Overload::of(duration, took, answers, before, &looks, stored);
    ensure!(
        overload.pushed_per_second >= OVERLOAD_MIN * overload.acknowledged_per_second,
        "the disk takes all that is pushed: is the program linked statically, so that its syncs can't be slowed?"
    );
    Ok(overload)
}

/// All partners at the same time, and looks at the platform meanwhile.
fn push_all(
    platform: &Platform,
    partners: &[Partner],
    duration: Duration,
    progress: &impl Fn(&str),
) -> Result<(Answers, Vec<Look>)> {
    let (pushers, stopping) =
        (Pushers { connections: CONNECTIONS, per_second: PUSHES_PER_SECOND, duration }, AtomicBool::new(false));
    let began = Instant::now();
    thread::scope(|scope| {
        let threads: Vec<_> = partners
            .iter()
            .map(|partner| scope.spawn(|| pushers.push(&platform.address, &|| push(partner, BATCH), &stopping)))
            .collect();
        let looks = look_on(platform, began, duration, progress);
        // Whoever was due and is late is not sent any more; and nobody pushes at a platform that has ended for minutes.
        stopping.store(true, Ordering::Relaxed);
        let mut all = Answers::default();
        for thread in threads {
            all.add(thread.join().map_err(|_| anyhow!("the generator panicked"))??);
        }
        Ok((all, looks?))
    })
}

fn look_on(platform: &Platform, began: Instant, duration: Duration, progress: &impl Fn(&str)) -> Result<Vec<Look>> {
    let (mut looks, mut minute) = (Vec::new(), 1);
    while began.elapsed() < duration {
        thread::sleep(LOOK_EVERY.min(duration / 3));
        let look = look(platform, began.elapsed())?;
        if look.at >= Duration::from_secs(60) * minute {
            let queued = look.queue.map_or("unknown".to_owned(), |bytes| format!("{:.0}", mb(bytes)));
            progress(&format!("minute {minute}: {:.0} MB resident, {queued} MB queued", mb(look.resident)));
            minute += 1;
        }
        looks.push(look);
    }
    Ok(looks)
}

fn look(platform: &Platform, at: Duration) -> Result<Look> {
    let resident = platform.process_ids().into_iter().map(resident_bytes).sum::<Result<u64>>()?;
    Ok(Look { at, resident, queue: queue_bytes(platform).ok() })
}

fn queue_bytes(platform: &Platform) -> Result<u64> {
    let metrics = Request::get("/metrics").send(&platform.operator)?.body;
    let queue = metrics.lines().find_map(|line| line.strip_prefix("playgate_ingest_queue_bytes "));
    queue.and_then(|bytes| bytes.trim().parse().ok()).context("there is no gauge of the queue")
}

/// Builds the library that slows syncs.
fn slow_disk(directory: &Path) -> Result<PathBuf> {
    let (source, library) = (directory.join("slow_disk.c"), directory.join("slow_disk.so"));
    fs::write(&source, include_str!("slow_disk.c"))?;
    let microseconds = format!("-DSLOW_DISK_SYNC_US={}", SYNC.as_micros());
    let mut compile = Command::new("cc");
    compile.args(["-shared", "-fPIC", "-O1", &microseconds, "-o"]).arg(&library).arg(&source).arg("-ldl");
    let output = compile.output().context("there is no C compiler")?;
    ensure!(output.status.success(), "the slow disk is not built: {}", String::from_utf8_lossy(&output.stderr));
    Ok(library)
}

/// Line breaks in all files of a directory.
fn lines(directory: &Path) -> Result<u64> {
    let (mut count, mut buffer) = (0, vec![0; 1 << 20]);
    for entry in fs::read_dir(directory)? {
        let mut file = BufReader::new(File::open(entry?.path())?);
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => count += buffer.iter().take(read).filter(|byte| **byte == b'\n').count(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(u64::try_from(count)?)
}

impl Overload {
    fn of(duration: Duration, took: Duration, answers: Answers, before: Look, looks: &[Look], stored: u64) -> Self {
        let third = |number: u32| {
            let within =
                looks.iter().filter(|look| look.at >= duration / 3 * number && look.at < duration / 3 * (number + 1));
            mb(within.map(|look| look.resident).max().unwrap_or(0))
        };
        let per_second = |events: u64| as_f64(events) / took.as_secs_f64();
        let pushes = answers.by_status.values().sum::<u64>() + answers.broken;
        let acknowledged = answers.with(202) * u64::from(BATCH);
        let (silent, observed) = (answers.silent, crate::load::Observed::of(answers.times, took));
        let mut overload = Self {
            minutes: duration.as_secs_f64() / 60.0,
            pushed_per_second: per_second(pushes * u64::from(BATCH)),
            acknowledged_per_second: per_second(acknowledged),
            answers: answers.by_status,
            broken: answers.broken,
            p50_ms: observed.p50_us / 1e3,
            p99_ms: observed.p99_us / 1e3,
            acknowledged,
            stored,
            resident_before_mb: mb(before.resident),
            resident_mb: [third(0), third(1), third(2)],
            queue_mb: mb(looks.iter().filter_map(|look| look.queue).max().unwrap_or(0)),
            violations: Vec::new(),
        };
        overload.judge(silent);
        overload
    }

    fn judge(&mut self, silent: u64) {
        let mut violations = Vec::new();
        if self.stored < self.acknowledged {
            violations.push(format!("{} acknowledged events are not stored", self.acknowledged - self.stored));
        }
        if self.acknowledged == 0 {
            violations.push("nothing was acknowledged".to_owned());
        }
        if silent > 0 {
            violations.push(format!("{silent} refusals do not say when to come again"));
        }
        if self.broken > 0 {
            violations.push(format!("{} pushes were not answered", self.broken));
        }
        let others: Vec<_> = self.answers.keys().filter(|status| ![202, 429, 503, 504].contains(*status)).collect();
        if !others.is_empty() {
            violations.push(format!("pushes were answered {others:?}"));
        }
        let [_, middle, last] = self.resident_mb;
        if last > middle * GROWTH_MAX {
            violations.push(format!("memory grows: {middle:.0} MB, then {last:.0} MB"));
        }
        self.violations = violations;
    }

    /// What must never be.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }
}

fn mb(bytes: u64) -> f64 {
    as_f64(bytes) / 1e6
}

impl Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minutes, pushed_per_second, acknowledged_per_second, p50_ms, p99_ms, .. } = self;
        writeln!(f, "{minutes:.1} minutes, each sync {} ms longer", SYNC.as_millis())?;
        writeln!(
            f,
            "events/s: {pushed_per_second:.0} pushed, {acknowledged_per_second:.0} acknowledged (p50 {p50_ms:.0} ms, p99 {p99_ms:.0} ms)"
        )?;
        let answers: Vec<_> = self.answers.iter().map(|(status, count)| format!("{count} of {status}")).collect();
        writeln!(f, "answers: {}; {} without", answers.join(", "), self.broken)?;
        writeln!(f, "events: {} acknowledged, {} stored", self.acknowledged, self.stored)?;
        let [first, second, third] = self.resident_mb;
        writeln!(
            f,
            "MB resident: {:.0} before, at most {first:.0}, {second:.0}, {third:.0} in each third; at most {:.0} MB queued",
            self.resident_before_mb, self.queue_mb
        )?;
        match &self.violations[..] {
            [] => writeln!(f, "every promise was kept"),
            broken => broken.iter().try_for_each(|violation| writeln!(f, "BROKEN: {violation}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THIRD: Duration = Duration::from_secs(10);

    fn overload(stored: u64, silent: u64, last_mb: u64) -> Overload {
        let looks: Vec<_> = (0..3)
            .map(|third| Look {
                at: THIRD * third + THIRD / 2,
                resident: if third == 2 { last_mb } else { 100 } * 1_000_000,
                queue: Some(7_000_000),
            })
            .collect();
        let by_status = BTreeMap::from([(202, 10), (503, 90)]);
        let answers = Answers { by_status, silent, broken: 0, times: vec![Duration::from_millis(20)] };
        Overload::of(THIRD * 3, THIRD * 3, answers, Look::default(), &looks, stored)
    }

    #[test]
    fn a_lost_event_a_refusal_without_a_time_and_memory_that_grows_are_told() {
        assert_eq!(overload(1500, 0, 105).violations(), &[] as &[String]);
        for broken in [overload(1499, 0, 100), overload(1500, 1, 100), overload(1500, 0, 120)] {
            assert_eq!(broken.violations().len(), 1, "{broken}");
            assert!(broken.to_string().contains("BROKEN: "), "{broken}");
        }
    }

    #[test]
    fn what_was_pushed_and_what_was_taken_are_told_apart() {
        let overload = overload(1500, 0, 100);
        assert_eq!((overload.pushed_per_second, overload.acknowledged_per_second), (500.0, 50.0));
        assert_eq!((overload.queue_mb, overload.p50_ms), (7.0, 20.0));
    }
}
